//! The words that `model.toml` may use where it has a choice.

use serde::Deserialize;

/// Where the channels stand in the input tensor.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[n, 3, h, w]`
    #[default]
    Nchw,
    /// `[n, h, w, 3]`
    Nhwc,
}

/// The element type of the input tensor.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE 754 single precision.
    #[default]
    Float32,
    /// IEEE 754 half precision.
    Float16,
    /// Bytes as they are; the graph normalises by itself.
    Uint8,
}

impl ElementType {
    /// The word in `model.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Uint8 => "uint8",
        }
    }
}

/// The filter that resizes a picture.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// A triangle, as wide as the reduction asks.
    #[default]
    Bilinear,
    /// Catmull-Rom's cousin with `a = -0.5`, as in Pillow.
    Bicubic,
}

/// The order of the three channels.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV reads pictures.
    Bgr,
}

/// What makes probabilities of the graph's output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// The output is logits.
    #[default]
    Softmax,
    /// The output is probabilities already.
    None,
}
