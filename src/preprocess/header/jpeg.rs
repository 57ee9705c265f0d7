//! The frame of a JPEG, and what decoding it costs at each reduced scale.

use libjpeg_turbo_rs::common::types::{ComponentInfo, FrameHeader};
use libjpeg_turbo_rs::{DecodeLimits, Decoder};

use super::super::error::ImageError;
use super::super::geometry::Size;
use super::super::orient::Orientation;
use super::{Cost, Declared};

/// A picture needs some ten passes; each one of a hostile file costs the time of a whole decode.
const MAX_SCANS: usize = 100;

/// The longest side that libjpeg and its kin decode, in pixels, though a header can say a little more.
const LONGEST_SIDE: u16 = 65_500;

/// What decides on the memory that decoding takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) struct JpegFrame {
    components: u64,
    /// In blocks of 8 by 8 pixels, what all components together are stored in.
    unit: Size,
    /// For each pixel of the `unit`'s blocks, the samples of all components.
    samples_in_unit: u64,
    /// Passes over the picture keep all its coefficients.
    keeps_coefficients: bool,
}

/// The scale at which a JPEG is decoded: each side divided by 1, 2, 4 or 8, rounded up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Reduction {
    divisor: u32,
}

impl Reduction {
    pub(in super::super) const NONE: Self = Self { divisor: 1 };

    /// The largest that leaves `shorter_side` pixels on the shorter side of `size`.
    pub(in super::super) fn keeping(size: Size, shorter_side: u64) -> Self {
        let shorter = u64::from(size.shorter_side());
        let fits = |divisor: &u32| shorter >= shorter_side.saturating_mul(u64::from(*divisor));
        Self { divisor: [8, 4, 2].into_iter().find(fits).unwrap_or(1) }
    }

    pub(in super::super) fn divisor(self) -> u32 {
        self.divisor
    }

    /// How many pixels come of `size`.
    pub(in super::super) fn of(self, size: Size) -> Size {
        Size {
            width: size.width.div_ceil(self.divisor),
            height: size.height.div_ceil(self.divisor),
        }
    }
}

impl JpegFrame {
    pub(super) fn decoding_bytes(&self, size: Size, reduction: Reduction) -> u64 {
        let whole = Size {
            width: size.width.next_multiple_of(self.unit.width * 8),
            height: size.height.next_multiple_of(self.unit.height * 8),
        };
        // A plane for each component, one more for each of two that are enlarged to the size of the
        // first, and the pixels, of which CMYK ones become RGB in place.
        let enlarged = if self.unit.pixels() == 1 { 0 } else { 2 };
        let per_pixel = self.components + enlarged + self.components.max(3);
        let planes = reduction.of(whole).pixels() * per_pixel;
        // Two bytes for a coefficient, and one for each block's highest.
        let samples = whole.pixels() / self.unit.pixels() * self.samples_in_unit;
        let coefficients = if self.keeps_coefficients { samples * 9 / 4 } else { 0 };
        planes + coefficients
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Declared, ImageError> {
    let decoder = open(bytes)?;
    let frame = decoder.header();
    check(&decoder)?;
    let largest =
        |sampling: fn(&_) -> u8| frame.components.iter().map(sampling).max().unwrap_or(1).max(1);
    let unit = Size {
        width: u32::from(largest(|component| component.horizontal_sampling)),
        height: u32::from(largest(|component| component.vertical_sampling)),
    };
    let samples = |component: &ComponentInfo| {
        u64::from(component.horizontal_sampling) * u64::from(component.vertical_sampling)
    };
    let keeps_coefficients = decoder.has_multiple_scans() || decoder.is_arithmetic();
    let cost = JpegFrame {
        components: frame.components.len() as u64,
        unit,
        samples_in_unit: frame.components.iter().map(samples).sum(),
        keeps_coefficients,
    };
    Ok(Declared {
        size: Size { width: frame.width.into(), height: frame.height.into() },
        orientation: decoder
            .exif_orientation()
            .and_then(Orientation::from_exif)
            .unwrap_or(Orientation::UPRIGHT),
        cost: Cost::Jpeg(cost),
    })
}

/// A decoder that has read the header, and refuses a file of endless passes.
pub(in super::super) fn open(bytes: &[u8]) -> Result<Decoder<'_>, ImageError> {
    let limits = DecodeLimits { max_scans: MAX_SCANS, ..DecodeLimits::default() };
    Decoder::new_with_limits(bytes, limits)
        .map_err(|error| ImageError::undecodable(format!("the jpeg cannot be decoded: {error}")))
}

/// Refuses what browsers and Pillow refuse too; the decoder's limits do not cover these kinds.
fn check(decoder: &Decoder<'_>) -> Result<(), ImageError> {
    let frame = decoder.header();
    let unsupported =
        |kind: &str| Err(ImageError::undecodable(format!("a jpeg {kind} is not supported")));
    match (frame.precision, frame.components.len()) {
        _ if frame.is_lossless => unsupported("without loss"),
        _ if frame.width.max(frame.height) > LONGEST_SIDE => {
            unsupported(&format!("with a side of over `{LONGEST_SIDE}` pixels"))
        }
        (8, 4) if !has_usual_sampling(frame) => unsupported("of CMYK with such sampling"),
        (8, 1 | 3 | 4) => Ok(()),
        (8, components) => unsupported(&format!("of `{components}` components")),
        (precision, _) => unsupported(&format!("of `{precision}` bits")),
    }
}

/// The first and the last component at full resolution, the two between them alike: what encoders
/// write. The decoder takes it for granted where there are four.
fn has_usual_sampling(frame: &FrameHeader) -> bool {
    let sampling =
        |component: &ComponentInfo| (component.horizontal_sampling, component.vertical_sampling);
    let samplings: Vec<(u8, u8)> = frame.components.iter().map(sampling).collect();
    let [first, second, third, fourth] = samplings[..] else { return false };
    let divides = |whole: u8, part: u8| part != 0 && (whole == part || whole == part * 2);
    first == fourth && second == third && divides(first.0, second.0) && divides(first.1, second.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_leaves_the_resolution_that_is_asked_for() {
        let divisor = |width, height| Reduction::keeping(Size { width, height }, 512).divisor();

        assert_eq!(divisor(500, 375), 1);
        assert_eq!(divisor(2000, 1023), 1);
        assert_eq!(divisor(2000, 1024), 2);
        assert_eq!(divisor(4000, 3000), 4);
        assert_eq!(divisor(4096, 9000), 8);
    }

    #[test]
    fn a_side_that_no_decoder_takes_is_refused_by_the_header() {
        let mut file = std::fs::read("tests/fixtures/preprocess/gray.jpg").unwrap();
        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let mut with_height = |height: u16| {
            file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
            read(&file)
        };

        assert!(with_height(65_500).is_ok());
        assert_eq!(
            with_height(65_501).unwrap_err(),
            ImageError::undecodable("a jpeg with a side of over `65500` pixels is not supported")
        );
    }

    #[test]
    fn a_progressive_picture_pays_for_its_coefficients_at_full_size() {
        let size = Size { width: 4000, height: 3000 };
        let unit = Size { width: 2, height: 2 };
        let reduction = Reduction::keeping(size, 512);
        let baseline =
            JpegFrame { components: 3, unit, samples_in_unit: 6, keeps_coefficients: false };
        let progressive = JpegFrame { keeps_coefficients: true, ..baseline.clone() };

        let difference =
            progressive.decoding_bytes(size, reduction) - baseline.decoding_bytes(size, reduction);

        assert!(difference > 4000 * 3000 * 3);
        assert!(baseline.decoding_bytes(size, reduction) < 4000 * 3000);
    }
}
