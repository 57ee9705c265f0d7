//! Batch normalisation folded into the convolution before it.

use super::Affine;

/// What torchvision's batch normalisations add to the variance.
const EPSILON: f64 = 1e-5;

/// The tensors of a batch normalisation, one value per channel.
pub(crate) struct Normalization {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) running_mean: Vec<f32>,
    pub(crate) running_var: Vec<f32>,
}

/// A convolution without a bias followed by `normalization`, as one convolution.
///
/// With `s = weight / sqrt(running_var + 1e-5)`, the weight of each channel is multiplied by `s` and the
/// bias is `bias - running_mean * s`; in float64, so that each result is rounded once.
pub(crate) fn fold(mut weight: Vec<f32>, normalization: &Normalization) -> Affine {
    let channels = normalization.weight.len();
    let mut bias = Vec::with_capacity(channels);
    let per_channel = weight.len() / channels;
    for (channel, values) in weight.chunks_exact_mut(per_channel).enumerate() {
        let variance = f64::from(normalization.running_var[channel]) + EPSILON;
        let scale = f64::from(normalization.weight[channel]) / variance.sqrt();
        for value in values {
            *value = rounded(f64::from(*value) * scale);
        }
        let mean = f64::from(normalization.running_mean[channel]);
        bias.push(rounded(f64::from(normalization.bias[channel]) - mean * scale));
    }
    Affine { weight, bias }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding that is meant; what overflows is found as not finite"
)]
fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_scaled_and_shifted() {
        let normalization = Normalization {
            weight: vec![2.0, 1.0],
            bias: vec![0.5, 0.0],
            running_mean: vec![3.0, -1.0],
            running_var: vec![4.0 - 1e-5, 1.0 - 1e-5],
        };
        let folded = fold(vec![1.0, 2.0, 3.0, 4.0], &normalization);
        assert_eq!(folded.weight, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(folded.bias, [-2.5, 1.0]);
    }

    #[test]
    fn a_negative_variance_shows_as_not_a_number() {
        let normalization = Normalization {
            weight: vec![1.0],
            bias: vec![0.0],
            running_mean: vec![0.0],
            running_var: vec![-1.0],
        };
        assert!(fold(vec![1.0], &normalization).weight[0].is_nan());
    }
}
