//! The trait behind which a network runs, and what goes in and out of it.

use thiserror::Error;

mod ensemble;
pub mod fake;
pub mod onnx;
pub mod provider;
pub mod runtime;
mod tensor;

/// What a network takes, as its `model.toml` says.
pub use crate::model::manifest::Input;
/// The names that `model build` gives to what a graph shows beside its scores.
pub(crate) use crate::networks::{FEATURE_MAP, FEATURES};
pub use tensor::{
    BatchTensor, Elements, Features, ImageFeatures, ImageOutputs, Logits, Memory, Outputs,
};

/// A network on one device, owned by one thread.
pub trait Engine: Send {
    /// Runs a batch of `[n, …]` images and returns `[n, classes]` logits; beside them, where that
    /// is wanted, what the network makes them of, if it shows that.
    ///
    /// # Errors
    ///
    /// When the device refuses the batch. Whether the engine still works, a run of something known tells.
    fn run(&mut self, batch: &BatchTensor, wanted: Wanted) -> Result<Outputs, InferenceError>;

    /// A batch of zeros with room for `images` images, where the device reads it fastest.
    fn batch(&self, input: &Input, images: usize) -> BatchTensor {
        BatchTensor::zeros(input, images)
    }

    /// Images that the graph takes at once, where it takes no other number.
    fn fixed_batch(&self) -> Option<usize> {
        None
    }
}

/// What is copied out of a network's outputs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wanted {
    /// The logits alone.
    #[default]
    Logits,
    /// Whatever the network shows.
    Features,
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
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TensorNames {
    /// The picture.
    pub input: String,
    /// A score a class.
    pub output: String,
    /// What it gives beside the scores.
    pub features: FeatureShapes,
}

/// What a graph shows of how it comes to its scores, each for one image.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeatureShapes {
    /// Values of the output `features`, which the last layer reads.
    pub vector: Option<usize>,
    /// Channels, rows and columns of the output `feature_map`, whose mean that often is.
    pub map: Option<[usize; 3]>,
}

impl FeatureShapes {
    /// Numbers that they take together.
    #[must_use]
    pub fn values(&self) -> usize {
        self.vector.unwrap_or(0) + self.map_values()
    }

    /// Numbers that the map takes.
    #[must_use]
    pub fn map_values(&self) -> usize {
        self.map.map_or(0, |map| map.iter().product())
    }
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
