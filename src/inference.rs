//! The trait behind which a network runs, and what goes in and out of it.

use thiserror::Error;

pub mod fake;
pub mod onnx;
pub mod provider;
pub mod runtime;
mod tensor;

pub use tensor::{BatchTensor, Elements, Logits};

/// A network on one device, owned by one thread.
pub trait Engine: Send {
    /// Runs a batch of `[n, …]` images and returns `[n, classes]` logits.
    ///
    /// # Errors
    ///
    /// When the device refuses the batch; the engine stays usable.
    fn run(&mut self, batch: &BatchTensor) -> Result<Logits, InferenceError>;

    /// Images that the graph takes at once, where it takes no other number.
    fn fixed_batch(&self) -> Option<usize> {
        None
    }
}

/// Where engines come from.
pub trait EngineFactory: Send + Sync {
    /// One more engine, like those before it.
    ///
    /// # Errors
    ///
    /// When the device gives none.
    fn create(&self) -> Result<Box<dyn Engine>, InferenceError>;
}

/// How a graph calls what it takes and gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorNames {
    /// The picture.
    pub input: String,
    /// A score a class.
    pub output: String,
}

/// A batch that did not run.
#[derive(Clone, Debug, Error)]
pub enum InferenceError {
    /// The runtime said no.
    #[error("inference failed: {0}")]
    Failed(String),
    /// The device has no room for a batch of that size.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// The answer has not the shape that the labels ask for.
    #[error("the graph answered `{found:?}` where `[{images}, {classes}]` was due")]
    WrongShape {
        /// The shape of the output.
        found: Vec<i64>,
        /// Images in the batch.
        images: usize,
        /// Labels of the model.
        classes: usize,
    },
}
