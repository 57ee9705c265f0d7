//! One network and what it is asked for.

use ort::session::{
    HasSelectedOutputs, OutputSelector, RunOptions, SessionInputValue, SessionOutputs,
};
use ort::value::{DynValue, TensorRef};

use super::sessions::Sessions;
use super::signature::Signature;
use crate::inference::{
    BatchTensor, Elements, FeatureShapes, Features, InferenceError, Logits, Outputs, Wanted,
};
use crate::model::manifest::Activation;
use crate::networks::{FEATURE_MAP, FEATURES};

/// Its sessions, with the names that they are called by.
pub(super) struct Network {
    pub(super) sessions: Sessions,
    pub(super) signature: Signature,
    pub(super) classes: usize,
    /// What makes probabilities of its scores.
    pub(super) activation: Activation,
    /// Of one output, so that no device copies maps that nobody asked for.
    pub(super) logits_alone: RunOptions<HasSelectedOutputs>,
}

/// To run a graph for the output of that name.
pub(super) fn alone(output: &str) -> Result<RunOptions<HasSelectedOutputs>, ort::Error> {
    Ok(RunOptions::new()?.with_outputs(OutputSelector::no_default().with(output)))
}

impl Network {
    pub(super) fn run(
        &mut self,
        batch: &BatchTensor,
        wanted: Wanted,
    ) -> Result<Outputs, InferenceError> {
        let ran = self.try_run(batch, wanted);
        if matches!(ran, Err(InferenceError::OutOfMemory(_))) {
            self.sessions.forget(batch.images());
        }
        ran
    }

    fn try_run(&mut self, batch: &BatchTensor, wanted: Wanted) -> Result<Outputs, InferenceError> {
        let value = borrow(batch).map_err(|cause| failed(&cause))?;
        let inputs = vec![(self.signature.input.as_str(), value)];
        let session = self.sessions.of_size(batch.images());
        let session = session.map_err(|cause| told(cause.to_string()))?;
        let shapes = self.signature.features;
        let wanted = wanted == Wanted::Features && shapes.values() > 0;
        let outputs = if wanted {
            session.run(inputs)
        } else {
            session.run_with_options(inputs, &self.logits_alone)
        };
        let mut outputs = outputs.map_err(|cause| failed(&cause))?;
        let output = outputs.remove(&self.signature.output).ok_or_else(|| {
            InferenceError::Failed(format!("no output `{}`", self.signature.output))
        })?;
        let features = wanted.then(|| extract_features(&outputs, (shapes, batch.images())));
        drop(outputs);
        let logits = self.extract(&output, batch.images())?;
        Ok(Outputs { logits, features: features.transpose()? })
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
pub(super) fn failed(cause: &ort::Error) -> InferenceError {
    told(cause.to_string())
}

fn told(text: String) -> InferenceError {
    let words = text.to_ascii_lowercase();
    let spent = ["out of memory", "failed to allocate memory", "memoryallocation", "alloc_failed"];
    if spent.iter().any(|phrase| words.contains(phrase)) {
        InferenceError::OutOfMemory(text)
    } else {
        InferenceError::Failed(text)
    }
}

/// The batch as the runtime's tensor, without a copy.
pub(super) fn borrow(batch: &BatchTensor) -> Result<SessionInputValue<'_>, ort::Error> {
    Ok(match &batch.elements {
        Elements::Float32(values) => TensorRef::from_array_view((batch.shape, &**values))?.into(),
        Elements::Float16(values) => TensorRef::from_array_view((batch.shape, &**values))?.into(),
        Elements::Uint8(values) => TensorRef::from_array_view((batch.shape, &**values))?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_whose_memory_is_spent_is_told_from_one_that_fails() {
        for spent in [
            "CUDA failure 2: out of memory ; GPU=0",
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer",
            "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        ] {
            assert!(matches!(told(spent.to_owned()), InferenceError::OutOfMemory(_)), "{spent}");
        }
        let lost = "CUDA failure 700: an illegal memory access was encountered".to_owned();
        assert!(matches!(told(lost), InferenceError::Failed(_)));
    }
}
