//! The first directory of a TIFF.

use std::fmt::Display;
use std::io::Cursor;

use image::codecs::tiff::TiffDecoder;
use image::{ExtendedColorType, ImageDecoder};

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::array;
use super::{Cost, Declared};

/// The last of the tags that tell of the pixels. Those behind it, profiles and metadata, may be long:
/// the decoder leaves them alone.
const LAST_TAG: u16 = 532;

/// Values under a tag, such as the places of the strips or tiles. For each the decoder allocates 32
/// bytes on the file's word, and 8 that stay.
const MOST_VALUES: usize = 1 << 16;

const DIRECTORY_ENTRY_BYTES: usize = 12;

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    if claims_too_much(bytes) {
        return Err(undecodable(format!(
            "it claims more values under a tag than it has bytes, or than `{MOST_VALUES}`"
        )));
    }
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

fn undecodable(error: impl Display) -> ImageError {
    ImageError::undecodable(format!("the tiff cannot be decoded: {error}"))
}

/// Whether reading the directory would take memory out of proportion to the file.
fn claims_too_much(bytes: &[u8]) -> bool {
    let most = MOST_VALUES.min(bytes.len());
    let is_long = |(tag, count): (u16, u32)| tag <= LAST_TAG && count as usize > most;
    directory(bytes).is_some_and(|mut entries| entries.any(is_long))
}

/// Tags and numbers of values of the first directory, as far as the file goes.
fn directory(bytes: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let is_big_endian = bytes.starts_with(b"MM");
    let short = move |offset| {
        let field = array(bytes, offset)?;
        Some(if is_big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    };
    let long = move |offset| {
        let field = array(bytes, offset)?;
        Some(if is_big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    };
    let start = long(4)? as usize;
    let entry = move |index: u16| {
        let offset = start + 2 + usize::from(index) * DIRECTORY_ENTRY_BYTES;
        Some((short(offset)?, long(offset + 4)?))
    };
    Some((0..short(start)?).map_while(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose directory has one tag with so many values of four bytes.
    fn tiff(tag: u16, count: u32) -> [Vec<u8>; 2] {
        let little = [&tag.to_le_bytes()[..], &[4, 0], &count.to_le_bytes(), &[0; 8]].concat();
        let big = [&tag.to_be_bytes()[..], &[0, 4], &count.to_be_bytes(), &[0; 8]].concat();
        [
            [&b"II*\0\x08\0\0\0\x01\0"[..], &little].concat(),
            [&b"MM\0*\0\0\0\x08\0\x01"[..], &big].concat(),
        ]
    }

    #[test]
    fn a_small_file_that_claims_a_long_list_is_refused_before_memory_is_taken_for_it() {
        for bytes in [tiff(257, 5_000_000), tiff(273, u32::MAX), tiff(279, 1000)].concat() {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains("claims more values under a tag"), "{error}");
        }
    }

    #[test]
    fn a_long_profile_is_no_list() {
        for bytes in tiff(34_675, 5_000_000) {
            assert!(!claims_too_much(&bytes));
        }
    }

    #[test]
    fn a_long_list_that_is_there_is_refused_as_well() {
        for mut bytes in tiff(273, 65_537) {
            bytes.resize(1 << 20, 0);
            assert!(claims_too_much(&bytes));
        }
        for mut bytes in tiff(273, 65_536) {
            bytes.resize(1 << 20, 0);
            assert!(!claims_too_much(&bytes));
        }
    }
}
