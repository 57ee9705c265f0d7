//! Means of a block's samples, of which a reduced picture is made.

/// Samples of a block's side.
pub(super) const SIDE: usize = 8;

/// The means of `X` by `Y` samples of a block; what there are fewer of, ends in zeros.
#[inline]
pub(super) fn means<const X: usize, const Y: usize>(samples: &[u8; 64]) -> [[u8; SIDE]; SIDE] {
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

/// Means of four by four samples, for which some of a block's coefficients are enough and no transform is needed:
/// over half of a block the means of all other cosines are zero. They are of the samples before these are limited to a
/// byte, as libjpeg's own reduced pictures are.
pub(super) struct Quarters {
    /// What each coefficient adds to the means, row by row: the means of its row's and its column's cosine.
    weights: [[f32; SIDE]; SIDE],
}

impl Quarters {
    /// Of coefficients with this quantization table.
    pub(super) fn new(quantization: &[u16; 64]) -> Self {
        let cosines: [f32; SIDE] = std::array::from_fn(cosine);
        let mut weights = [[0.0; SIDE]; SIDE];
        for ((weights, quantization), row) in
            weights.iter_mut().zip(quantization.as_chunks::<SIDE>().0).zip(cosines)
        {
            for ((weight, step), column) in weights.iter_mut().zip(quantization).zip(cosines) {
                *weight = f32::from(*step) * row * column;
            }
        }
        Self { weights }
    }

    /// Two by two means; the rest are zeros.
    #[inline]
    pub(super) fn means(&self, coefficients: &[i16; 64]) -> [[u8; SIDE]; SIDE] {
        let rows = coefficients.as_chunks::<SIDE>().0;
        let mut even = [0.0; SIDE];
        add(&mut even, &rows[0], &self.weights[0]);
        let mut odd = [0.0; SIDE];
        for row in [1, 3, 5, 7] {
            add(&mut odd, &rows[row], &self.weights[row]);
        }
        let [(mean, across), (down, both)] =
            [even, odd].map(|of| (of[0], of[1] + of[3] + of[5] + of[7]));
        let mut means = [[0; SIDE]; SIDE];
        means[0][..2].copy_from_slice(&[
            sample(mean + across + down + both),
            sample(mean - across + down - both),
        ]);
        means[1][..2].copy_from_slice(&[
            sample(mean + across - down - both),
            sample(mean - across - down + both),
        ]);
        means
    }
}

/// The mean of a cosine over the first half of a block: over the second it is the same or, of odd ones, the
/// opposite.
#[expect(clippy::cast_precision_loss, reason = "there are eight frequencies")]
fn cosine(frequency: usize) -> f32 {
    if frequency == 0 {
        return 0.125_f32.sqrt();
    }
    let angle = frequency as f32 * std::f32::consts::PI / 16.0;
    [1.0, 3.0, 5.0, 7.0].iter().map(|place| (place * angle).cos()).sum::<f32>() / 8.0
}

#[inline]
fn add(sums: &mut [f32; SIDE], coefficients: &[i16; SIDE], weights: &[f32; SIDE]) {
    for ((sum, coefficient), weight) in sums.iter_mut().zip(coefficients).zip(weights) {
        *sum += f32::from(*coefficient) * weight;
    }
}

/// A mean around zero as a sample, rounded.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is limited to a byte"
)]
fn sample(mean: f32) -> u8 {
    (mean + 128.5) as u8
}
