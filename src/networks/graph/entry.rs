//! The way from the graph's input to the first layer: bytes become numbers, small pictures larger.

use super::{Graph, INPUT};
use crate::networks::onnx::make::to_i64;
use crate::networks::onnx::{DataType, NodeProto, ValueInfoProto};
use crate::networks::options::{Checked, InputType, Normalization, Precision};

/// What the graph takes, by name, type and shape.
pub(super) fn declaration(options: &Checked) -> ValueInfoProto {
    let (height, width) = (options.height, options.width);
    match options.input_type {
        InputType::Float32 => ValueInfoProto::batched(INPUT, DataType::Float, &[3, height, width]),
        InputType::Uint8(_) => ValueInfoProto::batched(INPUT, DataType::Uint8, &[height, width, 3]),
    }
}

impl Graph<'_> {
    /// The value that the first layer takes: `[n, 3, h, w]`, in the precision that it computes in.
    pub(super) fn enter(&mut self, options: &Checked) -> String {
        let mut value = INPUT.to_owned();
        if let InputType::Uint8(normalization) = &options.input_type {
            value = self.normalize(&value, normalization);
        }
        if options.upscale > 1 {
            value = self.upscale(&value, options.upscale);
        }
        match options.precision {
            Precision::Float32 => value,
            Precision::Float16 => self.cast(&value, "input.float16", DataType::Float16),
        }
    }

    /// `(byte / 255 - mean) / std` as one multiplication and one addition.
    ///
    /// The channels move first, while they are a quarter of the bytes. Folding the two steps into the first
    /// convolution would be cheaper and wrong: its zero padding stands for the mean, not for black.
    fn normalize(&mut self, value: &str, normalization: &Normalization) -> String {
        let Normalization { mean, std } = normalization;
        let scale = std.map(|deviation| rounded(1.0 / (255.0 * deviation)));
        let shift = [0, 1, 2].map(|channel| rounded(-mean[channel] / std[channel]));
        let per_channel = [1, 3, 1, 1];
        let scale = self.numbers("normalize.scale", &per_channel, &scale);
        let shift = self.numbers("normalize.shift", &per_channel, &shift);
        let planes = self.push(
            NodeProto::new("Transpose", "normalize.planes", [value]).ints("perm", &[0, 3, 1, 2]),
        );
        let numbers = self.cast(&planes, "normalize.numbers", DataType::Float);
        let scaled = self.push(NodeProto::new("Mul", "normalize.scaled", [&numbers, &scale]));
        self.push(NodeProto::new("Add", "normalize.shifted", [&scaled, &shift]))
    }

    /// Bilinear, half-pixel centres: `interpolate(…, mode="bilinear", align_corners=False)` in PyTorch.
    fn upscale(&mut self, value: &str, factor: usize) -> String {
        let factor = f32::from(u8::try_from(factor).unwrap_or(u8::MAX));
        let scales = self.numbers("upscale.scales", &[4], &[1.0, 1.0, factor, factor]);
        self.push(
            NodeProto::new("Resize", "upscale", [value, "", &scales])
                .word("mode", "linear")
                .word("coordinate_transformation_mode", "half_pixel"),
        )
    }

    /// The integers with which ONNX cuts every `stride`-th pixel out of a map.
    pub(super) fn subsampling(&mut self, name: &str, stride: usize) -> [String; 4] {
        let stride = to_i64(stride);
        [
            self.integers(&format!("{name}.starts"), &[0, 0]),
            self.integers(&format!("{name}.ends"), &[i64::MAX, i64::MAX]),
            self.integers(&format!("{name}.axes"), &[2, 3]),
            self.integers(&format!("{name}.steps"), &[stride, stride]),
        ]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the rounding to float32 that is meant")]
fn rounded(value: f64) -> f32 {
    value as f32
}
