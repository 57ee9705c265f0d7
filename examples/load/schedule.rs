//! When requests are due, and whose client hangs up: drawn before the first is sent.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Bernoulli, Distribution as _, Exp1};

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// From the start.
    pub(crate) due: Duration,
    /// Whether its client goes away before the answer.
    pub(crate) hangs_up: bool,
}

/// What a schedule is drawn from.
pub(crate) struct Schedule {
    random: ChaCha8Rng,
    hang_up_share: f64,
}

impl Schedule {
    pub(crate) fn new(seed: u64, hang_up_share: f64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            hang_up_share: hang_up_share.clamp(0.0, 1.0),
        }
    }

    /// A Poisson process of `rate` requests per second: the gaps are exponentially distributed.
    pub(crate) fn arrivals(mut self, rate: f64, duration: Duration) -> Vec<Arrival> {
        let hangs_up = Bernoulli::new(self.hang_up_share).ok();
        let mut due = Duration::ZERO;
        let mut arrivals = Vec::new();
        loop {
            let gap: f64 = Exp1.sample(&mut self.random);
            due += Duration::from_secs_f64(gap / rate);
            if due >= duration {
                return arrivals;
            }
            let hangs_up = hangs_up.is_some_and(|chance| chance.sample(&mut self.random));
            arrivals.push(Arrival { due, hangs_up });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(seed: u64, share: f64) -> Vec<Arrival> {
        Schedule::new(seed, share).arrivals(100.0, Duration::from_secs(100))
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_every_time() {
        assert_eq!(arrivals(7, 0.1), arrivals(7, 0.1));
        assert_ne!(arrivals(7, 0.1), arrivals(8, 0.1));
    }

    #[test]
    fn the_rate_is_kept_on_average_and_the_gaps_vary_as_much_as_their_mean() {
        let arrivals = arrivals(1, 0.0);
        assert!((9700..10300).contains(&arrivals.len()), "{}", arrivals.len());
        let due = arrivals.iter().map(|arrival| arrival.due.as_secs_f64());
        let due: Vec<f64> = due.collect();
        let long = due.windows(2).filter(|pair| pair[1] - pair[0] > 0.01).count();
        // e⁻¹ of exponentially distributed gaps are longer than their mean.
        assert!((3500..3850).contains(&long), "{long}");
    }

    #[test]
    fn the_share_of_those_who_hang_up_is_kept() {
        let gone = arrivals(1, 0.3).iter().filter(|arrival| arrival.hangs_up).count();
        assert!((2800..3200).contains(&gone), "{gone}");
        assert!(!arrivals(1, 0.0).iter().any(|arrival| arrival.hangs_up));
    }
}
