//! `model.toml` as it is written: the sections, keys and words of the file.

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
    #[default]
    Float32,
    /// IEEE 754 half precision.
    Float16,
    /// Bytes as they are; the graph normalises by itself.
    Uint8,
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
