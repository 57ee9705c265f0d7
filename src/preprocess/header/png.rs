//! The chunks of a PNG.

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::{array, truncated, u32_be};
use super::{Cost, Declared};

const SIGNATURE_BYTES: usize = 8;
/// A chunk's length, type and checksum.
const CHUNK_FRAME_BYTES: usize = 12;

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    parse(bytes).ok_or_else(|| truncated("png"))
}

fn parse(bytes: &[u8]) -> Option<Declared> {
    if array(bytes, SIGNATURE_BYTES + 4)? != *b"IHDR" {
        return None;
    }
    let size = Size { width: u32_be(bytes, 16)?, height: u32_be(bytes, 20)? };
    let [depth, color] = array(bytes, 24)?;
    let bytes_per_pixel = bytes_per_pixel(depth, color, find(bytes, *b"tRNS").is_some());
    let cost = Cost::PerPixel { bytes: bytes_per_pixel, pixels: size.pixels() };
    let orientation = find(bytes, *b"eXIf").and_then(super::exif_orientation);
    Some(Declared { size, orientation: orientation.unwrap_or(Orientation::UPRIGHT), cost })
}

/// The decoder's samples, and for gray the RGB made of them; other colours become RGB in place.
fn bytes_per_pixel(depth: u8, color: u8, has_transparency: bool) -> u64 {
    let (channels, rgb) = match color {
        0 => (1, 3),
        2 | 3 => (3, 0),
        4 => (2, 3),
        _ => (4, 0),
    };
    let bytes_per_channel = if depth == 16 { 2 } else { 1 };
    (channels + u64::from(has_transparency)) * bytes_per_channel + rgb
}

/// The data of the first chunk of that `kind`.
fn find(bytes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    let mut rest = bytes.get(SIGNATURE_BYTES..)?;
    loop {
        let length = u32_be(rest, 0)? as usize;
        if array(rest, 4)? == kind {
            return rest.get(8..8 + length);
        }
        rest = rest.get(length.checked_add(CHUNK_FRAME_BYTES)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orientation_may_stand_behind_the_pixels() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], data: &[u8]| {
            png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            png.extend([kind, data, &[0; 4]].concat());
        };
        chunk(b"IHDR", &[0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
        chunk(b"IDAT", &[1, 2, 3]);
        chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");

        let declared = read(&png).unwrap();

        assert_eq!(declared.size, Size { width: 3, height: 2 });
        assert_eq!(declared.orientation.to_exif(), 6);
    }

    #[test]
    fn a_header_that_is_cut_off_is_undecodable() {
        assert_eq!(read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0").unwrap_err(), truncated("png"));
    }
}
