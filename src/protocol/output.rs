//! From what the network says to the tensors that were asked for.

use std::num::NonZeroUsize;

use super::interface::Quantity;
use super::message::{InferRequest, OutputData, OutputTensor, RequestedOutput};
use crate::ranking::{self, Ranked};
use crate::serving::{RequestError, ServedModel};

/// An output that is asked for and can be had.
#[derive(Debug)]
pub(super) struct Selected {
    name: String,
    quantity: Quantity,
    classes: Option<NonZeroUsize>,
    binary: bool,
}

/// Finds what a request asks for, or everything where it does not say.
///
/// # Errors
///
/// For an output that the model does not have.
pub(super) fn select(
    model: &ServedModel,
    request: &InferRequest,
) -> Result<Vec<Selected>, RequestError> {
    let outputs = model.outputs();
    let selected = |wanted: &RequestedOutput, quantity| Selected {
        name: wanted.name.clone(),
        quantity,
        classes: wanted.classes,
        binary: wanted.binary.unwrap_or(request.binary_output),
    };
    if request.outputs.is_empty() {
        let every = |(name, quantity): &(&str, Quantity)| {
            let wanted = RequestedOutput { name: (*name).to_owned(), ..Default::default() };
            selected(&wanted, *quantity)
        };
        return Ok(outputs.iter().map(every).collect());
    }
    let find = |wanted: &RequestedOutput| {
        let found = outputs.iter().find(|(name, _)| *name == wanted.name);
        found.map(|(_, quantity)| selected(wanted, *quantity)).ok_or_else(|| {
            let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
            let (name, names) = (&wanted.name, names.join("`, `"));
            RequestError::Invalid(format!("there is no output `{name}`; there are `{names}`"))
        })
    };
    request.outputs.iter().map(find).collect()
}

impl Selected {
    /// The output for the scores of all images.
    pub(super) fn tensor(&self, model: &ServedModel, scores: &[Vec<f32>]) -> OutputTensor {
        let activation = model.pipeline.model.manifest.output.activation;
        let values = scores.iter().map(|scores| match self.quantity {
            Quantity::Scores => scores.clone(),
            Quantity::Probabilities => ranking::probabilities(scores, activation),
        });
        let (columns, data) = match self.classes {
            None => (model.classes(), OutputData::Float32(values.flatten().collect())),
            Some(classes) => {
                let count = classes.get().min(model.classes());
                let best = values.flat_map(|values| ranking::top_k(&values, count));
                let texts = best.map(|ranked| class(model, ranked)).collect();
                (count, OutputData::Classes(texts))
            }
        };
        let shape = [scores.len(), columns];
        OutputTensor { name: self.name.clone(), shape, data, binary: self.binary }
    }
}

/// As the classification extension has it.
fn class(model: &ServedModel, Ranked { class, probability }: Ranked) -> String {
    format!("{probability}:{class}:{}", model.pipeline.model.labels[class].text)
}
