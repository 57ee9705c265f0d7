//! From a model's folder to workers that have run every batch size once.

use std::iter;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::runtime::Handle;

use crate::batching::worker::Worker;
use crate::batching::{self, BatchSizes, Collector, Executor, Gathering};
use crate::config::InferenceConfig;
use crate::inference::onnx::{LoadError, OnnxEngine, OnnxRuntime, SessionFactory};
use crate::inference::provider::{Provider, ProviderChoice};
use crate::inference::runtime::RuntimeError;
use crate::inference::{BatchTensor, Engine, EngineFactory, InferenceError, TensorNames};
use crate::model::{self, Manifest, Model, ModelError};
use crate::pipeline::{Pipeline, Resources};
use crate::preprocess::Packing;
use crate::selftest::SelfTestError;
use crate::telemetry::{self, metrics::Metrics};

mod bare;
mod explainer;
mod known;

pub use bare::{BareSessions, bare};
pub use known::measure;

use known::Known;

/// So many cores work on one batch together. With more of them a layer is soon too small to be shared out; with fewer, an
/// image that is alone waits for one core while others idle.
const CORES_A_SESSION: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// What a thread gets to do before it has to wait for the others at the end of a layer.
const IMAGES_A_THREAD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// In a batch on a GPU.
const IMAGES_ON_A_GPU: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

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

/// How the work is laid out on the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Workers, each with a session of its own.
    pub sessions: NonZeroUsize,
    /// Threads inside a session.
    pub intra_threads: NonZeroUsize,
    /// Images in a batch.
    pub max_batch: NonZeroUsize,
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
}

/// Loads a model, starts its workers and warms them up.
///
/// # Errors
///
/// When the folder is not in order, the provider does not work, or the first run fails.
pub fn load(
    runtime: &OnnxRuntime,
    folder: &Path,
    (config, resources): (&InferenceConfig, &Resources),
) -> Result<LoadedModel, StartError> {
    let started = Instant::now();
    let folder = model::resolve(folder)?;
    let model = Arc::new(Model::load(&folder)?);
    let known = known::read(&folder, &model)?;
    let (factory, first, layout) = first_session(runtime, &model, config)?;
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
            sha256 = model.sha256,
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

impl Layout {
    /// What is asked for, or what suits the device.
    fn of(config: &InferenceConfig, provider: Provider, fixed_batch: Option<usize>) -> Self {
        let sessions = match provider {
            Provider::Cpu => config.cores.div_ceil(CORES_A_SESSION),
            Provider::Cuda | Provider::TensorRt => NonZeroUsize::MIN,
        };
        let sessions = config.sessions.unwrap_or(sessions);
        let shared = NonZeroUsize::new(config.cores.get() / sessions.get());
        let intra_threads = config.intra_threads.or(shared).unwrap_or(NonZeroUsize::MIN);
        let max_batch = match provider {
            Provider::Cpu => IMAGES_A_THREAD.saturating_mul(intra_threads),
            Provider::Cuda | Provider::TensorRt => IMAGES_ON_A_GPU,
        };
        Self {
            sessions,
            intra_threads,
            max_batch: fixed_batch
                .and_then(NonZeroUsize::new)
                .or(config.max_batch)
                .unwrap_or(max_batch)
                .min(config.queue_capacity),
        }
    }

    /// Every size on the CPU, where a new shape costs nothing; a few on a GPU, each prepared.
    fn batch_sizes(&self, provider: Provider, fixed_batch: Option<usize>) -> BatchSizes {
        match (fixed_batch.and_then(NonZeroUsize::new), provider) {
            (Some(images), _) => BatchSizes::Some(vec![images]),
            (None, Provider::Cpu) => BatchSizes::Any { limit: self.max_batch },
            (None, Provider::Cuda | Provider::TensorRt) => BatchSizes::padded(self.max_batch),
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

/// An engine with what its batches are packed by and into.
fn executor(engine: OnnxEngine, manifest: &Manifest) -> Executor {
    let preprocess = &manifest.preprocess;
    let packing =
        Packing::new(manifest.input.layout, preprocess.color, preprocess.mean, preprocess.std);
    Executor::new(Box::new(engine), packing, BatchTensor::zeros(&manifest.input, 1))
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
    let mut workers = Vec::new();
    for (index, engine) in engines.into_iter().enumerate() {
        let mut worker = Worker::new(
            collector.for_worker(index),
            executor(engine, &model.manifest),
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
    (workers, reports.iter().collect())
}

/// What a worker has to get right before its first request.
fn prepare(worker: &mut Worker, model: &Model, known: Option<&Known>) -> Result<(), StartError> {
    worker.warm_up().map_err(|cause| does_not_run(model, cause))?;
    match known {
        Some(known) => {
            let logits = worker.run_one(&known.pixels);
            known.check(model, &logits.map_err(|cause| does_not_run(model, cause))?)
        }
        None => Ok(()),
    }
}

fn does_not_run(model: &Model, cause: InferenceError) -> StartError {
    StartError::WarmUp { model: model.manifest.name.as_str().to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cores: usize) -> InferenceConfig {
        InferenceConfig {
            provider: ProviderChoice::Auto,
            onnxruntime: None,
            tensorrt_cache: None,
            cores: NonZeroUsize::new(cores).unwrap(),
            sessions: None,
            intra_threads: None,
            max_batch: None,
            max_wait: Duration::from_millis(2),
            queue_capacity: NonZeroUsize::new(256).unwrap(),
        }
    }

    fn layout(config: &InferenceConfig, provider: Provider) -> [usize; 3] {
        let Layout { sessions, intra_threads, max_batch } = Layout::of(config, provider, None);
        [sessions, intra_threads, max_batch].map(NonZeroUsize::get)
    }

    #[test]
    fn all_cores_are_used_by_sessions_of_up_to_four_threads() {
        for (cores, expected) in [
            (1, [1, 1, 4]),
            (2, [1, 2, 8]),
            (4, [1, 4, 16]),
            (6, [2, 3, 12]),
            (8, [2, 4, 16]),
            (64, [16, 4, 16]),
        ] {
            assert_eq!(layout(&config(cores), Provider::Cpu), expected, "{cores} cores");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_done_and_the_rest_follows_from_it() {
        let sessions = NonZeroUsize::new(8);
        let many = InferenceConfig { sessions, ..config(8) };
        assert_eq!(layout(&many, Provider::Cpu), [8, 1, 4]);
        let more_than_cores = InferenceConfig { sessions, ..config(2) };
        assert_eq!(layout(&more_than_cores, Provider::Cpu), [8, 1, 4]);
        let threads = InferenceConfig { intra_threads: NonZeroUsize::new(2), ..config(8) };
        assert_eq!(layout(&threads, Provider::Cpu), [2, 2, 8]);
    }

    #[test]
    fn a_gpu_has_one_session_with_larger_batches() {
        assert_eq!(layout(&config(8), Provider::Cuda), [1, 8, 32]);
    }

    #[test]
    fn no_batch_is_larger_than_the_queue_or_than_the_graph_takes() {
        let queue_capacity = NonZeroUsize::new(3).unwrap();
        let short = InferenceConfig { queue_capacity, ..config(8) };
        assert_eq!(layout(&short, Provider::Cpu)[2], 3);
        let fixed = Layout::of(&config(8), Provider::Cpu, Some(1));
        assert_eq!(fixed.max_batch.get(), 1);
    }
}
