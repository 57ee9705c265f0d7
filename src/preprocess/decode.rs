//! From encoded bytes to a picture in RGB, or to what is seen of one.

mod jpeg;

use std::io::Cursor;
use std::ops::Range;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, ImageResult, Limits};

use super::baseline::Baseline;
use super::color;
use super::error::ImageError;
use super::guard::guarded;
use super::header::{ImageFormat, ImageHeader, Reduction};
use super::pixels::Pixels;

/// The stored picture, not yet turned upright; a JPEG's sides are divided by the `reduction`.
///
/// A picture that is cut off or broken is an error, never half a picture.
pub(super) fn decode(
    bytes: &[u8],
    header: &ImageHeader,
    reduction: Reduction,
) -> Result<Pixels, ImageError> {
    guarded(|| decode_unguarded(bytes, header, reduction))
}

/// Rows of a reduced JPEG as it is stored, in which only some columns count; `None` where it takes a
/// whole decode to get them, or to tell what is wrong.
pub(super) fn decode_part(
    bytes: &[u8],
    header: &ImageHeader,
    reduction: Reduction,
    seen: (Range<u32>, Range<u32>),
) -> Option<Pixels> {
    if header.format() != ImageFormat::Jpeg {
        return None;
    }
    let part = || Ok(Baseline::of(bytes, header).and_then(|file| file.decode(reduction, seen)));
    // A panic here is a fault of this program, which tests and fuzzing are to see.
    let decoded = if cfg!(debug_assertions) { part() } else { guarded(part) };
    decoded.ok().flatten()
}

fn decode_unguarded(
    bytes: &[u8],
    header: &ImageHeader,
    reduction: Reduction,
) -> Result<Pixels, ImageError> {
    let limits = limits(header, bytes.len(), reduction);
    let (color, samples) = match header.format() {
        ImageFormat::Jpeg => return jpeg::decode(bytes, reduction),
        ImageFormat::Png => PngDecoder::with_limits(Cursor::new(bytes), limits.clone())
            .and_then(|png| samples(png, limits)),
        ImageFormat::WebP => {
            WebPDecoder::new(Cursor::new(bytes)).and_then(|webp| samples(webp, limits))
        }
        ImageFormat::Gif => {
            GifDecoder::new(Cursor::new(bytes)).and_then(|gif| samples(gif, limits))
        }
        ImageFormat::Bmp => {
            BmpDecoder::new(Cursor::new(bytes)).and_then(|bmp| samples(bmp, limits))
        }
        ImageFormat::Tiff => {
            TiffDecoder::new(Cursor::new(bytes)).and_then(|tiff| samples(tiff, limits))
        }
    }
    .map_err(|error| undecodable(header.format(), error))?;
    color::into_rgb(color, samples)
        .and_then(|rgb| Pixels::new(header.height(), header.width(), rgb))
        .ok_or_else(|| {
            undecodable(
                header.format(),
                format!("pixels of the kind `{color:?}` are not supported"),
            )
        })
}

/// What the header promised bounds what the decoder may allocate.
fn limits(header: &ImageHeader, encoded: usize, reduction: Reduction) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(header.width());
    limits.max_image_height = Some(header.height());
    limits.max_alloc = Some(header.decoding_bytes(encoded, reduction));
    limits
}

fn samples(mut decoder: impl ImageDecoder, limits: Limits) -> ImageResult<(ColorType, Vec<u8>)> {
    decoder.set_limits(limits)?;
    let color = decoder.color_type();
    let bytes = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let mut samples = vec![0; bytes];
    decoder.read_image(&mut samples)?;
    Ok((color, samples))
}

fn undecodable(format: ImageFormat, error: impl std::fmt::Display) -> ImageError {
    ImageError::undecodable(format!("the {format} cannot be decoded: {error}"))
}
