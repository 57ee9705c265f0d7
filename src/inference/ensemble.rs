//! The mean of what several networks say of the same images.

use super::Logits;
use crate::model::manifest::Activation;
use crate::ranking;

/// What an ensemble answers with.
pub(super) const OUTPUT: &str = "probabilities";

/// Averages the probabilities of networks, each with what makes probabilities of its scores.
pub(super) fn mean(of_each: &[(Logits, Activation)]) -> Option<Logits> {
    let (first, _) = of_each.first()?;
    let classes = first.rows().next()?.len();
    let of = |(logits, activation): &(Logits, Activation)| -> Vec<f32> {
        let rows = logits.rows();
        rows.flat_map(|row| ranking::probabilities(row, *activation)).collect()
    };
    Some(Logits::new(classes, ranking::mean(of_each.iter().map(of))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_averaged_image_by_image_and_not_scores() {
        let sure = (Logits::new(2, vec![100.0, 0.0, 0.0, 100.0]), Activation::Softmax);
        let unsure = (Logits::new(2, vec![0.5, 0.5, 0.25, 0.75]), Activation::None);
        let mean = mean(&[sure, unsure]).unwrap();
        let rows: Vec<&[f32]> = mean.rows().collect();
        assert_eq!(rows, [[0.75, 0.25], [0.125, 0.875]]);
    }
}
