//! The blocks of a GIF, up to its first frame.

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::{truncated, u16_le};
use super::{Cost, Declared};

/// Screen and frame in RGBA, and the indices; the screen becomes RGB in place.
const BYTES_PER_PIXEL: u64 = 4 + 4 + 1;
const SCREEN_BYTES: usize = 13;
const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    parse(bytes).ok_or_else(|| truncated("gif"))
}

fn parse(bytes: &[u8]) -> Option<Declared> {
    let size = Size { width: u16_le(bytes, 6)?, height: u16_le(bytes, 8)? };
    let frame = first_frame(bytes)?;
    let pixels = size.pixels().max(frame.pixels());
    let cost = Cost::PerPixel { bytes: BYTES_PER_PIXEL, pixels };
    Some(Declared { size, orientation: Orientation::UPRIGHT, cost })
}

fn first_frame(bytes: &[u8]) -> Option<Size> {
    let flags = *bytes.get(10)?;
    let palette = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut rest = bytes.get(SCREEN_BYTES + palette..)?;
    loop {
        match *rest.first()? {
            EXTENSION => rest = after_blocks(rest.get(2..)?)?,
            FRAME => return Some(Size { width: u16_le(rest, 5)?, height: u16_le(rest, 7)? }),
            _ => return None,
        }
    }
}

/// What follows a list of blocks, each with its length before it and the last of length zero.
fn after_blocks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, data) = rest.split_first()?;
        rest = data.get(usize::from(*length)..)?;
        if *length == 0 {
            return Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_larger_than_the_screen_counts_as_large_as_it_is() {
        let mut gif = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
        gif.extend(b"!\xf9\x04\0\0\0\0\0");
        gif.extend(b",\0\0\0\0\xff\xff\xff\xff\0");

        let declared = read(&gif).unwrap();

        assert_eq!(declared.size, Size { width: 1, height: 1 });
        assert_eq!(
            declared.cost,
            Cost::PerPixel { bytes: BYTES_PER_PIXEL, pixels: 65_535 * 65_535 }
        );
    }

    #[test]
    fn a_gif_without_a_frame_is_cut_off() {
        assert_eq!(read(b"GIF89a\x01\0\x01\0\0\0\0").unwrap_err(), truncated("gif"));
    }
}
