//! What many measurements of one setting say together.

use std::time::Duration;

use crate::loading::Layout;

/// What one setting did while it was measured once.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) images_per_second: f64,
    /// Of every batch.
    pub(super) latencies: Vec<Duration>,
}

/// A setting, and what it did in each round.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) setting: Layout,
    /// Images a second, a value for each round, in their order.
    pub(super) rates: Vec<f64>,
    latencies: Vec<Duration>,
}

/// Where several values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Figures {
    /// Of samples in the order of their rounds; nothing without samples.
    pub(super) fn new(setting: Layout, samples: &[Sample]) -> Option<Self> {
        let rates: Vec<f64> = samples.iter().map(|sample| sample.images_per_second).collect();
        let of_all = samples.iter().flat_map(|sample| sample.latencies.iter().copied());
        let mut latencies: Vec<Duration> = of_all.collect();
        latencies.sort_unstable();
        let some = !rates.is_empty() && !latencies.is_empty();
        some.then_some(Self { setting, rates, latencies })
    }

    /// Images a second.
    pub(super) fn rate(&self) -> Spread {
        Spread::of(self.rates.clone())
    }

    /// How many times as many images a second, round by round: what disturbs the machine for a while
    /// disturbs both.
    pub(super) fn times_as_fast_as(&self, other: &Self) -> Spread {
        Spread::of(self.rates.iter().zip(&other.rates).map(|(one, other)| one / other).collect())
    }

    /// The time of a batch that `percent` of the batches keep, as one of them had it.
    pub(super) fn latency(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies[rank.clamp(1, self.latencies.len()) - 1]
    }

    /// Batches that ran.
    pub(super) fn batches(&self) -> usize {
        self.latencies.len()
    }
}

impl Spread {
    /// Of one value or more.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let (last, middle) = (values.len() - 1, values.len() / 2);
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self { median, least: values[0], most: values[last] }
    }

    /// How far from the median a value may lie, as a share of it.
    pub(super) fn width(&self) -> f64 {
        (self.most - self.median).max(self.median - self.least) / self.median
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// A setting's figures with these rates, whose batches all took as long as that.
    pub(in crate::cli::bench) fn figures(
        layout: [usize; 3],
        rates: &[f64],
        milliseconds: u64,
    ) -> Figures {
        let sample = |rate: &f64| Sample {
            images_per_second: *rate,
            latencies: vec![Duration::from_millis(milliseconds); 3],
        };
        let samples: Vec<Sample> = rates.iter().map(sample).collect();
        Figures::new(setting(layout), &samples).unwrap()
    }

    pub(in crate::cli::bench) fn setting(layout: [usize; 3]) -> Layout {
        let [sessions, intra_threads, max_batch] =
            layout.map(|value| NonZeroUsize::new(value).unwrap());
        Layout { sessions, intra_threads, max_batch }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Spread { median: 3.0, least: 1.0, most: 9.0 });
        assert!((spread(&[10.0, 9.0, 12.0]).width() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn percentiles_are_times_that_batches_had_over_all_rounds() {
        let sample = |from: u64, to: u64| Sample {
            images_per_second: 1.0,
            latencies: (from..=to).map(Duration::from_millis).collect(),
        };
        let figures =
            Figures::new(setting([1, 1, 1]), &[sample(101, 200), sample(1, 100)]).unwrap();
        let percentile = |percent| figures.latency(percent).as_millis();
        assert_eq!([percentile(50), percentile(99), percentile(100)], [100, 198, 200]);
        assert_eq!(figures.batches(), 200);
        let one = Figures::new(setting([1, 1, 1]), &[sample(7, 7)]).unwrap();
        assert_eq!([one.latency(50), one.latency(99)], [Duration::from_millis(7); 2]);
    }

    #[test]
    fn a_comparison_is_made_round_by_round() {
        let fast = figures([1, 2, 8], &[20.0, 10.0, 30.0], 1);
        let slow = figures([2, 1, 8], &[10.0, 5.0, 15.0], 1);
        let times = fast.times_as_fast_as(&slow);
        assert_eq!(
            times,
            Spread { median: 2.0, least: 2.0, most: 2.0 },
            "the rounds' noise is gone"
        );
    }

    #[test]
    fn what_never_ran_has_no_figures() {
        assert!(Figures::new(setting([1, 1, 1]), &[]).is_none());
    }
}
