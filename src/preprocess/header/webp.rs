//! The chunks of a WebP.

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::{array, truncated, u16_le, u24_le, u32_le};
use super::{Cost, Declared};

/// Planes of brightness and colour, the pixels of four bytes, and an alpha channel with its own
/// lossless picture; a lossless picture takes less.
const STILL_BYTES_PER_PIXEL: u64 = 2 + 4 + 6;
/// Beside these a canvas, the result, and each smaller picture of the transforms.
const MOVING_BYTES_PER_PIXEL: u64 = STILL_BYTES_PER_PIXEL + 4 + 4 + 4;
/// `RIFF`, the length, `WEBP`.
const CONTAINER_BYTES: usize = 12;
const ANIMATION_FRAME_BYTES: usize = 16;
const VP8_START_CODE: [u8; 3] = [0x9d, 1, 0x2a];

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    let declared_bytes = u32_le(bytes, 4).ok_or_else(|| truncated("webp"))? as usize;
    if bytes.len() < declared_bytes.saturating_add(8) {
        return Err(truncated("webp"));
    }
    let mut chunks = Chunks { rest: &bytes[CONTAINER_BYTES..] };
    let size = canvas(chunks.clone())
        .ok_or_else(|| ImageError::undecodable("the webp has no picture in its first chunk"))?;
    if !frames_fit(chunks.clone(), size) {
        return Err(ImageError::undecodable("the webp has a frame that does not fit its canvas"));
    }
    let is_moving = chunks.clone().any(|chunk| chunk.kind == *b"ANMF");
    let bytes_per_pixel = if is_moving { MOVING_BYTES_PER_PIXEL } else { STILL_BYTES_PER_PIXEL };
    let exif = chunks.find(|chunk| chunk.kind == *b"EXIF");
    let orientation = exif.and_then(|chunk| super::exif_orientation(without_prefix(chunk.data)));
    let cost = Cost::PerPixel { bytes: bytes_per_pixel, pixels: size.pixels() };
    Ok(Declared { size, orientation: orientation.unwrap_or(Orientation::UPRIGHT), cost })
}

/// Some writers put JPEG's marker before the EXIF data.
fn without_prefix(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)
}

fn canvas(mut chunks: Chunks) -> Option<Size> {
    let chunk = chunks.next()?;
    if chunk.kind == *b"VP8X" {
        return Some(Size {
            width: u24_le(chunk.data, 4)? + 1,
            height: u24_le(chunk.data, 7)? + 1,
        });
    }
    bitstream_size(&chunk)
}

/// The decoder allocates what a frame declares before it compares it with the canvas, so each is
/// compared here: a still one with the canvas, a moving one with its own rectangle, which must fit.
fn frames_fit(mut chunks: Chunks, canvas: Size) -> bool {
    chunks.all(|chunk| match &chunk.kind {
        b"ANMF" => animation_frame_fits(chunk.data, canvas),
        _ => bitstream_size(&chunk).is_none_or(|size| size == canvas),
    })
}

fn animation_frame_fits(frame: &[u8], canvas: Size) -> bool {
    let size = || Some(Size { width: u24_le(frame, 6)? + 1, height: u24_le(frame, 9)? + 1 });
    let (Some(size), Some(rest)) = (size(), frame.get(ANIMATION_FRAME_BYTES..)) else {
        return false;
    };
    let fits = size.width <= canvas.width && size.height <= canvas.height;
    fits && Chunks { rest }.all(|chunk| bitstream_size(&chunk).is_none_or(|inner| inner == size))
}

/// The size of a lossy or lossless bitstream; the decoder goes by a lossy one's place, not its name.
fn bitstream_size(chunk: &Chunk) -> Option<Size> {
    if chunk.kind == *b"VP8L" {
        let sides = u32_le(chunk.data, 1)?;
        return Some(Size { width: (sides & 0x3fff) + 1, height: ((sides >> 14) & 0x3fff) + 1 });
    }
    if array(chunk.data, 3)? != VP8_START_CODE {
        return None;
    }
    let side = |offset| Some(u16_le(chunk.data, offset)? & 0x3fff);
    Some(Size { width: side(6)?, height: side(8)? })
}

#[derive(Clone)]
struct Chunks<'a> {
    rest: &'a [u8],
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let kind = array(self.rest, 0)?;
        let length = u32_le(self.rest, 4)? as usize;
        let data = self.rest.get(8..length.checked_add(8)?)?;
        let padded = 8 + length + length % 2;
        self.rest = self.rest.get(padded..).unwrap_or_default();
        Some(Chunk { kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut body = b"WEBP".to_vec();
        for (kind, data) in chunks {
            body.extend(*kind);
            body.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            body.extend(*data);
            body.resize(body.len().next_multiple_of(2), 0);
        }
        [b"RIFF", &u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    }

    /// A canvas of 2x2 pixels.
    const CANVAS: &[u8] = &[0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
    /// The start of a lossy frame of 16383x16383 pixels.
    const HUGE_FRAME: &[u8] = &[0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f];

    #[test]
    fn a_frame_that_does_not_fit_its_canvas_is_refused_before_it_is_decoded() {
        let mut animation = vec![0; 16];
        animation.extend(b"VP8 \x0a\0\0\0");
        animation.extend(HUGE_FRAME);
        for chunk in [(b"VP8 ", HUGE_FRAME), (b"ANMF", &animation[..])] {
            let error = read(&webp(&[(b"VP8X", CANVAS), chunk])).unwrap_err();
            assert_eq!(error.to_string(), "the webp has a frame that does not fit its canvas");
        }
    }

    #[test]
    fn a_file_shorter_than_it_declares_is_cut_off() {
        let whole = webp(&[(b"VP8 ", HUGE_FRAME)]);

        assert_eq!(read(&whole).unwrap().size, Size { width: 16_383, height: 16_383 });
        assert_eq!(read(&whole[..whole.len() - 1]).unwrap_err(), truncated("webp"));
    }
}
