//! The samples of each component, where they are seen.

use std::ops::Range;
use std::sync::LazyLock;

use libjpeg_turbo_rs::simd::{SimdRoutines, detect};

use super::means::{Quarters, SIDE, means};

/// The decoder's routines for this processor.
pub(super) static ROUTINES: LazyLock<SimdRoutines> = LazyLock::new(detect);

/// One component of a part of the picture, in whole blocks.
pub(super) struct Plane {
    /// Samples that one of the plane is the mean of, across and down.
    reduction: [usize; 2],
    /// Samples in a row.
    stride: usize,
    samples: Vec<u8>,
    /// The quantization table of its blocks, row by row.
    quantization: [u16; 64],
    /// Where it is reduced to a quarter, each way.
    quarters: Option<Quarters>,
}

impl Plane {
    /// Of so many blocks, each side reduced to a half, a quarter, an eighth, or not at all.
    pub(super) fn new(
        [across, down]: [usize; 2],
        reduction: [usize; 2],
        quantization: [u16; 64],
    ) -> Self {
        let [x, y] = reduction;
        let stride = across * SIDE / x;
        let quarters = (reduction == [4, 4]).then(|| Quarters::new(&quantization));
        let samples = vec![0; stride * down * SIDE / y];
        Self { reduction, stride, samples, quantization, quarters }
    }

    /// Whether one sample is left of a block, for which its DC coefficient is enough.
    #[inline]
    pub(super) fn takes_dc_alone(&self) -> bool {
        self.reduction == [SIDE, SIDE]
    }

    /// Transforms a block's coefficients to the samples of the one at that place, in blocks.
    #[inline]
    pub(super) fn put(&mut self, place: (usize, usize), coefficients: &[i16; 64]) {
        if let Some(quarters) = &self.quarters {
            let means = quarters.means(coefficients);
            return self.copy(place, &means);
        }
        let mut samples = [0; 64];
        (ROUTINES.idct_islow)(coefficients, &self.quantization, &mut samples);
        match self.reduction {
            [2, 2] => self.copy(place, &means::<2, 2>(&samples)),
            [1, 2] => self.copy(place, &means::<1, 2>(&samples)),
            [2, 4] => self.copy(place, &means::<2, 4>(&samples)),
            [4, 8] => self.copy(place, &means::<4, 8>(&samples)),
            reduction => {
                debug_assert_eq!(reduction, [1, 1], "another reduction has means of its own");
                self.copy(place, samples.as_chunks().0);
            }
        }
    }

    /// The same for a block that has a DC coefficient and no others.
    #[inline]
    pub(super) fn put_dc(&mut self, place: (usize, usize), dc: i16) {
        // As the transform rounds it, and wraps what no encoder writes.
        let sum = dc.wrapping_mul(self.quantization[0].cast_signed()).wrapping_shl(2);
        let sample = ((i32::from(sum) + 16) >> 5) + 128;
        let sample = u8::try_from(sample.clamp(0, 255)).unwrap_or_default();
        self.copy(place, &[[sample; SIDE]; SIDE]);
    }

    #[inline]
    fn copy(&mut self, (across, down): (usize, usize), block: &[[u8; SIDE]]) {
        let [width, height] = self.reduction.map(|reduction| SIDE / reduction);
        let start = down * height * self.stride + across * width;
        let rows = self.samples[start..].chunks_mut(self.stride).take(height);
        for (samples, row) in rows.zip(block) {
            if width == SIDE {
                samples[..SIDE].copy_from_slice(row);
            } else {
                samples[..width].copy_from_slice(&row[..width]);
            }
        }
    }

    /// Samples of a row.
    pub(super) fn row(&self, row: usize, columns: Range<usize>) -> &[u8] {
        &self.samples[row * self.stride..][columns]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_of_a_dc_coefficient_alone_is_transformed_as_all_are(
            dc in any::<i16>(), factor in 1_u16..=255) {
            let plane = || Plane::new([1, 1], [1, 1], [factor; 64]);
            let mut coefficients = [0; 64];
            coefficients[0] = dc;

            let (mut flat, mut transformed) = (plane(), plane());
            flat.put_dc((0, 0), dc);
            transformed.put((0, 0), &coefficients);

            prop_assert_eq!(flat.samples, transformed.samples);
        }
    }
}
