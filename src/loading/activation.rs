//! Whether a graph's numbers are what `output.activation` says of them, tried before it is served.

use std::sync::Arc;

use super::{StartError, batch_of, does_not_run};
use crate::inference::onnx::{LoadError, OnnxEngine};
use crate::inference::{Engine as _, InferenceError};
use crate::model::Model;
use crate::model::manifest::Activation;
use crate::preprocess::Pixels;
use crate::ranking;

/// A network that `model.toml` is wrong about, and in which way.
type Mistake<'a> = (&'a Model, String);

/// Tries each network of a model.
pub(super) fn check(model: &Arc<Model>, engine: &mut OnnxEngine) -> Result<(), StartError> {
    let failed = |cause| does_not_run(model, cause);
    let mistakes = mistakes(model, engine, &mottled(model)).map_err(failed)?;
    if mistakes.is_empty() {
        return Ok(());
    }
    // A few logits may be like probabilities by chance, but hardly for two pictures.
    let (height, width) = size(model);
    let others = self::mistakes(model, engine, &Pixels::black(height, width)).map_err(failed)?;
    let again =
        |(network, _): &Mistake<'_>| others.iter().any(|(other, _)| other.graph == network.graph);
    match mistakes.into_iter().find(again) {
        Some((network, mistake)) => {
            let graph = network.graph.clone();
            Err(LoadError::Signature { graph, mistakes: vec![mistake] }.into())
        }
        None => Ok(()),
    }
}

fn mistakes<'a>(
    model: &'a Arc<Model>,
    engine: &mut OnnxEngine,
    picture: &Pixels,
) -> Result<Vec<Mistake<'a>>, InferenceError> {
    let batch = batch_of(&model.manifest, engine.fixed_batch().unwrap_or(1), picture);
    let of_each = engine.scores_of_each(&batch)?;
    let mistakes =
        model.networks().iter().zip(&of_each).filter_map(|(network, (scores, activation))| {
            let row = scores.rows().next()?;
            Some((&**network, mistake(row, *activation)?))
        });
    Ok(mistakes.collect())
}

fn mistake(scores: &[f32], activation: Activation) -> Option<String> {
    match activation {
        Activation::Softmax if ranking::are_probabilities(scores) => Some(
            "output.activation: the graph's numbers are probabilities already (none is below 0, \
             and they sum to 1); it has to be \"none\""
                .to_owned(),
        ),
        Activation::None if !ranking::may_be_probabilities(scores) => Some(format!(
            "output.activation: {}; \"softmax\" makes them so",
            ranking::no_probabilities(scores)
        )),
        Activation::Softmax | Activation::None => None,
    }
}

/// A picture of every colour.
fn mottled(model: &Model) -> Pixels {
    let (height, width) = size(model);
    let length = height as usize * width as usize * 3;
    let bytes = (0..=u8::MAX).cycle().step_by(89).take(length).collect();
    Pixels::new(height, width, bytes).unwrap_or_else(|| Pixels::black(height, width))
}

fn size(model: &Model) -> (u32, u32) {
    (model.manifest.input.height.get(), model.manifest.input.width.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_that_are_taken_for_logits_name_none() {
        let said = mistake(&[0.1, 0.9], Activation::Softmax).unwrap();
        assert!(said.starts_with("output.activation: ") && said.contains("\"none\""), "{said}");
        assert_eq!(mistake(&[7.9, -1.4], Activation::Softmax), None);
    }

    #[test]
    fn logits_that_are_taken_for_probabilities_name_softmax_and_what_is_wrong() {
        assert_eq!(
            mistake(&[7.9, 1.4], Activation::None).unwrap(),
            "output.activation: the graph's numbers are no probabilities (7.9 is among them); \
             \"softmax\" makes them so"
        );
        let said = mistake(&[0.5, -0.5], Activation::None).unwrap();
        assert!(said.contains("(-0.5 is among them)"), "{said}");
        assert_eq!(mistake(&[0.1, 0.9], Activation::None), None);
    }
}
