//! What a model is known to make of a known picture, held against what it makes of it now.

use std::path::Path;
use std::sync::Arc;

use super::{Alone, StartError};
use crate::config::InferenceConfig;
use crate::inference::onnx::OnnxRuntime;
use crate::model::{self, Model};
use crate::pipeline;
use crate::preprocess::Pixels;
use crate::selftest::{KnownPicture, SelfTest, SelfTestError};

/// The self-test of a model whose pixels are as they were.
pub(super) struct Known {
    test: SelfTest,
    pub(super) pixels: Pixels,
}

/// Reads a folder's self-test, where it has one, and checks all but the network.
pub(super) fn read(folder: &Path, model: &Model) -> Result<Option<Arc<Known>>, StartError> {
    let failed = |cause| failed(model, cause);
    let Some(test) = SelfTest::read(folder).map_err(failed)? else { return Ok(None) };
    let pixels = test.pixels(pipeline::transform(&model.manifest)).map_err(failed)?;
    Ok(Some(Arc::new(Known { test, pixels })))
}

impl Known {
    /// Checks what the network answers.
    pub(super) fn check(&self, model: &Model, logits: &[f32]) -> Result<(), StartError> {
        self.test.check_logits(logits).map_err(|cause| failed(model, cause))
    }
}

/// Finds out what a model makes of the picture now.
///
/// # Errors
///
/// When the folder is not in order, the provider does not work, or the network does not run or gives
/// scores that are no finite numbers.
pub fn measure(
    runtime: &OnnxRuntime,
    folder: &Path,
    config: &InferenceConfig,
) -> Result<SelfTest, StartError> {
    let model = Arc::new(Model::load(&model::resolve(folder)?)?);
    measure_loaded(&model, &mut Alone::load(runtime, Arc::clone(&model), config)?)
}

/// The same for a network that runs already.
///
/// # Errors
///
/// When it does not run, or gives scores that are no finite numbers.
pub fn measure_loaded(model: &Model, network: &mut Alone) -> Result<SelfTest, StartError> {
    let transform = pipeline::transform(&model.manifest);
    let picture = KnownPicture::new(transform).map_err(|cause| failed(model, cause))?;
    let logits = network.logits(&picture.pixels)?;
    if logits.iter().all(|score| score.is_finite()) {
        Ok(SelfTest::new(picture, logits))
    } else {
        Err(failed(model, SelfTestError::NotFinite))
    }
}

fn failed(model: &Model, cause: SelfTestError) -> StartError {
    StartError::SelfTest { model: model.manifest.name.as_str().to_owned(), cause }
}
