//! A model in this process, for commands that classify files.

use std::fs;
use std::io::{self, Read as _};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Failure;
use crate::api::error::ApiError;
use crate::config::InferenceConfig;
use crate::cpu_pool::CpuPool;
use crate::inference::onnx::OnnxRuntime;
use crate::loading::{self, LoadedModel};
use crate::memory::{Charge, MemoryBudget};
use crate::model::Model;
use crate::pipeline::{Classification, Encoded, Resources};
use crate::telemetry::metrics::Metrics;

/// Pictures that wait for nobody may take as long as they like.
const NO_DEADLINE: Duration = Duration::from_hours(24);

/// What stands for standard input among the pictures, and for standard output among the results.
pub(super) const STANDARD: &str = "-";

/// Loads a model and warms it up.
pub(super) async fn load(
    folder: &Path,
    config: InferenceConfig,
    max_pixels: NonZeroU64,
) -> Result<LoadedModel, Failure> {
    let resources = Resources {
        pool: CpuPool::new(config.cores),
        jpeg_unit: None,
        memory: MemoryBudget::unlimited(),
        max_pixels: max_pixels.get(),
        metrics: Arc::new(Metrics::new()),
    };
    let folder = folder.to_owned();
    let loading = tokio::task::spawn_blocking(move || {
        let runtime = OnnxRuntime::load(config.onnxruntime.as_deref())?;
        loading::load(&runtime, (&folder, Model::open), (&config, &resources))
    });
    let loaded = loading.await.map_err(|cause| Failure::Incomplete(cause.to_string()))?;
    loaded.map_err(Failure::config)
}

/// Classifies one file as the service would.
pub(super) async fn classify(
    model: &LoadedModel,
    file: &Path,
    top_k: usize,
) -> Result<Classification, ApiError> {
    let pipeline = &model.pipeline;
    let deadline = Instant::now() + NO_DEADLINE;
    let places = pipeline.admit(NonZeroUsize::MIN, deadline)?;
    let bytes = read(file).await.map_err(|cause| ApiError::InvalidRequest(cause.to_string()))?;
    let image = Encoded { bytes: bytes.into(), charge: Arc::new(Charge::nothing()) };
    Ok(pipeline.classify(Ok(image), places, &pipeline.request(top_k, deadline)).await?)
}

/// What is slow to come, as from a pipe, holds up no answer.
async fn read(file: &Path) -> io::Result<Vec<u8>> {
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        if file != Path::new(STANDARD) {
            return fs::read(file);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    reading.await.map_err(io::Error::other)?
}
