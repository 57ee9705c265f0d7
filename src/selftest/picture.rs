//! A picture made by a formula.

use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

use crate::preprocess::ImageError;

/// JPEG's usual quality.
const QUALITY: u8 = 75;

/// A JPEG whose shorter side is a quarter longer than what it will be resized to, with waves of
/// several lengths in each direction, and halved colours, so that every step of decoding shows.
pub(super) fn encoded(shorter_side: u32) -> Result<Vec<u8>, ImageError> {
    let height = shorter_side + shorter_side / 4 + 1;
    let width = height + height / 3;
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)));
    let pixels: Vec<u8> = pixels.collect();
    let (width, height) = (width as usize, height as usize);
    compress(&pixels, width, height, PixelFormat::Rgb, QUALITY, Subsampling::S420)
        .map_err(|cause| ImageError::Undecodable { reason: cause.to_string() })
}

fn pixel(x: u32, y: u32) -> [u8; 3] {
    [wave(3 * x + y), wave(2 * y + x / 2), wave(5 * x / 3 + 200 - (y % 200))]
}

/// Up and down between 0 and 255.
fn wave(at: u32) -> u8 {
    let phase = at % 511;
    u8::try_from(phase.min(510 - phase)).unwrap_or(u8::MAX)
}
