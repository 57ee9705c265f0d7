//! What of a picture speaks for a class, as a heat map that lies over the picture.
//!
//! A network that ends in global average pooling and one fully connected layer scores a class by
//! the mean of a map, its class activation map: "Learning Deep Features for Discriminative
//! Localization", <https://arxiv.org/abs/1512.04150>.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use thiserror::Error;

use crate::networks::LastLayer;
use crate::preprocess::Seen;

mod colors;

/// Pixels of a heat map's longer side: more than any network's map has, and a file of some KB.
const LONGEST_SIDE: f64 = 128.0;

/// Red, green, blue, and whether it covers anything.
const CHANNELS: u32 = 4;

/// Explains the answers of one network.
#[derive(Debug)]
pub struct Explainer {
    layer: LastLayer,
    rows: usize,
    columns: usize,
}

/// Why a network's answers cannot be explained.
#[derive(Clone, Debug, Error, PartialEq)]
#[error(
    "the last layer reads {channels} channels for {classes} classes, the graph has `{found:?}`"
)]
pub struct Unfit {
    channels: usize,
    classes: usize,
    /// Channels, rows and columns of the map, and classes.
    found: [usize; 4],
}

/// What speaks for a class in each field of the map, `[rows, columns]`; their mean and the class's
/// bias are its score.
#[derive(Clone, Debug, PartialEq)]
struct Activation {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Explainer {
    /// For a map of `[channels, rows, columns]`.
    ///
    /// # Errors
    ///
    /// When the layer does not read that map, or scores other classes.
    pub fn new(layer: LastLayer, map: [usize; 3], classes: usize) -> Result<Self, Unfit> {
        let [channels, rows, columns] = map;
        if layer.channels() != channels || layer.classes() != classes || rows * columns == 0 {
            return Err(Unfit {
                channels: layer.channels(),
                classes: layer.classes(),
                found: [channels, rows, columns, classes],
            });
        }
        Ok(Self { layer, rows, columns })
    }

    /// A PNG in the proportions of the upright picture, coloured where the network looked, from
    /// blue, where nothing speaks for the class, to red, where most does.
    #[must_use]
    pub fn heat_map(&self, class: usize, map: &[f32], seen: &Seen) -> Vec<u8> {
        let activation = self.activation(class, map);
        activation.scaled().over(seen)
    }

    /// The class's weights over the `[channels, rows, columns]` map.
    fn activation(&self, class: usize, map: &[f32]) -> Activation {
        let fields = self.rows * self.columns;
        let mut values = vec![0.0; fields];
        for (weight, channel) in self.layer.of_class(class).iter().zip(map.chunks_exact(fields)) {
            for (value, activity) in values.iter_mut().zip(channel) {
                *value += weight * activity;
            }
        }
        Activation { rows: self.rows, columns: self.columns, values }
    }
}

impl Activation {
    /// From 0, where nothing speaks for the class or something against it, to 1 at its greatest.
    fn scaled(self) -> Self {
        let greatest = self.values.iter().copied().fold(0.0, f32::max);
        let share = |value: f32| if greatest > 0.0 { (value / greatest).max(0.0) } else { 0.0 };
        Self { values: self.values.into_iter().map(share).collect(), ..self }
    }

    fn over(&self, seen: &Seen) -> Vec<u8> {
        let [width, height] = size(seen.picture);
        let mut pixels = Vec::with_capacity((width * height * CHANNELS) as usize);
        for y in 0..height {
            for x in 0..width {
                let share = |at: u32, side: u32| (f64::from(at) + 0.5) / f64::from(side);
                let place = seen.place([share(x, width), share(y, height)]);
                let color = place.map(|place| colors::of(self.at(place)));
                pixels.extend(color.map_or([0; 4], |[red, green, blue]| [red, green, blue, 255]));
            }
        }
        let mut png = Vec::new();
        // Writing to a vector cannot fail, and the pixels are as many as they should be.
        let _ =
            PngEncoder::new(&mut png).write_image(&pixels, width, height, ExtendedColorType::Rgba8);
        png
    }

    /// The value between the four nearest fields, each of which stands for its middle.
    fn at(&self, [x, y]: [f64; 2]) -> f32 {
        let (left, right, across) = neighbours(x, self.columns);
        let (above, below, down) = neighbours(y, self.rows);
        let field = |row: usize, column: usize| self.values[row * self.columns + column];
        let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
        let upper = between(field(above, left), field(above, right), across);
        let lower = between(field(below, left), field(below, right), across);
        between(upper, lower, down)
    }
}

/// The fields on both sides of a place from 0 to 1, and how far it is from the first to the second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a map has some dozens of fields a side"
)]
fn neighbours(place: f64, fields: usize) -> (usize, usize, f32) {
    let last = fields - 1;
    let at = (place * fields as f64 - 0.5).clamp(0.0, last as f64);
    let first = at as usize;
    (first, (first + 1).min(last), at.fract() as f32)
}

/// The picture's proportions, with the longer side as long as it may be.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 1 to the longest side"
)]
fn size(picture: [u32; 2]) -> [u32; 2] {
    let [width, height] = picture.map(|side| f64::from(side.max(1)));
    let scale = LONGEST_SIDE / width.max(height);
    [width, height].map(|side| (side * scale).round().max(1.0) as u32)
}

#[cfg(test)]
mod tests;
