//! The two headers of a BMP.

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::{truncated, u16_le, u32_le};
use super::{Cost, Declared};

/// The decoder's pixels with alpha, which become RGB in place; of gray ones RGB is made.
const BYTES_PER_PIXEL: u64 = 4;
/// OS/2's header has sides of two bytes.
const OS2_HEADER_BYTES: u32 = 12;

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    parse(bytes).ok_or_else(|| truncated("bmp"))
}

fn parse(bytes: &[u8]) -> Option<Declared> {
    let size = if u32_le(bytes, 14)? == OS2_HEADER_BYTES {
        Size { width: u16_le(bytes, 18)?, height: u16_le(bytes, 20)? }
    } else {
        // A negative height says that the first row is the top one.
        let height = u32_le(bytes, 22)?.cast_signed().unsigned_abs();
        Size { width: u32_le(bytes, 18)?, height }
    };
    let cost = Cost::PerPixel { bytes: BYTES_PER_PIXEL, pixels: size.pixels() };
    Some(Declared { size, orientation: Orientation::UPRIGHT, cost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_height_is_a_height() {
        let mut bmp = [0; 30];
        bmp[14] = 40;
        bmp[18] = 7;
        bmp[22..26].copy_from_slice(&(-5_i32).to_le_bytes());

        assert_eq!(read(&bmp).unwrap().size, Size { width: 7, height: 5 });
        assert_eq!(read(&bmp[..20]).unwrap_err(), truncated("bmp"));
    }
}
