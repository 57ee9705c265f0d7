//! A part of a resized picture, and what is decoded for it.

use std::ops::Range;

use super::geometry::{Size, Window};
use super::resize::Passes;
use super::weights::Weights;
use crate::model::manifest::Interpolation;

/// What a request sees of a resized picture, and how it comes from the decoded one, as both are stored.
/// Rows are narrowed first, then columns shortened, with eight bits between the two.
#[derive(Clone, Debug)]
pub struct Region {
    pub(super) decoded: Size,
    /// In the resized picture.
    pub(super) place: Window,
    pub(super) passes: Passes,
    pub(super) interpolation: Interpolation,
}

impl Region {
    /// Rows and columns of the decoded picture.
    #[must_use]
    pub fn decoded_size(&self) -> [u32; 2] {
        [self.decoded.height, self.decoded.width]
    }

    /// Rows and columns of the result.
    #[must_use]
    pub fn size(&self) -> [u32; 2] {
        [self.place.size.height, self.place.size.width]
    }

    /// The decoded rows and columns that are needed.
    pub(super) fn seen(&self) -> (Range<u32>, Range<u32>) {
        let Passes { first_row, row_count, first_column, column_count, .. } = self.passes;
        (first_row..first_row + row_count, first_column..first_column + column_count)
    }

    /// The first decoded row that is needed, and how many are.
    #[must_use]
    pub fn rows_seen(&self) -> [u32; 2] {
        [self.passes.first_row, self.passes.row_count]
    }

    /// Of which pixels of a decoded row each of the result is made.
    #[must_use]
    pub fn columns(&self) -> Weights {
        self.passes.columns.weights(self.interpolation)
    }

    /// Of which of the [rows seen](Self::rows_seen) each row of the result is made.
    #[must_use]
    pub fn rows(&self) -> Weights {
        self.passes.rows.weights(self.interpolation)
    }

    /// Bytes of the result.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.place.size.pixels().saturating_mul(3)
    }

    /// Bytes of the decoded picture, of the one between the two passes, and of the result.
    #[must_use]
    pub fn bytes_on_device(&self) -> u64 {
        let narrowed = u64::from(self.passes.row_count) * u64::from(self.place.size.width);
        (self.decoded.pixels() + narrowed).saturating_mul(3).saturating_add(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::decode;
    use super::super::header::{ImageHeader, Reduction};
    use super::super::pixels::Pixels;
    use super::super::resize::Resize;
    use super::super::transform::Transform;
    use super::*;

    fn clipped(sum: i32, precision: u32) -> u8 {
        u8::try_from((sum >> precision).clamp(0, 255)).unwrap()
    }

    /// What a device makes of it: `[count, lines, 3]` of `[side, lines, 3]`, by each line's weights.
    fn pass(weights: &Weights, lines: usize, value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        let mut made = Vec::new();
        let of_each = weights.values.chunks_exact(weights.window);
        for ((start, count), values) in weights.starts.iter().zip(&weights.counts).zip(of_each) {
            for line in 0..lines {
                let sum: i32 = (0..*count as usize)
                    .map(|each| {
                        i32::from(value(*start as usize + each, line)) * i32::from(values[each])
                    })
                    .sum();
                made.push(clipped(sum + (1 << (weights.precision - 1)), weights.precision));
            }
        }
        made
    }

    fn resized(region: &Region, picture: &Pixels) -> Pixels {
        let [first, rows] = region.rows_seen().map(|row| row as usize);
        let [height, width] = region.size();
        let bytes = picture.bytes();
        // Of each row and channel its columns; then of each column and channel its rows.
        let narrowed = pass(&region.columns(), rows * 3, |column, line| {
            bytes[(first + line / 3) * picture.row_bytes() + column * 3 + line % 3]
        });
        let narrow = |row: usize, line: usize| narrowed[(line / 3) * rows * 3 + row * 3 + line % 3];
        let pixels = pass(&region.rows(), width as usize * 3, narrow);
        Pixels::new(height, width, pixels).unwrap()
    }

    fn noise(size: Size, seed: u32) -> Pixels {
        let mut state = seed | 1;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let bytes = (0..size.pixels() * 3).map(next).collect();
        Pixels::new(size.height, size.width, bytes).unwrap()
    }

    fn side() -> impl Strategy<Value = u32> {
        1_u32..150
    }

    proptest! {
        #[test]
        fn a_device_that_does_as_it_is_told_makes_the_cpu_s_pixels(
            (from, to) in ([side(), side()], [side(), side()]),
            (place, size) in ([0_u32..100, 0_u32..100], [side(), side()]),
            (is_bicubic, seed) in (any::<bool>(), any::<u32>()),
        ) {
            let interpolation =
                if is_bicubic { Interpolation::Bicubic } else { Interpolation::Bilinear };
            let size_of = |[width, height]: [u32; 2]| Size { width, height };
            let (from, to) = (size_of(from), size_of(to));
            let resize = Resize { from, reduction: Reduction::NONE, to, interpolation };
            let [left, top] = place.map(i64::from);
            let window = Window { left, top, size: size_of(size) }.inside(to);
            prop_assume!(window.size.pixels() > 0);
            let picture = noise(from, seed);

            let region = resize.region([window].into_iter()).unwrap();

            prop_assert_eq!(resized(&region, &picture), resize.window((&picture, 0), window).unwrap());
        }
    }

    #[test]
    fn crops_cut_from_one_region_are_those_of_the_cpu_to_a_level() {
        let file = std::fs::read("tests/fixtures/preprocess/orientation-5.jpg").unwrap();
        let header = ImageHeader::parse(&file, u64::MAX).unwrap();
        let transform = Transform {
            resize_shorter_side: 40,
            crop_height: 32,
            crop_width: 48,
            interpolation: Interpolation::Bilinear,
        };
        let decoded = decode(&file, &header, Reduction::NONE).unwrap();
        let expected = transform.open(&file, &header).unwrap();

        let center = transform.region_of_center(&header).unwrap();
        let ten = transform.region_of_ten_crops(&header).unwrap();
        let from = |region: &Region| {
            let pixels = resized(region, &decoded);
            transform.open_region((pixels, region), &header).unwrap()
        };

        assert_eq!(from(&center).center().unwrap(), expected.center().unwrap());
        let crops = from(&ten).ten_crops().unwrap();
        for (crop, expected) in crops.iter().zip(expected.ten_crops().unwrap()) {
            let pairs = crop.bytes().iter().zip(expected.bytes());
            assert!(pairs.map(|(one, other)| one.abs_diff(*other)).max() <= Some(1));
        }
        assert!(transform.open_region((decoded, &ten), &header).is_none(), "of another size");
    }
}
