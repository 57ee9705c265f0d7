//! Sessions of a model without a queue before them, for whoever measures the network alone.

use std::sync::Arc;

use super::{Layout, StartError, all_sessions, first_session};
use crate::config::InferenceConfig;
use crate::inference::Engine as _;
use crate::inference::onnx::{OnnxEngine, OnnxRuntime};
use crate::inference::provider::Provider;
use crate::model::Model;

/// Sessions as `serve` would make them, none of which has run yet.
pub struct BareSessions {
    /// One for each worker.
    pub engines: Vec<OnnxEngine>,
    /// What they run on.
    pub provider: Provider,
    /// How many, with how many threads, for batches of how many images.
    pub layout: Layout,
    /// Images that the graph takes at once, where it takes no other number.
    pub fixed_batch: Option<usize>,
}

/// Makes the sessions that a configuration asks for.
///
/// # Errors
///
/// When no provider that may be used works, or the graph does not fit its `model.toml`.
pub fn bare(
    runtime: &OnnxRuntime,
    model: &Arc<Model>,
    config: &InferenceConfig,
) -> Result<BareSessions, StartError> {
    let (factory, first, layout) = first_session(runtime, model, config)?;
    let fixed_batch = first.fixed_batch();
    let engines = all_sessions(&factory, first, layout)?;
    Ok(BareSessions { engines, provider: factory.provider, layout, fixed_batch })
}
