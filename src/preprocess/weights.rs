//! The weights of a resize in one direction, for a device that resizes in the CPU's stead.
//!
//! They are those of `fast_image_resize`, and of Pillow, to the last bit.

use crate::model::manifest::Interpolation;

/// A weight's fraction has fewer bits, and a weight is less.
const FRACTION_BITS: u32 = 22;
const LARGEST: f64 = 32_768.0;

/// Of which pixels each pixel of a row or of a column is made, and how much of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weights {
    /// For each pixel the first that it is made of.
    pub starts: Vec<u32>,
    /// For each pixel how many it is made of.
    pub counts: Vec<u32>,
    /// For each pixel [`window`](Self::window) weights in units of 2^-[`precision`](Self::precision).
    pub values: Vec<i16>,
    /// The most pixels that one is made of.
    pub window: usize,
    /// Bits of a weight's fraction.
    pub precision: u32,
}

/// A stretch of pixels that is brought to another length, by a filter that sees `side` pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) start: f64,
    pub(super) length: f64,
    pub(super) side: u32,
    /// Pixels of the result.
    pub(super) to: u32,
}

impl Stretch {
    pub(super) fn weights(self, interpolation: Interpolation) -> Weights {
        // Rounded as often as there, where the end is what is known.
        let scale = ((self.start + self.length) - self.start) / f64::from(self.to);
        let filter_scale = scale.max(1.0);
        let radius = support(interpolation) * filter_scale;
        let exact: Vec<(u32, Vec<f64>)> = (0..self.to)
            .map(|pixel| {
                let center = self.start + (f64::from(pixel) + 0.5) * scale;
                exact_weights((center, radius), self.side, |distance| {
                    filter(interpolation, distance * (1.0 / filter_scale))
                })
            })
            .collect();
        rounded(&exact)
    }
}

/// The first pixel that the filter sees around a center, and the weights from there on; their sum is 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the side")]
fn exact_weights(
    (center, radius): (f64, f64),
    side: u32,
    filter: impl Fn(f64) -> f64,
) -> (u32, Vec<f64>) {
    let first = (center - radius).floor().max(0.0) as u32;
    let end = (center + radius).ceil().min(side.into()) as u32;
    let middle = center - 0.5;
    let mut weights: Vec<f64> =
        (first..end).map(|pixel| filter(f64::from(pixel) - middle)).collect();
    let zeros = weights.iter().take_while(|weight| **weight == 0.0).count();
    weights.drain(..zeros);
    let sum: f64 = weights.iter().sum();
    while weights.last() == Some(&0.0) {
        weights.pop();
    }
    if sum != 0.0 {
        for weight in &mut weights {
            *weight /= sum;
        }
    }
    (first + zeros as u32, weights)
}

/// All weights in 16 bits, with the finest fraction for which the largest one fits.
#[expect(clippy::cast_possible_truncation, reason = "a rounded weight is less than `LARGEST`")]
fn rounded(exact: &[(u32, Vec<f64>)]) -> Weights {
    let all = || exact.iter().flat_map(|(_, weights)| weights.iter().copied());
    let largest = all().fold(0.0, f64::max);
    let unit = |precision: u32| f64::from(1_u32 << precision);
    let fits = |precision: &u32| (largest * unit(*precision)).round() < LARGEST;
    let precision = (0..FRACTION_BITS).take_while(fits).last().unwrap_or(0);
    let window = exact.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
    let values = exact.iter().flat_map(|(_, weights)| {
        let weight = |weight: &f64| (weight * unit(precision)).round() as i16;
        let padding = std::iter::repeat_n(0, window - weights.len());
        weights.iter().map(weight).chain(padding)
    });
    Weights {
        starts: exact.iter().map(|(start, _)| *start).collect(),
        counts: exact.iter().map(|(_, weights)| weights.len() as u32).collect(),
        values: values.collect(),
        window,
        precision,
    }
}

/// How far the filter sees, in pixels of the smaller picture.
pub(super) fn support(interpolation: Interpolation) -> f64 {
    match interpolation {
        Interpolation::Bilinear => 1.0,
        Interpolation::Bicubic => 2.0,
    }
}

fn filter(interpolation: Interpolation, distance: f64) -> f64 {
    let x = distance.abs();
    match interpolation {
        Interpolation::Bilinear if x < 1.0 => 1.0 - x,
        Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        Interpolation::Bilinear | Interpolation::Bicubic => 0.0,
    }
}
