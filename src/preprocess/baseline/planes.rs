//! The samples of each component, where they are seen.

use std::ops::Range;
use std::sync::LazyLock;

use libjpeg_turbo_rs::simd::{SimdRoutines, detect};

/// The decoder's routines for this processor.
pub(super) static ROUTINES: LazyLock<SimdRoutines> = LazyLock::new(detect);

/// Samples of a block's side.
const SIDE: usize = 8;

/// One component of a part of the picture, in whole blocks.
pub(super) struct Plane {
    /// Samples that one of the plane is the mean of, across and down.
    reduction: [usize; 2],
    /// Samples in a row.
    stride: usize,
    samples: Vec<u8>,
    /// What the numbers of its blocks are multiplied by, row by row.
    factors: [u16; 64],
}

impl Plane {
    /// Of so many blocks, each side reduced to a half, a quarter, an eighth, or not at all.
    pub(super) fn new(
        [across, down]: [usize; 2],
        reduction: [usize; 2],
        factors: [u16; 64],
    ) -> Self {
        let [x, y] = reduction;
        let stride = across * SIDE / x;
        Self { reduction, stride, samples: vec![0; stride * down * SIDE / y], factors }
    }

    /// Transforms a block's numbers to the samples of the one at that place, in blocks.
    #[inline]
    pub(super) fn put(&mut self, place: (usize, usize), numbers: &[i16; 64]) {
        let mut samples = [0; 64];
        (ROUTINES.idct_islow)(numbers, &self.factors, &mut samples);
        match self.reduction {
            [2, 2] => self.copy(place, &means::<2, 2>(&samples)),
            [1, 2] => self.copy(place, &means::<1, 2>(&samples)),
            [4, 4] => self.copy(place, &means::<4, 4>(&samples)),
            [2, 4] => self.copy(place, &means::<2, 4>(&samples)),
            [8, 8] => self.copy(place, &means::<8, 8>(&samples)),
            [4, 8] => self.copy(place, &means::<4, 8>(&samples)),
            _ => self.copy(place, samples.as_chunks().0),
        }
    }

    /// The same for a block that has a mean and nothing else.
    #[inline]
    pub(super) fn put_flat(&mut self, place: (usize, usize), mean: i16) {
        // As the transform rounds it.
        let sum = i32::from(mean.wrapping_mul(self.factors[0].cast_signed()));
        let sample = ((sum + 4) >> 3) + 128;
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

/// The means of `X` by `Y` samples of a block; what there are fewer of, ends in zeros.
#[inline]
fn means<const X: usize, const Y: usize>(samples: &[u8; 64]) -> [[u8; SIDE]; SIDE] {
    let count = u16::try_from(X * Y).unwrap_or(u16::MAX);
    let mut means = [[0; SIDE]; SIDE];
    for (means, rows) in means.iter_mut().zip(samples.as_chunks::<SIDE>().0.chunks_exact(Y)) {
        let mut sums = [0_u16; SIDE];
        for row in rows {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum += u16::from(*sample);
            }
        }
        for (mean, sums) in means.iter_mut().zip(sums.chunks_exact(X)) {
            let rounded = (sums.iter().sum::<u16>() + count / 2) / count;
            *mean = u8::try_from(rounded).unwrap_or(u8::MAX);
        }
    }
    means
}
