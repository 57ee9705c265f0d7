//! Whether a model is right as often as it says.

/// As in "On Calibration of Modern Neural Networks" (Guo et al., 2017).
const BINS: usize = 15;

/// Answers by how probable their first class was said to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Calibration {
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    answers: f64,
    right: f64,
    probability: f64,
}

impl Calibration {
    /// Counts an answer.
    pub(super) fn add(&mut self, probability: f64, is_right: bool) {
        let bin = &mut self.bins[bin_of(probability)];
        bin.answers += 1.0;
        bin.right += f64::from(u8::from(is_right));
        bin.probability += probability;
    }

    /// The expected calibration error: over equal bins, the mean distance of the share of right
    /// answers from their mean probability, weighted by how many answers a bin has.
    pub(super) fn error(&self) -> f64 {
        let answers: f64 = self.bins.iter().map(|bin| bin.answers).sum();
        let distances = self.bins.iter().map(|bin| (bin.right - bin.probability).abs());
        if answers > 0.0 { distances.sum::<f64>() / answers } else { 0.0 }
    }
}

/// The bins are open below: a probability of a third is in the fifth of fifteen.
fn bin_of(probability: f64) -> usize {
    let edges = (1..BINS).map(|edge| f64::from(u8::try_from(edge).unwrap_or(u8::MAX)) / 15.0);
    edges.take_while(|edge| probability > *edge).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(answers: &[(f64, bool)]) -> f64 {
        let mut calibration = Calibration::default();
        for (probability, right) in answers {
            calibration.add(*probability, *right);
        }
        calibration.error()
    }

    #[test]
    fn who_is_right_as_often_as_said_has_no_error() {
        assert!(error(&[(0.5, true), (0.5, false)]) < 1e-12);
        assert!(error(&[(1.0, true)]) < 1e-12);
        assert!(error(&[]) < 1e-12);
    }

    #[test]
    fn bins_are_weighted_by_their_answers() {
        // One bin is off by 0.9 - 0.5 with two answers, the other by 1 - 0.4 with one.
        let found = error(&[(0.9, true), (0.9, false), (0.4, true)]);
        assert!((found - (0.4 * 2.0 + 0.6) / 3.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn the_edges_of_the_bins_belong_to_the_lower_one() {
        assert_eq!([0.0, 1.0 / 15.0, 0.067, 1.0].map(bin_of), [0, 0, 1, 14]);
    }
}
