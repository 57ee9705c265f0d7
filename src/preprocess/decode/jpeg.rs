//! JPEG, at full or reduced scale.

use libjpeg_turbo_rs::{Decoder, Image, JpegError, PixelFormat, ScalingFactor};

use super::super::color;
use super::super::error::ImageError;
use super::super::header::{ImageFormat, Reduction, open_jpeg};
use super::super::pixels::Pixels;

const CMYK_COMPONENTS: usize = 4;
const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

pub(super) fn decode(bytes: &[u8], reduction: Reduction) -> Result<Pixels, ImageError> {
    let mut decoder = open_jpeg(bytes)?;
    if decoder.header().is_progressive && !is_complete(bytes) {
        return Err(undecodable("it ends before its last pass"));
    }
    let is_cmyk = decoder.header().components.len() == CMYK_COMPONENTS;
    let image = read(&mut decoder, reduction, is_cmyk).map_err(undecodable)?;
    let (width, height) = (image.width, image.height);
    let rgb = if is_cmyk { color::inverted_cmyk_into_rgb(image.data) } else { image.data };
    let side = |side| u32::try_from(side).ok();
    side(height)
        .zip(side(width))
        .and_then(|(height, width)| Pixels::new(height, width, rgb))
        .ok_or_else(|| undecodable("its pixels are fewer than its header says"))
}

fn read(
    decoder: &mut Decoder<'_>,
    reduction: Reduction,
    is_cmyk: bool,
) -> Result<Image, JpegError> {
    decoder.set_output_format(if is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    decoder.set_scale(ScalingFactor::try_new(1, reduction.divisor())?);
    decoder.decode_image()
}

/// A progressive picture whose last passes are missing decodes without an error, to a blur; that
/// nothing is missing shows by the end marker, which must follow the last pass.
fn is_complete(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last(END_OF_IMAGE) > last(START_OF_SCAN)
}

fn undecodable(error: impl std::fmt::Display) -> ImageError {
    super::undecodable(ImageFormat::Jpeg, error)
}
