//! Networks in ONNX Runtime.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use thiserror::Error;

use super::provider::Provider;
use super::runtime::{self, RuntimeError};
use super::{
    BatchTensor, Engine, EngineFactory, FeatureShapes, InferenceError, Logits, Outputs,
    TensorNames, Wanted, ensemble,
};
use crate::model::digest::sha256_of_file;
use crate::model::manifest::{Activation, Input};
use crate::model::{Model, ModelError};

mod calibration;
mod network;
mod pinned;
mod sessions;
mod signature;

pub use calibration::Observer;
use network::Network;
use sessions::Sessions;
use signature::Signature;

/// ONNX Runtime, loaded into this process.
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: Environment,
    /// As in `1.31.1`.
    pub version: String,
    /// The shared library.
    pub library: PathBuf,
}

/// What sessions of one model have in common.
#[derive(Clone)]
pub struct SessionFactory {
    runtime: OnnxRuntime,
    /// Whose graph they run.
    pub model: Arc<Model>,
    /// What the sessions run on.
    pub provider: Provider,
    tensorrt_cache: Option<PathBuf>,
    intra_threads: usize,
    members: Vec<Member>,
}

/// A graph that cannot be served.
#[derive(Debug, Error)]
pub enum LoadError {
    /// ONNX Runtime refuses the graph or the provider.
    #[error("`{}` on {provider}: {cause}", graph.display())]
    Session {
        /// The file.
        graph: PathBuf,
        /// What it was to run on.
        provider: Provider,
        /// What the runtime said.
        cause: String,
    },
    /// The graph is another than `model.toml` says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The graph and `model.toml` disagree.
    #[error("`{}` does not fit its `model.toml`:\n  {}", graph.display(), mistakes.join("\n  "))]
    Signature {
        /// The file.
        graph: PathBuf,
        /// One or more, each with its key.
        mistakes: Vec<String>,
    },
}

/// The sessions of a model's network, or of each of an ensemble's.
pub struct OnnxEngine {
    networks: Vec<Network>,
}

/// A network, and the weights that its sessions share.
#[derive(Clone)]
struct Member {
    model: Arc<Model>,
    prepacked: Arc<PrepackedWeights>,
}

impl OnnxRuntime {
    /// Loads the library, found as [`runtime::locate`] says.
    ///
    /// # Errors
    ///
    /// When it is not found, is no ONNX Runtime, or is older than 1.31.
    pub fn load(flag: Option<&Path>) -> Result<Self, RuntimeError> {
        let library = runtime::locate(flag)?;
        let unusable = |cause: String| RuntimeError::Unusable { path: library.clone(), cause };
        let builder = ort::init_from(&library).map_err(|cause| unusable(cause.to_string()))?;
        let environment = builder
            .with_name("resnet-serve")
            .with_telemetry(false)
            .build()
            .map_err(|cause| unusable(cause.to_string()))?;
        Ok(Self { environment, version: runtime::version(&library), library })
    }

    /// What sessions of a model on a provider have in common.
    #[must_use]
    pub fn sessions(
        &self,
        model: Arc<Model>,
        (provider, tensorrt_cache): (Provider, Option<PathBuf>),
        intra_threads: usize,
    ) -> SessionFactory {
        let member = |model: &Arc<Model>| Member {
            model: Arc::clone(model),
            prepacked: Arc::new(PrepackedWeights::new()),
        };
        let members = model.networks().iter().map(member).collect();
        let runtime = self.clone();
        SessionFactory { runtime, model, provider, tensorrt_cache, intra_threads, members }
    }
}

impl SessionFactory {
    /// Creates one more engine, with a session for each member to begin with; the packed weights
    /// are shared with the others.
    ///
    /// # Errors
    ///
    /// When the runtime refuses a graph or the provider, or a graph does not fit its `model.toml`.
    pub fn engine(&self) -> Result<OnnxEngine, LoadError> {
        let networks = self.members.iter().map(|member| self.network(member));
        Ok(OnnxEngine { networks: networks.collect::<Result<_, _>>()? })
    }

    fn network(&self, member: &Member) -> Result<Network, LoadError> {
        let graph = &member.model.graph;
        let session = self.session(member, None)?;
        let signature = Signature::check(&session, &member.model)
            .map_err(|mistakes| LoadError::Signature { graph: graph.clone(), mistakes })?;
        let sessions = match self.provider {
            Provider::Cpu => Sessions::One(session),
            Provider::Cuda | Provider::TensorRt => {
                let (factory, member) = (self.clone(), member.clone());
                let create = move |images| factory.session_of_size(&member, images);
                let first_size = signature.fixed_batch.unwrap_or(1);
                Sessions::per_size((session, first_size), Box::new(create))
            }
        };
        let classes = member.model.labels.len();
        let activation = member.model.manifest.output.activation;
        let logits_alone = network::alone(&signature.output)
            .map_err(|cause| self.refused(graph, cause.to_string()))?;
        Ok(Network { sessions, signature, classes, activation, logits_alone })
    }

    /// A further session of the same bytes, for batches of one size.
    fn session_of_size(&self, member: &Member, images: usize) -> Result<Session, LoadError> {
        unchanged(&member.model).map_err(|cause| self.refused(&member.model.graph, cause))?;
        self.session(member, Some(images))
    }

    /// A session for batches of `images` images, or the first, of which that is not known yet.
    fn session(&self, member: &Member, images: Option<usize>) -> Result<Session, LoadError> {
        let graph = &member.model.graph;
        let refused = |cause: ort::Error| self.refused(graph, with_remedy(cause.to_string()));
        let mut builder = self.builder(member, images).map_err(refused)?;
        // For a GPU graphs are compiled, run and cached meanwhile, which takes far longer than a hash.
        if self.provider != Provider::Cpu {
            member.model.verify()?;
        }
        builder.commit_from_file(graph).map_err(refused)
    }

    fn refused(&self, graph: &Path, cause: String) -> LoadError {
        LoadError::Session { graph: graph.to_owned(), provider: self.provider, cause }
    }

    /// TensorRT's cache. It names what it compiled after the graph alone, so each size has a folder.
    fn cache(&self, images: Option<usize>) -> Option<PathBuf> {
        let folder = self.tensorrt_cache.as_ref()?;
        Some(images.map_or_else(|| folder.clone(), |images| folder.join(format!("batch-{images}"))))
    }

    fn builder(
        &self,
        member: &Member,
        images: Option<usize>,
    ) -> Result<SessionBuilder, ort::Error> {
        let builder = Session::builder(&self.runtime.environment)?;
        let builder = self.provider.apply(builder, self.cache(images).as_deref())?;
        Ok(builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.intra_threads)?
            // Threads that spin while they wait burn the CPU quota of a container.
            .with_intra_op_spinning(false)?
            .with_prepacked_weights(&member.prepacked)?)
    }
}

impl EngineFactory for SessionFactory {
    /// From the same bytes as the first: another file that lies there by now has to be loaded as a
    /// model of its own.
    fn create(&self) -> Result<Box<dyn Engine>, InferenceError> {
        let unchanged = |member: &Member| unchanged(&member.model);
        self.members.iter().try_for_each(unchanged).map_err(InferenceError::Failed)?;
        match self.engine() {
            Ok(engine) => Ok(Box::new(engine)),
            Err(cause) => Err(InferenceError::Failed(cause.to_string())),
        }
    }
}

fn with_remedy(cause: String) -> String {
    if cause.contains("is not enabled in this build") {
        format!("{cause} (`make runtime FLAVOR=gpu` fetches one in which it is)")
    } else {
        cause
    }
}

/// Says what has become of a file that is no longer what was loaded.
fn unchanged(model: &Model) -> Result<(), String> {
    let graph = model.graph.display();
    match sha256_of_file(&model.graph) {
        Ok(found) if found == model.sha256() => Ok(()),
        Ok(_) => Err(format!("`{graph}` is no longer what was loaded")),
        Err(cause) => Err(format!("cannot read `{graph}`: {cause}")),
    }
}

impl OnnxEngine {
    /// How the graph calls its input and output. What an ensemble answers with is no graph's output.
    #[must_use]
    pub fn names(&self) -> TensorNames {
        let Some(Network { signature, .. }) = self.networks.first() else {
            return TensorNames::default();
        };
        let input = signature.input.clone();
        if self.networks.len() > 1 {
            let output = ensemble::OUTPUT.to_owned();
            return TensorNames { input, output, features: FeatureShapes::default() };
        }
        TensorNames { input, output: signature.output.clone(), features: signature.features }
    }

    /// What each network says of a batch, with what makes probabilities of that.
    ///
    /// # Errors
    ///
    /// When the device refuses the batch.
    pub fn scores_of_each(
        &mut self,
        batch: &BatchTensor,
    ) -> Result<Vec<(Logits, Activation)>, InferenceError> {
        let run = |network: &mut Network| {
            let outputs = network.run(batch, Wanted::Logits)?;
            Ok((outputs.logits, network.activation))
        };
        self.networks.iter_mut().map(run).collect()
    }
}

impl Engine for OnnxEngine {
    fn run(&mut self, batch: &BatchTensor, wanted: Wanted) -> Result<Outputs, InferenceError> {
        if let [network] = self.networks.as_mut_slice() {
            return network.run(batch, wanted);
        }
        let of_each = self.scores_of_each(batch)?;
        let nothing = || InferenceError::Failed("the ensemble has no members".to_owned());
        ensemble::mean(&of_each).map(Outputs::from).ok_or_else(nothing)
    }

    /// On a GPU in memory that it reads by itself, if there is such memory.
    fn batch(&self, input: &Input, images: usize) -> BatchTensor {
        let batch = BatchTensor::zeros(input, images);
        let Some(session) = self.networks.first().and_then(|network| network.sessions.on_gpu())
        else {
            return batch;
        };
        match pinned::like(&batch.elements, session) {
            Ok(elements) => BatchTensor { elements, ..batch },
            Err(cause) => {
                tracing::warn!(%cause, "no page-locked memory: batches reach the GPU more slowly");
                batch
            }
        }
    }

    /// The least of an ensemble, so that each of its networks takes a batch.
    fn fixed_batch(&self) -> Option<usize> {
        self.networks.iter().filter_map(|network| network.signature.fixed_batch).min()
    }
}
