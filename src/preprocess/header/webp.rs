//! The chunks of a WebP.

mod lossless;
mod lossy;

use std::mem;

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::field::{array, truncated, u24_le, u32_le};
use super::{Cost, Declared};
use lossless::Patience;

/// Planes of brightness and colour, the pixels of four bytes, and an alpha channel with its own
/// lossless picture; a lossless picture takes less.
const STILL_BYTES_PER_PIXEL: u64 = 2 + 4 + 6;
/// Beside these a canvas, the result, and each smaller picture of the transforms.
const MOVING_BYTES_PER_PIXEL: u64 = STILL_BYTES_PER_PIXEL + 4 + 4 + 4;
/// `RIFF`, the length, `WEBP`.
const CONTAINER_BYTES: usize = 12;
const ANIMATION_FRAME_BYTES: usize = 16;
/// Chunks of a file, those in its frames included: a body could be of millions of empty ones.
const MOST_CHUNKS: usize = 1 << 16;

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    let declared_bytes = u32_le(bytes, 4).ok_or_else(|| truncated("webp"))? as usize;
    if bytes.len() < declared_bytes.saturating_add(8) {
        return Err(truncated("webp"));
    }
    let mut chunks = Chunks { rest: &bytes[CONTAINER_BYTES..] };
    if with_those_of_frames(chunks.clone()).nth(MOST_CHUNKS).is_some() {
        return Err(ImageError::undecodable(format!(
            "the webp has more than {MOST_CHUNKS} chunks"
        )));
    }
    let size = canvas(chunks.clone())?;
    check_frames(chunks.clone(), size)?;
    let tables = table_bytes(chunks.clone(), size);
    let is_moving = chunks.clone().any(|chunk| chunk.kind == *b"ANMF");
    let bytes_per_pixel = if is_moving { MOVING_BYTES_PER_PIXEL } else { STILL_BYTES_PER_PIXEL };
    let exif = chunks.find(|chunk| chunk.kind == *b"EXIF" && chunk.is_whole);
    let orientation = exif.and_then(|chunk| super::exif_orientation(without_prefix(chunk.data)));
    let cost = Cost::WithTables { bytes: bytes_per_pixel, pixels: size.pixels(), tables };
    Ok(Declared { size, orientation: orientation.unwrap_or(Orientation::UPRIGHT), cost })
}

/// Some writers put JPEG's marker before the EXIF data.
fn without_prefix(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)
}

fn canvas(mut chunks: Chunks) -> Result<Size, ImageError> {
    let none = || ImageError::undecodable("the webp has no picture in its first chunk");
    let chunk = chunks.next().filter(|chunk| chunk.is_whole).ok_or_else(none)?;
    match &chunk.kind {
        b"VP8X" => rectangle(chunk.data, 4),
        b"VP8L" => lossless_size(chunk.data),
        b"VP8 " => return lossy::size(chunk.data),
        _ => None,
    }
    .ok_or_else(none)
}

/// The decoder allocates what a frame declares before it compares it with the canvas, so each is
/// compared here: a still one with the canvas, a moving one with its own rectangle, which must fit.
fn check_frames(mut chunks: Chunks, canvas: Size) -> Result<(), ImageError> {
    chunks.try_for_each(|chunk| match &chunk.kind {
        b"VP8L" => fits(lossless_size(chunk.whole()?), canvas),
        b"VP8 " => fits(Some(lossy::size(chunk.whole()?)?), canvas),
        b"ANMF" => check_animation_frame(chunk.whole()?, canvas),
        _ => Ok(()),
    })
}

fn check_animation_frame(frame: &[u8], canvas: Size) -> Result<(), ImageError> {
    let (Some(size), Some(rest)) = (rectangle(frame, 6), frame.get(ANIMATION_FRAME_BYTES..)) else {
        return Err(misfit());
    };
    if size.width > canvas.width || size.height > canvas.height {
        return Err(misfit());
    }
    // What follows an alpha channel is decoded as lossy, whatever its name.
    let mut follows_alpha = false;
    Chunks { rest }.try_for_each(|chunk| {
        let is_lossy = mem::replace(&mut follows_alpha, chunk.kind == *b"ALPH");
        match &chunk.kind {
            b"VP8L" if !is_lossy => fits(lossless_size(chunk.whole()?), size),
            b"VP8 " => fits(Some(lossy::size(chunk.whole()?)?), size),
            _ if is_lossy => fits(Some(lossy::size(chunk.whole()?)?), size),
            _ => Ok(()),
        }
    })
}

/// Of the frame that takes most, because one is decoded after the other.
fn table_bytes(chunks: Chunks, canvas: Size) -> u64 {
    let mut patience = Patience::of_a_file();
    let of_chunk = |(chunk, size): (Chunk, Size)| match &chunk.kind {
        b"VP8L" => lossless::table_bytes(chunk.data, size, &mut patience),
        b"ALPH" => lossless::table_bytes_of_alpha(chunk.data, size, &mut patience),
        _ => 0,
    };
    let still = chunks.clone().map(|chunk| (chunk, canvas));
    let moving = chunks.flat_map(|chunk| {
        let size = rectangle(chunk.data, 6).unwrap_or(canvas);
        chunk.of_frame().map(move |chunk| (chunk, size))
    });
    still.chain(moving).map(of_chunk).max().unwrap_or(0)
}

/// A frame has no frames in it: what is called so there is not read.
fn with_those_of_frames(chunks: Chunks<'_>) -> impl Iterator<Item = Chunk<'_>> {
    chunks.clone().chain(chunks.flat_map(|chunk| chunk.of_frame()))
}

fn fits(frame: Option<Size>, place: Size) -> Result<(), ImageError> {
    if frame == Some(place) { Ok(()) } else { Err(misfit()) }
}

fn misfit() -> ImageError {
    ImageError::undecodable("the webp has a frame that does not fit its canvas")
}

/// A canvas, or a place on it.
fn rectangle(data: &[u8], offset: usize) -> Option<Size> {
    Some(Size { width: u24_le(data, offset)? + 1, height: u24_le(data, offset + 3)? + 1 })
}

fn lossless_size(data: &[u8]) -> Option<Size> {
    let sides = u32_le(data, 1)?;
    Some(Size { width: (sides & 0x3fff) + 1, height: ((sides >> 14) & 0x3fff) + 1 })
}

#[derive(Clone)]
struct Chunks<'a> {
    rest: &'a [u8],
}

struct Chunk<'a> {
    kind: [u8; 4],
    /// As much of it as there is: the decoder reads that, too.
    data: &'a [u8],
    is_whole: bool,
}

impl<'a> Chunk<'a> {
    /// Those in it, where it is a frame of an animation.
    fn of_frame(&self) -> Chunks<'a> {
        let inside = || self.data.get(ANIMATION_FRAME_BYTES..).filter(|_| self.kind == *b"ANMF");
        Chunks { rest: inside().unwrap_or_default() }
    }

    fn whole(&self) -> Result<&'a [u8], ImageError> {
        if self.is_whole { Ok(self.data) } else { Err(truncated("webp")) }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let kind = array(self.rest, 0)?;
        let length = u32_le(self.rest, 4)? as usize;
        let all = &self.rest[8..];
        let data = &all[..length.min(all.len())];
        self.rest = all.get(length + length % 2..).unwrap_or_default();
        Some(Chunk { kind, data, is_whole: data.len() == length })
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

    /// A canvas of 2x2 pixels with a frame of 2x2 pixels that has these chunks, the last of them a
    /// byte longer than the frame where that is asked for.
    fn moving(chunks: &[(&[u8; 4], &[u8])], is_long: bool) -> Vec<u8> {
        let mut frame = [&[0; 6][..], &CANVAS[4..], &[0; 4], &webp(chunks)[12..]].concat();
        frame.truncate(frame.len() - usize::from(is_long));
        webp(&[(b"VP8X", CANVAS), (b"ANMF", &frame)])
    }

    #[test]
    fn a_frame_that_says_to_be_longer_than_its_place_is_cut_off_whatever_size_it_says() {
        let mut still = webp(&[(b"VP8X", CANVAS), (b"VP8 ", HUGE_FRAME)]);
        still[34] += 1;
        let behind_alpha = moving(&[(b"ALPH", &[0]), (b"VP8 ", HUGE_FRAME)], true);
        for file in [still, behind_alpha] {
            assert_eq!(read(&file).unwrap_err(), truncated("webp"));
        }
    }

    #[test]
    fn what_follows_an_alpha_channel_is_lossy_whatever_its_name() {
        for name in [b"VP8 ", b"VP8L", b"EXIF"] {
            let error = read(&moving(&[(b"ALPH", &[0]), (name, HUGE_FRAME)], false)).unwrap_err();
            assert_eq!(error.to_string(), "the webp has a frame that does not fit its canvas");
        }
    }

    #[test]
    fn frames_in_frames_are_not_followed_however_deep() {
        let depth = 100_000;
        let frame = |inside: usize| {
            let length = u32::try_from(16 + 24 * inside).unwrap().to_le_bytes();
            [b"ANMF", &length[..], &[0; 6], &CANVAS[4..], &[0; 4]].concat()
        };
        let nested: Vec<u8> = (0..depth).rev().flat_map(frame).collect();
        assert_eq!(
            read(&webp(&[(b"VP8X", CANVAS), (b"ANMF", &nested[8..])])).unwrap().size.width,
            2
        );
    }

    #[test]
    fn a_file_of_very_many_chunks_is_refused() {
        for many in [MOST_CHUNKS - 1, MOST_CHUNKS] {
            let chunks = [&[(b"VP8X", CANVAS)][..], &vec![(b"JUNK", &[][..]); many]].concat();
            assert_eq!(read(&webp(&chunks)).is_ok(), many < MOST_CHUNKS);
        }
    }

    #[test]
    fn metadata_that_are_cut_off_or_hold_anything_are_left_alone() {
        let frame = lossy::tests::frame(&[], &[]);
        let canvas = &[&CANVAS[..4], &[15, 0, 0, 15, 0, 0]].concat();
        let mut file =
            webp(&[(b"VP8X", canvas), (b"VP8 ", &frame), (b"ICCP", HUGE_FRAME), (b"EXIF", b"II")]);
        let last = file.len() - 6;
        file[last] = 200;
        assert_eq!(read(&file).unwrap().size, Size { width: 16, height: 16 });
    }

    #[test]
    fn a_file_shorter_than_it_declares_is_cut_off() {
        let whole = webp(&[(b"VP8 ", HUGE_FRAME)]);

        assert_eq!(read(&whole).unwrap().size, Size { width: 16_383, height: 16_383 });
        assert_eq!(read(&whole[..whole.len() - 1]).unwrap_err(), truncated("webp"));
    }
}
