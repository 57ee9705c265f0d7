//! A network that runs one picture at a time, without a queue before it.

use std::sync::Arc;

use super::{StartError, activation, does_not_run, executor, first_session};
use crate::batching::Executor;
use crate::config::InferenceConfig;
use crate::inference::Engine as _;
use crate::inference::onnx::OnnxRuntime;
use crate::model::Model;
use crate::preprocess::Pixels;

/// A model for whoever asks for scores and nothing else.
pub struct Alone {
    model: Arc<Model>,
    executor: Executor,
    slots: usize,
}

impl Alone {
    /// One session, as a configuration asks for it.
    ///
    /// # Errors
    ///
    /// When no provider that may be used works, or the graph does not fit its `model.toml`.
    pub fn load(
        runtime: &OnnxRuntime,
        model: Arc<Model>,
        config: &InferenceConfig,
    ) -> Result<Self, StartError> {
        let (_, mut engine, _) = first_session(runtime, &model, config)?;
        activation::check(&model, &mut engine)?;
        let slots = engine.fixed_batch().unwrap_or(1);
        Ok(Self { executor: executor(engine, &model.manifest, slots), model, slots })
    }

    /// What the network makes of a picture: `[classes]`.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn logits(&mut self, pixels: &Pixels) -> Result<Vec<f32>, StartError> {
        let logits = self.executor.run_one(self.slots, pixels);
        logits.map_err(|cause| does_not_run(&self.model, cause))
    }

    /// Images that the graph takes at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }
}
