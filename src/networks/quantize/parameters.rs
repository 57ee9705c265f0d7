//! Scales and zero points: an activation becomes a byte, a weight a sign and six bits.

use super::Range;

/// The greatest weight, of the 127 that a byte has room for. Where a processor sums two products in 16 bits
/// (x86 without VNNI), larger ones would not fit, and the answer would depend on the machine.
const GREATEST_WEIGHT: f32 = 64.0;

/// The greatest bias, so that what is summed with it fits into 32 bits.
const GREATEST_BIAS: f32 = 1_073_741_824.0; // 2^30

/// How an activation is quantized: `number = scale × (byte - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct QuantizationParameters {
    /// From one byte to the next.
    pub(super) scale: f32,
    /// The byte of 0, which is exact: borders and rectifiers are made of it.
    pub(super) zero_point: u8,
}

/// A layer's weights and biases, with a scale for each channel.
#[derive(Debug, PartialEq)]
pub(super) struct QuantizedLayer {
    pub(super) weights: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) biases: Vec<i32>,
    /// Of the biases: a channel's scale times the input's.
    pub(super) bias_scales: Vec<f32>,
}

/// Where a weight's channel stands in its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels {
    pub(super) count: usize,
    /// Weights that follow each other in a channel.
    pub(super) run: usize,
}

impl QuantizationParameters {
    /// For numbers of this range, and 0.
    pub(super) fn of(Range { minimum, maximum }: Range) -> Self {
        let (minimum, maximum) = (f64::from(minimum.min(0.0)), f64::from(maximum.max(0.0)));
        let scale = (maximum - minimum) / 255.0;
        // A value that never is anything but 0 has any scale.
        let scale = if scale > f64::from(f32::MIN_POSITIVE) { scale } else { 1.0 };
        let zero_point = (-minimum / scale).round().clamp(0.0, 255.0);
        Self { scale: as_f32(scale), zero_point: as_u8(zero_point) }
    }
}

impl Channels {
    /// The channels along a dimension of weights of this shape.
    pub(super) fn along(axis: usize, dims: &[usize]) -> Self {
        let run = dims.iter().skip(axis + 1).product();
        Self { count: dims.get(axis).copied().unwrap_or(0), run }
    }

    fn of(self, index: usize) -> usize {
        index / self.run % self.count
    }
}

impl QuantizedLayer {
    /// Of weights, and of biases, if there are any, of a layer whose input has this scale.
    pub(super) fn new(
        (weights, channels): (&[f32], Channels),
        biases: &[f32],
        input_scale: f32,
    ) -> Self {
        let scales = scales((weights, channels), biases, input_scale);
        let steps = |(index, weight): (usize, &f32)| {
            let steps = (weight / scales[channels.of(index)]).round();
            as_i8(steps.clamp(-GREATEST_WEIGHT, GREATEST_WEIGHT))
        };
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let bias = |(bias, scale): (&f32, &f32)| {
            as_i32((bias / scale).round().clamp(-GREATEST_BIAS, GREATEST_BIAS))
        };
        Self {
            weights: weights.iter().enumerate().map(steps).collect(),
            biases: biases.iter().zip(&bias_scales).map(bias).collect(),
            scales,
            bias_scales,
        }
    }
}

/// So large that a channel's weights and its bias fit.
fn scales((weights, channels): (&[f32], Channels), biases: &[f32], input_scale: f32) -> Vec<f32> {
    let mut scales = vec![0.0_f32; channels.count];
    for (index, weight) in weights.iter().enumerate() {
        let scale = &mut scales[channels.of(index)];
        *scale = scale.max(weight.abs() / GREATEST_WEIGHT);
    }
    for (scale, bias) in scales.iter_mut().zip(biases) {
        *scale = scale.max(bias.abs() / GREATEST_BIAS / input_scale);
    }
    // A channel of nothing but zeros, or of less than can be told from them.
    scales.iter_mut().filter(|scale| !scale.is_normal()).for_each(|scale| *scale = 1.0);
    scales
}

#[expect(clippy::cast_possible_truncation, reason = "a scale is a float32 in the graph")]
fn as_f32(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 255")]
fn as_u8(steps: f64) -> u8 {
    steps as u8
}

#[expect(clippy::cast_possible_truncation, reason = "it is from -64 to 64")]
fn as_i8(steps: f32) -> i8 {
    steps as i8
}

#[expect(clippy::cast_possible_truncation, reason = "it is within 2^30")]
fn as_i32(steps: f32) -> i32 {
    steps as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(minimum: f32, maximum: f32) -> QuantizationParameters {
        QuantizationParameters::of(Range { minimum, maximum })
    }

    #[test]
    fn zero_is_exact_and_the_range_is_used_to_its_ends() {
        assert_eq!(
            parameters(0.0, 2.55),
            QuantizationParameters { scale: 2.55 / 255.0, zero_point: 0 }
        );
        assert_eq!(parameters(-1.0, 1.55).zero_point, 100);
        assert_eq!(
            parameters(-5.1, -1.0),
            QuantizationParameters { scale: 5.1 / 255.0, zero_point: 255 }
        );
        assert_eq!(
            parameters(1.0, 5.1),
            QuantizationParameters { scale: 5.1 / 255.0, zero_point: 0 }
        );
        for nothing in [parameters(0.0, 0.0), parameters(0.0, f32::MIN_POSITIVE / 2.0)] {
            assert_eq!(nothing, QuantizationParameters { scale: 1.0, zero_point: 0 });
        }
        assert!(parameters(f32::MIN, f32::MAX).scale.is_finite());
    }

    #[test]
    fn each_channel_has_a_scale_of_its_own_along_either_axis() {
        let rows = Channels::along(0, &[2, 3]);
        let of_rows = QuantizedLayer::new((&[1.0, -2.0, 0.5, 64.0, 32.0, 0.0], rows), &[], 1.0);
        assert_eq!(of_rows.weights, [32, -64, 16, 64, 32, 0]);
        assert_eq!(of_rows.scales, [2.0 / 64.0, 1.0]);
        let columns = Channels::along(1, &[3, 2]);
        let of_columns =
            QuantizedLayer::new((&[1.0, 64.0, -2.0, 32.0, 0.5, 0.0], columns), &[], 1.0);
        assert_eq!(of_columns.weights, [32, 64, -64, 32, 16, 0]);
        assert_eq!(of_columns.scales, [2.0 / 64.0, 1.0]);
    }

    #[test]
    fn a_bias_is_in_steps_of_weight_times_input() {
        let channels = Channels::along(0, &[2, 1]);
        let quantized = QuantizedLayer::new((&[64.0, 32.0], channels), &[3.0, -1.0], 0.5);
        assert_eq!(quantized.scales, [1.0, 0.5]);
        assert_eq!(quantized.bias_scales, [0.5, 0.25]);
        assert_eq!(quantized.biases, [6, -4]);
    }

    #[test]
    fn a_large_bias_makes_the_weights_coarser_and_is_kept() {
        let channels = Channels::along(0, &[1, 1]);
        let quantized = QuantizedLayer::new((&[1e-6], channels), &[1000.0], 1e-3);
        let restored = f64::from(quantized.biases[0]) * f64::from(quantized.bias_scales[0]);
        assert!((restored - 1000.0).abs() < 1e-3, "{restored}");
    }

    #[test]
    fn a_channel_of_zeros_stays_one() {
        let channels = Channels::along(0, &[2, 2]);
        let quantized = QuantizedLayer::new((&[0.0, 0.0, 1e-42, 0.0], channels), &[0.0, 0.0], 1.0);
        assert_eq!(quantized.weights, [0, 0, 0, 0]);
        assert_eq!(quantized.scales, [1.0, 1.0]);
    }
}
