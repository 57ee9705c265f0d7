//! From a model's folder to workers that have run every batch size once.

use std::iter;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::runtime::Handle;

use crate::batching::worker::Worker;
use crate::batching::{self, Collector, Executor, Gathering};
use crate::config::InferenceConfig;
use crate::inference::onnx::{LoadError, OnnxEngine, OnnxRuntime, SessionFactory};
use crate::inference::provider::{Provider, ProviderChoice};
use crate::inference::runtime::RuntimeError;
use crate::inference::{BatchTensor, Engine, EngineFactory, InferenceError, TensorNames};
use crate::model::{self, Manifest, Model, ModelError};
use crate::pipeline::{Pipeline, Resources};
use crate::preprocess::{Packing, Pixels};
use crate::selftest::SelfTestError;
use crate::telemetry::{self, metrics::Metrics};

mod activation;
mod alone;
mod bare;
mod calibration;
mod explainer;
mod known;
mod layout;

pub use alone::Alone;
pub use bare::{BareSessions, bare};
pub use calibration::{Calibration, CalibrationError};
pub use known::{measure, measure_loaded};
pub use layout::Layout;

use known::Known;

/// A model whose workers run.
pub struct LoadedModel {
    /// The way through it.
    pub pipeline: Pipeline,
    /// How the graph calls its input and output.
    pub tensors: TensorNames,
    /// End when the queue is closed and empty.
    pub workers: Vec<JoinHandle<()>>,
    /// What was asked for.
    pub asked: ProviderChoice,
    /// The device, as the warm-up has shown.
    pub provider: Provider,
    /// The version of ONNX Runtime.
    pub onnxruntime: String,
    /// How many sessions, with how many threads each, for batches of how many images.
    pub layout: Layout,
}

/// A model that cannot be served.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no ONNX Runtime to be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The folder is not in order.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No session could be made.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The first run failed.
    #[error("the model `{model}` does not run: {cause}")]
    WarmUp {
        /// Its name.
        model: String,
        /// What the engine said.
        cause: InferenceError,
    },
    /// The model is no longer what it was, or its `selftest.toml` does not say what that is.
    #[error("the self-test of the model `{model}` failed: {cause}")]
    SelfTest {
        /// Its name.
        model: String,
        /// What has changed.
        cause: SelfTestError,
    },
    /// The system gives no thread.
    #[error("a worker's thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker panicked before its first batch.
    #[error("a worker died before its first batch")]
    WorkerDied,
}

/// How a folder is read: [`Model::open`] hashes the graph while the runtime reads it, [`Model::load`]
/// before the runtime sees it.
pub(crate) type Read = fn(&Path) -> Result<Model, ModelError>;

/// Loads a model, starts its workers and warms them up.
///
/// # Errors
///
/// When the folder is not in order, the provider does not work, or the first run fails.
pub fn load(
    runtime: &OnnxRuntime,
    (folder, read): (&Path, Read),
    (config, resources): (&InferenceConfig, &Resources),
) -> Result<LoadedModel, StartError> {
    let started = Instant::now();
    let folder = model::resolve(folder)?;
    let model = Arc::new(read(&folder)?);
    let known = known::read(&folder, &model);
    let session = first_session(runtime, &model, config);
    // No batch is run before that, and what comes of a broken file is of no interest.
    model.verify()?;
    let (known, (factory, mut first, layout)) = (known?, session?);
    activation::check(&model, &mut first)?;
    let fixed_batch = first.fixed_batch();
    if let Some(images) = fixed_batch {
        let batching =
            if images == 1 { "served without batching" } else { "smaller batches are padded" };
        let model = model.manifest.name.as_str();
        tracing::info!(model, images, batching, "the graph takes batches of one size only");
    }
    let gathering = Gathering {
        queue_capacity: config.queue_capacity,
        sizes: layout.batch_sizes(factory.provider, fixed_batch),
        max_wait: max_wait(config, factory.provider),
        workers: layout.sessions,
        decoders: resources.pool.threads(),
    };
    let (queue, collector) = batching::pair(gathering, Arc::clone(&resources.metrics));
    let tensors = first.names();
    let explainer = explainer::find(&model, &tensors);
    let engines = all_sessions(&factory, first, layout)?;
    let provider = factory.provider;
    let (workers, ready) =
        start_workers(engines, factory, (&collector, &resources.metrics), known.as_ref());
    if let Err(cause) = ready {
        // Those that are warm already would wait for ever for what is not going to be served.
        queue.close();
        for worker in workers {
            drop(worker.join());
        }
        return Err(cause);
    }
    let loaded = LoadedModel {
        pipeline: Pipeline::new(model, queue, resources.clone())
            .showing(tensors.features, explainer),
        tensors,
        workers,
        asked: config.provider,
        provider,
        onnxruntime: runtime.version.clone(),
        layout,
    };
    loaded.announce(started);
    Ok(loaded)
}

impl LoadedModel {
    fn announce(&self, started: Instant) {
        let model = &self.pipeline.model;
        tracing::info!(
            model = model.manifest.name.as_str(),
            version = model.manifest.version,
            trained = model.manifest.trained,
            sha256 = model.sha256(),
            asked = %self.asked,
            provider = %self.provider,
            onnxruntime = self.onnxruntime,
            sessions = self.layout.sessions,
            intra_threads = self.layout.intra_threads,
            max_batch = self.layout.max_batch,
            milliseconds = telemetry::milliseconds(started.elapsed()),
            "model loaded and warmed up"
        );
        if !model.manifest.trained {
            tracing::warn!(
                model = model.manifest.name.as_str(),
                "this model has random weights: its answers mean nothing"
            );
        }
    }
}

/// On the CPU a batch is no cheaper per image but for a call's overhead, and an image that waits
/// for others delays itself for nothing.
fn max_wait(config: &InferenceConfig, provider: Provider) -> Duration {
    if provider == Provider::Cpu { Duration::ZERO } else { config.max_wait }
}

/// The first session on the first provider that works; `auto` says why it passed one over.
fn first_session(
    runtime: &OnnxRuntime,
    model: &Arc<Model>,
    config: &InferenceConfig,
) -> Result<(SessionFactory, OnnxEngine, Layout), StartError> {
    let (last, others) = config.provider.candidates().split_last().expect("there are candidates");
    for provider in others {
        match session(runtime, model, (config, *provider)) {
            Ok(found) => return Ok(found),
            Err(LoadError::Model(cause)) => return Err(cause.into()),
            Err(cause) => tracing::info!(%provider, %cause, "provider passed over"),
        }
    }
    Ok(session(runtime, model, (config, *last))?)
}

fn session(
    runtime: &OnnxRuntime,
    model: &Arc<Model>,
    (config, provider): (&InferenceConfig, Provider),
) -> Result<(SessionFactory, OnnxEngine, Layout), LoadError> {
    let threads = Layout::of(config, provider, None).intra_threads;
    let device = (provider, config.tensorrt_cache.clone());
    let factory = runtime.sessions(Arc::clone(model), device, threads.get());
    let engine = factory.engine()?;
    let layout = Layout::of(config, provider, engine.fixed_batch());
    Ok((factory, engine, layout))
}

/// The first session and as many more as the layout has.
fn all_sessions(
    factory: &SessionFactory,
    first: OnnxEngine,
    layout: Layout,
) -> Result<Vec<OnnxEngine>, LoadError> {
    let further = (1..layout.sessions.get()).map(|_| factory.engine());
    iter::once(Ok(first)).chain(further).collect()
}

/// An engine with what its batches of at most so many images are packed by and into.
fn executor(engine: OnnxEngine, manifest: &Manifest, images: usize) -> Executor {
    Executor::new(Box::new(engine), packing(manifest), &manifest.input, images)
}

fn packing(manifest: &Manifest) -> Packing {
    let preprocess = &manifest.preprocess;
    Packing::new(manifest.input.layout, preprocess.color, preprocess.mean, preprocess.std)
}

/// A picture, as often as a graph takes images at once.
fn batch_of(manifest: &Manifest, slots: usize, picture: &Pixels) -> BatchTensor {
    let (packing, mut batch) = (packing(manifest), BatchTensor::zeros(&manifest.input, slots));
    (0..slots).for_each(|index| packing.pack(picture, batching::place(&mut batch, index)));
    batch
}

/// Starts a thread for each engine and waits until all are warm, or one says that it will not be.
fn start_workers(
    engines: Vec<OnnxEngine>,
    factory: SessionFactory,
    (collector, metrics): (&Collector, &Arc<Metrics>),
    known: Option<&Arc<Known>>,
) -> (Vec<JoinHandle<()>>, Result<(), StartError>) {
    let model = Arc::clone(&factory.model);
    let factory: Arc<dyn EngineFactory> = Arc::new(factory);
    let (report, reports) = mpsc::channel();
    let (engine_count, mut workers) = (engines.len(), Vec::new());
    for (index, engine) in engines.into_iter().enumerate() {
        let executor = executor(engine, &model.manifest, collector.sizes().limit().get());
        // The first has been tried.
        let executor = if index == 0 { executor.that_has_run() } else { executor };
        let mut worker = Worker::new(
            collector.for_worker(index),
            executor,
            Arc::clone(&factory),
            Arc::clone(metrics),
        );
        let (report, known, model) = (report.clone(), known.cloned(), Arc::clone(&model));
        let handle = Handle::current();
        let thread = thread::Builder::new().name(format!("worker-{index}"));
        let work = move || {
            // So that the worker reads the runtime's clock, which tests can hold.
            let _entered = handle.enter();
            let checked = prepare(&mut worker, &model, known.as_deref());
            let runs = checked.is_ok();
            let _ = report.send(checked);
            // The loader waits until every sender is gone.
            drop(report);
            if runs {
                worker.run();
            }
        };
        match thread.spawn(work) {
            Ok(worker) => workers.push(worker),
            Err(cause) => return (workers, Err(cause.into())),
        }
    }
    drop(report);
    let reports: Vec<Result<(), StartError>> = reports.iter().collect();
    // A thread that panics reports nothing.
    let all = reports.len() == engine_count;
    let result = reports.into_iter().collect::<Result<(), _>>();
    (workers, result.and(if all { Ok(()) } else { Err(StartError::WorkerDied) }))
}

/// What a worker has to get right before its first request.
fn prepare(worker: &mut Worker, model: &Model, known: Option<&Known>) -> Result<(), StartError> {
    worker.warm_up().map_err(|cause| does_not_run(model, cause))?;
    match known {
        Some(known) => {
            let logits = worker.run_known(&known.pixels);
            let of_each = logits.map_err(|cause| does_not_run(model, cause))?;
            of_each.iter().try_for_each(|logits| known.check(model, logits))
        }
        None => Ok(()),
    }
}

fn does_not_run(model: &Model, cause: InferenceError) -> StartError {
    StartError::WarmUp { model: model.manifest.name.as_str().to_owned(), cause }
}
