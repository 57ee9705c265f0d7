//! From logits to the most probable classes.

use crate::model::manifest::Activation;

/// A class and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The index of the class.
    pub class: usize,
    /// From 0 to 1.
    pub probability: f32,
}

/// Makes probabilities of one image's `[classes]` scores.
#[must_use]
pub fn probabilities(scores: &[f32], activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Softmax => softmax(scores),
        Activation::None => scores.to_vec(),
    }
}

/// How far rounding may take a probability below 0 or above 1, and a sum of them from 1.
const ROUNDING: f32 = 1e-3;

/// Whether scores that are to be probabilities are some, but for rounding. They need not sum to 1:
/// classes that do not exclude each other have one each.
#[must_use]
pub fn may_be_probabilities(scores: &[f32]) -> bool {
    scores.iter().all(|score| (-ROUNDING..=1.0 + ROUNDING).contains(score))
}

/// Whether scores that are to be logits have been through a softmax already.
#[must_use]
pub fn are_probabilities(scores: &[f32]) -> bool {
    let sum: f32 = scores.iter().sum();
    scores.iter().all(|score| *score >= 0.0) && (sum - 1.0).abs() <= ROUNDING
}

/// Says why scores are no probabilities.
#[must_use]
pub fn no_probabilities(scores: &[f32]) -> String {
    let odd = scores.iter().find(|score| !may_be_probabilities(&[**score]));
    let which = odd.map_or_else(String::new, |score| format!(" ({score} is among them)"));
    format!("the graph's numbers are no probabilities{which}")
}

/// The mean of several looks at one image; a single one's as they are.
#[must_use]
pub fn mean(looks: impl ExactSizeIterator<Item = Vec<f32>>) -> Vec<f32> {
    let count = u16::try_from(looks.len()).map_or(f32::INFINITY, f32::from);
    let sum = |mut sum: Vec<f32>, look: Vec<f32>| {
        for (sum, value) in sum.iter_mut().zip(look) {
            *sum += value;
        }
        sum
    };
    let mut mean = looks.reduce(sum).unwrap_or_default();
    if count > 1.0 {
        for value in &mut mean {
            *value /= count;
        }
    }
    mean
}

/// The `count` most probable classes, best first; equals stand in the order of the classes.
#[must_use]
pub fn top_k(probabilities: &[f32], count: usize) -> Vec<Ranked> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    let better =
        |a: &usize, b: &usize| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b));
    if count < classes.len() {
        classes.select_nth_unstable_by(count, better);
        classes.truncate(count);
    }
    classes.sort_unstable_by(better);
    classes.into_iter().map(|class| Ranked { class, probability: probabilities[class] }).collect()
}

/// The greatest logit is subtracted first, so that no exponential overflows.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut values: Vec<f32> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f32 = values.iter().sum();
    for value in &mut values {
        *value /= sum;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(probabilities: &[f32], count: usize) -> Vec<usize> {
        top_k(probabilities, count).iter().map(|ranked| ranked.class).collect()
    }

    #[test]
    fn probabilities_sum_to_one_even_for_huge_logits() {
        let values = probabilities(&[1000.0, 999.0, -1000.0], Activation::Softmax);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((values[0] - 0.731_058_6).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn probabilities_of_a_network_that_gives_them_stay_as_they_are() {
        assert_eq!(probabilities(&[0.25, 0.75], Activation::None), [0.25, 0.75]);
    }

    #[test]
    fn probabilities_are_told_from_other_numbers() {
        for rounded in [[0.25, 0.75], [0.0, 1.0], [-0.0005, 1.0005], [0.9, 0.8]] {
            assert!(may_be_probabilities(&rounded), "{rounded:?}");
        }
        for other in [[7.9, 1.4], [-0.3, 0.3], [f32::NAN, 1.0]] {
            assert!(!may_be_probabilities(&other) && !are_probabilities(&other), "{other:?}");
        }
        assert!(are_probabilities(&[0.25, 0.7505]));
        assert!(!are_probabilities(&[-0.0005, 1.0]), "a logit may be below zero");
    }

    #[test]
    fn several_looks_are_averaged_class_by_class() {
        let looks = [vec![0.5, 0.5], vec![1.0, 0.0]];
        assert_eq!(mean(looks.into_iter()), [0.75, 0.25]);
        assert_eq!(mean([vec![0.3, 0.7]].into_iter()), [0.3, 0.7]);
    }

    #[test]
    fn the_best_come_first_and_equals_in_the_order_of_the_classes() {
        assert_eq!(classes(&[0.1, 0.3, 0.1, 0.3, 0.2], 3), [1, 3, 4]);
    }

    #[test]
    fn all_classes_can_be_asked_for() {
        assert_eq!(classes(&[0.1, 0.9], 2), [1, 0]);
    }
}
