//! The first directory of a TIFF.

use std::io::Cursor;

use image::codecs::tiff::TiffDecoder;
use image::{ExtendedColorType, ImageDecoder};

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::{Cost, Declared};

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    let undecodable =
        |error| ImageError::undecodable(format!("the tiff cannot be decoded: {error}"));
    let mut decoder = TiffDecoder::new(Cursor::new(bytes)).map_err(undecodable)?;
    let orientation = decoder.orientation().map_err(undecodable)?.to_exif();
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    let cost = Cost::PerPixel { bytes: bytes_per_pixel(&decoder), pixels: size.pixels() };
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::UPRIGHT);
    Ok(Declared { size, orientation, cost })
}

/// The stored pixels twice, as a strip or tile may be the whole, and the RGB made of them.
fn bytes_per_pixel(decoder: &TiffDecoder<Cursor<&[u8]>>) -> u64 {
    let stored = match decoder.original_color_type() {
        ExtendedColorType::Cmyk8 => 4,
        ExtendedColorType::Cmyk16 => 8,
        _ => u64::from(decoder.color_type().bytes_per_pixel()),
    };
    stored * 2 + u64::from(decoder.color_type().bytes_per_pixel().max(3))
}
