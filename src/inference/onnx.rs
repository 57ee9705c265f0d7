//! Networks in ONNX Runtime: one session an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, TensorRef};
use thiserror::Error;

use super::provider::Provider;
use super::runtime::{self, RuntimeError};
use super::{
    BatchTensor, Elements, Engine, EngineFactory, FeatureShapes, Features, InferenceError, Logits,
    Outputs, TensorNames, Wanted,
};
use crate::model::Model;
use crate::networks::{FEATURE_MAP, FEATURES};

mod signature;

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
    prepacked: Arc<PrepackedWeights>,
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
    /// The graph and `model.toml` disagree.
    #[error("`{}` does not fit its `model.toml`:\n  {}", graph.display(), mistakes.join("\n  "))]
    Signature {
        /// The file.
        graph: PathBuf,
        /// One or more, each with its key.
        mistakes: Vec<String>,
    },
}

/// One session, with the names that it is called by.
pub struct OnnxEngine {
    session: Session,
    signature: Signature,
    classes: usize,
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
        let prepacked = Arc::new(PrepackedWeights::new());
        let runtime = self.clone();
        SessionFactory { runtime, model, provider, tensorrt_cache, intra_threads, prepacked }
    }
}

impl SessionFactory {
    /// Creates one more session; the packed weights are shared with the others.
    ///
    /// # Errors
    ///
    /// When the runtime refuses the graph or the provider, or the graph does not fit `model.toml`.
    pub fn engine(&self) -> Result<OnnxEngine, LoadError> {
        let graph = &self.model.graph;
        let session = self.session().map_err(|cause| LoadError::Session {
            graph: graph.clone(),
            provider: self.provider,
            cause: cause.to_string(),
        })?;
        let signature = Signature::check(&session, &self.model)
            .map_err(|mistakes| LoadError::Signature { graph: graph.clone(), mistakes })?;
        Ok(OnnxEngine { session, signature, classes: self.model.labels.len() })
    }

    fn session(&self) -> Result<Session, ort::Error> {
        let builder = Session::builder(&self.runtime.environment)?;
        let builder = self.provider.apply(builder, self.tensorrt_cache.as_deref())?;
        self.tune(builder)?.commit_from_file(&self.model.graph)
    }

    fn tune(&self, builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        Ok(builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.intra_threads)?
            // Threads that spin while they wait burn the CPU quota of a container.
            .with_intra_op_spinning(false)?
            .with_prepacked_weights(&self.prepacked)?)
    }
}

impl EngineFactory for SessionFactory {
    fn create(&self) -> Result<Box<dyn Engine>, InferenceError> {
        match self.engine() {
            Ok(engine) => Ok(Box::new(engine)),
            Err(cause) => Err(InferenceError::Failed(cause.to_string())),
        }
    }
}

impl OnnxEngine {
    /// How the graph calls its input and output.
    #[must_use]
    pub fn names(&self) -> TensorNames {
        let Signature { input, output, features, .. } = &self.signature;
        TensorNames { input: input.clone(), output: output.clone(), features: *features }
    }

    fn extract(&self, output: &DynValue, images: usize) -> Result<Logits, InferenceError> {
        let failed = |cause: ort::Error| failed(&cause);
        let (shape, values) = if self.signature.half_output {
            let (shape, values) = output.try_extract_tensor::<half::f16>().map_err(failed)?;
            (shape, values.iter().map(|value| value.to_f32()).collect())
        } else {
            let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
            (shape, values.to_vec())
        };
        let rows = shape.first().and_then(|rows| usize::try_from(*rows).ok());
        if rows != Some(images) || values.len() != images * self.classes {
            let classes = self.classes;
            return Err(InferenceError::WrongShape { found: shape.to_vec(), images, classes });
        }
        Ok(Logits::new(self.classes, values))
    }
}

impl Engine for OnnxEngine {
    fn run(&mut self, batch: &BatchTensor, wanted: Wanted) -> Result<Outputs, InferenceError> {
        let value = borrow(batch).map_err(|cause| failed(&cause))?;
        let inputs = vec![(self.signature.input.as_str(), value)];
        let mut outputs = self.session.run(inputs).map_err(|cause| failed(&cause))?;
        let output = outputs.remove(&self.signature.output).ok_or_else(|| {
            InferenceError::Failed(format!("no output `{}`", self.signature.output))
        })?;
        let shapes = self.signature.features;
        let wanted = wanted == Wanted::Features && shapes.values() > 0;
        let features = wanted.then(|| extract_features(&outputs, (shapes, batch.images())));
        drop(outputs);
        let logits = self.extract(&output, batch.images())?;
        Ok(Outputs { logits, features: features.transpose()? })
    }

    fn fixed_batch(&self) -> Option<usize> {
        self.signature.fixed_batch
    }
}

/// Copies what the graph shows beside its scores; as many numbers as it has declared.
fn extract_features(
    outputs: &SessionOutputs<'_>,
    (shapes, images): (FeatureShapes, usize),
) -> Result<Features, InferenceError> {
    let copy = |name: &str, length: usize| {
        if length == 0 {
            return Ok(Vec::new());
        }
        let missing = || InferenceError::Failed(format!("no output `{name}`"));
        let output = outputs.get(name).ok_or_else(missing)?;
        let (found, values) = output.try_extract_tensor::<f32>().map_err(|cause| failed(&cause))?;
        if values.len() != images * length {
            let words = format!("the output `{name}` has the shape `{found:?}`");
            return Err(InferenceError::Failed(words));
        }
        Ok(values.to_vec())
    };
    let vectors = copy(FEATURES, shapes.vector.unwrap_or(0))?;
    let maps = copy(FEATURE_MAP, shapes.map_values())?;
    Ok(Features { images, vectors, maps })
}

/// What the runtime says, told apart by its words: it has no code of its own for a device whose
/// memory is spent.
fn failed(cause: &ort::Error) -> InferenceError {
    let text = cause.to_string();
    let words = text.to_ascii_lowercase();
    let spent = ["out of memory", "failed to allocate memory", "cudaerrormemoryallocation"];
    if spent.iter().any(|phrase| words.contains(phrase)) {
        InferenceError::OutOfMemory(text)
    } else {
        InferenceError::Failed(text)
    }
}

/// The batch as the runtime's tensor, without a copy.
fn borrow(batch: &BatchTensor) -> Result<SessionInputValue<'_>, ort::Error> {
    Ok(match &batch.elements {
        Elements::Float32(values) => {
            TensorRef::from_array_view((batch.shape, values.as_slice()))?.into()
        }
        Elements::Float16(values) => {
            TensorRef::from_array_view((batch.shape, values.as_slice()))?.into()
        }
        Elements::Uint8(values) => {
            TensorRef::from_array_view((batch.shape, values.as_slice()))?.into()
        }
    })
}
