//! From what the network says to the tensors that were asked for.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use super::interface::Quantity;
use super::message::{InferRequest, OutputData, OutputTensor, RequestedOutput};
use crate::inference::Wanted;
use crate::pipeline::Scores;
use crate::ranking::{self, Ranked};
use crate::serving::{RequestError, ServedModel};

/// Bytes of a number in an answer, at most: in the tensor, and as it is written, in JSON.
const NUMBER_BYTES: u64 = 4 + 16;

/// Bytes of a class in an answer: as a text of its own, and as it is written; labels that are longer
/// are few.
const CLASS_BYTES: u64 = 256;

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
/// For an output that the model does not have, and for one that is asked for twice.
pub(super) fn select(
    model: &ServedModel,
    request: &InferRequest,
) -> Result<Vec<Selected>, RequestError> {
    let outputs = model.outputs();
    let by_class = |(_, quantity): &&(&str, Quantity)| quantity.is_by_class();
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
        return Ok(outputs.iter().filter(by_class).map(every).collect());
    }
    let find = |wanted: &RequestedOutput| {
        let found = outputs.iter().find(|(name, _)| *name == wanted.name);
        let Some((name, quantity)) = found else {
            let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
            let (name, names) = (&wanted.name, names.join("`, `"));
            let words = format!("there is no output `{name}`; there are `{names}`");
            return Err(RequestError::Invalid(words));
        };
        if wanted.classes.is_some() && !quantity.is_by_class() {
            let words = format!("the output `{name}` has no classes to choose the best of");
            return Err(RequestError::Invalid(words));
        }
        Ok(selected(wanted, *quantity))
    };
    let mut names = HashSet::new();
    if let Some(twice) = request.outputs.iter().find(|wanted| !names.insert(&wanted.name)) {
        let words = format!("the output `{}` is asked for twice", twice.name);
        return Err(RequestError::Invalid(words));
    }
    request.outputs.iter().map(find).collect()
}

impl Selected {
    /// The output for the scores of all images.
    pub(super) fn tensor(&self, model: &ServedModel, scores: &[Scores]) -> OutputTensor {
        let values = scores.iter().map(|scores| self.values(model, scores));
        let (columns, data) = match self.classes {
            None => {
                let columns = model.output_dimensions(self.quantity);
                (columns, OutputData::Float32(values.flatten().collect()))
            }
            Some(classes) => {
                let count = classes.get().min(model.classes());
                let best = values.flat_map(|values| ranking::top_k(&values, count));
                let texts = best.map(|ranked| class(model, ranked)).collect();
                (vec![count], OutputData::Classes(texts))
            }
        };
        let shape = [scores.len()].into_iter().chain(columns).collect();
        OutputTensor { name: self.name.clone(), shape, data, binary: self.binary }
    }

    /// Bytes that it takes for one image.
    fn bytes(&self, model: &ServedModel) -> u64 {
        match self.classes {
            None => {
                let columns = model.output_dimensions(self.quantity);
                columns.iter().product::<usize>() as u64 * NUMBER_BYTES
            }
            Some(classes) => classes.get().min(model.classes()) as u64 * CLASS_BYTES,
        }
    }

    fn values(&self, model: &ServedModel, scores: &Scores) -> Vec<f32> {
        let activation = model.pipeline.model.manifest.output.activation;
        let features = scores.features.as_ref();
        match self.quantity {
            Quantity::Scores => scores.logits.clone(),
            Quantity::Probabilities => ranking::probabilities(&scores.logits, activation),
            Quantity::Features => {
                features.map(|features| features.vector.clone()).unwrap_or_default()
            }
            Quantity::FeatureMap => {
                features.map(|features| features.map.clone()).unwrap_or_default()
            }
        }
    }
}

/// Bytes that all outputs together take for one image, in the answer and while it is written.
pub(super) fn bytes(outputs: &[Selected], model: &ServedModel) -> u64 {
    outputs.iter().map(|output| output.bytes(model)).sum()
}

/// What they take of the network.
pub(super) fn wanted(outputs: &[Selected]) -> Wanted {
    let features = outputs.iter().any(|output| !output.quantity.is_by_class());
    if features { Wanted::Features } else { Wanted::Logits }
}

/// As the classification extension has it.
fn class(model: &ServedModel, Ranked { class, probability }: Ranked) -> String {
    format!("{probability}:{class}:{}", model.pipeline.model.labels[class].text)
}
