//! How many images arrive in a second, refused ones included.

use std::time::Duration;

use tokio::time::Instant;

use super::backlog::into_f64;

/// What is reported and what replicas are scaled by: a short burst hardly moves it.
const STEADY: Duration = Duration::from_secs(10);
/// What batches are waited for by: who has left must not be waited for.
const LATELY: Duration = Duration::from_millis(200);

/// The same arrivals, remembered for longer and for less long.
#[derive(Debug)]
pub(super) struct Arrivals {
    steady: Count,
    lately: Count,
}

impl Arrivals {
    /// Nothing has arrived.
    pub(super) fn since(now: Instant) -> Self {
        Self { steady: Count::new(STEADY, now), lately: Count::new(LATELY, now) }
    }

    /// Counts images.
    pub(super) fn add(&mut self, images: usize, now: Instant) {
        self.steady.add(images, now);
        self.lately.add(images, now);
    }

    /// Images per second, of some ten seconds.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        self.steady.per_second(now)
    }

    /// Images per second, of some 0.2 seconds.
    pub(super) fn lately_per_second(&self, now: Instant) -> f64 {
        self.lately.per_second(now)
    }
}

/// An exponentially weighted count: what happened `memory` ago counts a third of what happens now.
#[derive(Debug)]
struct Count {
    memory: Duration,
    images: f64,
    at: Instant,
}

impl Count {
    fn new(memory: Duration, now: Instant) -> Self {
        Self { memory, images: 0.0, at: now }
    }

    fn add(&mut self, images: usize, now: Instant) {
        self.images = self.faded(now) + into_f64(images);
        self.at = now;
    }

    fn per_second(&self, now: Instant) -> f64 {
        self.faded(now) / self.memory.as_secs_f64()
    }

    fn faded(&self, now: Instant) -> f64 {
        let ago = now.saturating_duration_since(self.at);
        self.images * (-ago.as_secs_f64() / self.memory.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_rate_is_found_and_forgotten() {
        let mut arrivals = Arrivals::since(Instant::now());
        for _ in 0..12_000 {
            tokio::time::advance(Duration::from_millis(5)).await;
            arrivals.add(2, Instant::now());
        }
        let now = Instant::now();
        for rate in [arrivals.per_second(now), arrivals.lately_per_second(now)] {
            assert!((390.0..410.0).contains(&rate), "{rate}");
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(arrivals.lately_per_second(Instant::now()) < 0.2);
        assert!(arrivals.per_second(Instant::now()) > 300.0);
        tokio::time::advance(Duration::from_mins(2)).await;
        assert!(arrivals.per_second(Instant::now()) < 0.2);
    }
}
