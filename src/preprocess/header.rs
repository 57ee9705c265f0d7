//! What a picture's first bytes say, read before any pixel is allocated.

mod bmp;
mod field;
mod format;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use super::error::ImageError;
use super::geometry::Size;
use super::guard::guarded;
use super::orient::Orientation;
pub use format::ImageFormat;
use jpeg::JpegFrame;
pub(super) use jpeg::{Reduction, open as open_jpeg};

/// Size, format and cost of a picture that has not been decoded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageHeader {
    format: ImageFormat,
    declared: Declared,
}

/// What the readers of the formats find.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Declared {
    size: Size,
    orientation: Orientation,
    cost: Cost,
}

/// What decides how much memory decoding takes.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Cost {
    /// Bytes for each pixel of an area, which for animations may exceed the picture's.
    PerPixel {
        bytes: u64,
        pixels: u64,
    },
    /// The same, and the tables that the file asks for.
    WithTables {
        bytes: u64,
        pixels: u64,
        tables: u64,
    },
    Jpeg(JpegFrame),
}

/// Tables, rows and buffers that every decoder has, whatever the size: zlib's window, LZW's tables,
/// Huffman tables, lookup tables of colours; measured at under 300 KB, doubled.
const FIXED_BYTES: u64 = 600 << 10;

impl ImageHeader {
    /// Reads the header of `bytes`; the bytes alone decide on the format.
    ///
    /// # Errors
    ///
    /// [`ImageError::TooLarge`] above `max_pixels`, [`ImageError::Undecodable`] for everything that is
    /// not a picture of a supported format with a header that can be read.
    pub fn parse(bytes: &[u8], max_pixels: u64) -> Result<Self, ImageError> {
        let format = ImageFormat::of(bytes)?;
        let declared = guarded(|| match format {
            ImageFormat::Jpeg => jpeg::read(bytes),
            ImageFormat::Png => png::read(bytes),
            ImageFormat::WebP => webp::read(bytes),
            ImageFormat::Gif => gif::read(bytes),
            ImageFormat::Bmp => bmp::read(bytes),
            ImageFormat::Tiff => tiff::read(bytes),
        })?;
        let header = Self { format, declared };
        header.check(max_pixels)?;
        Ok(header)
    }

    fn check(&self, max_pixels: u64) -> Result<(), ImageError> {
        let size = self.declared.size;
        let Size { width, height } = size;
        if width == 0 || height == 0 {
            let format = self.format;
            return Err(ImageError::undecodable(format!(
                "the {format} declares `{width}`x`{height}` pixels"
            )));
        }
        let decoded = match self.declared.cost {
            Cost::PerPixel { pixels, .. } | Cost::WithTables { pixels, .. } => {
                pixels.max(size.pixels())
            }
            Cost::Jpeg(_) => size.pixels(),
        };
        if decoded > max_pixels {
            return Err(ImageError::TooLarge { width, height, max_pixels });
        }
        Ok(())
    }

    /// The format that the bytes have.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Pixels in a stored row, before the orientation is applied.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.declared.size.width
    }

    /// Stored rows, before the orientation is applied.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.declared.size.height
    }

    /// All of them, as they are stored.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        self.declared.size.pixels()
    }

    /// How the picture is to be turned; upright where the file does not say.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        self.declared.orientation
    }

    pub(super) fn size(&self) -> Size {
        self.declared.size
    }

    /// By how much the decoder may reduce the picture so that its shorter side keeps `shorter_side` pixels.
    pub(super) fn reduction(&self, shorter_side: u64) -> Reduction {
        match self.declared.cost {
            Cost::Jpeg(_) => Reduction::keeping(self.declared.size, shorter_side),
            Cost::PerPixel { .. } | Cost::WithTables { .. } => Reduction::NONE,
        }
    }

    /// At most how many bytes decoding takes at its peak, beside the encoded ones.
    pub(super) fn decoding_bytes(&self, encoded: usize, reduction: Reduction) -> u64 {
        let pixels = match &self.declared.cost {
            Cost::PerPixel { bytes, pixels } => bytes.saturating_mul(*pixels),
            Cost::WithTables { bytes, pixels, tables } => {
                bytes.saturating_mul(*pixels).saturating_add(*tables)
            }
            Cost::Jpeg(frame) => frame.decoding_bytes(self.declared.size, reduction),
        };
        // Decoders keep copies of profiles and metadata, which are part of the encoded bytes.
        pixels.saturating_add(encoded as u64).saturating_add(FIXED_BYTES)
    }
}

/// The orientation in EXIF data, which start with a TIFF header.
fn exif_orientation(exif: &[u8]) -> Option<Orientation> {
    let orientation = image::metadata::Orientation::from_exif_chunk(exif)?;
    Orientation::from_exif(orientation.to_exif())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigapixel_claim_is_refused_by_its_header_alone() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([60_000_u32.to_be_bytes(), 60_000_u32.to_be_bytes()].concat());
        png.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);

        let error = ImageHeader::parse(&png, 100_000_000).unwrap_err();

        assert_eq!(
            error,
            ImageError::TooLarge { width: 60_000, height: 60_000, max_pixels: 100_000_000 }
        );
    }

    #[test]
    fn a_picture_without_area_is_no_picture() {
        let gif = b"GIF89a\0\0\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0".to_vec();

        let error = ImageHeader::parse(&gif, 100).unwrap_err();

        assert_eq!(error, ImageError::undecodable("the gif declares `0`x`0` pixels"));
    }
}
