//! How many images arrive in a second, refused ones included.

use std::time::Duration;

use tokio::time::Instant;

use super::backlog::into_f64;

/// What happened this long ago counts a third of what happens now.
const MEMORY: Duration = Duration::from_secs(10);

/// An exponentially weighted count.
#[derive(Debug)]
pub(super) struct Arrivals {
    images: f64,
    at: Instant,
}

impl Arrivals {
    /// Nothing has arrived.
    pub(super) fn since(now: Instant) -> Self {
        Self { images: 0.0, at: now }
    }

    /// Counts images.
    pub(super) fn add(&mut self, images: usize, now: Instant) {
        self.images = self.faded(now) + into_f64(images);
        self.at = now;
    }

    /// Images per second.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        self.faded(now) / MEMORY.as_secs_f64()
    }

    fn faded(&self, now: Instant) -> f64 {
        let ago = now.saturating_duration_since(self.at);
        self.images * (-ago.as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_rate_is_found_and_forgotten() {
        let mut arrivals = Arrivals::since(Instant::now());
        for _ in 0..1200 {
            tokio::time::advance(Duration::from_millis(50)).await;
            arrivals.add(2, Instant::now());
        }
        let rate = arrivals.per_second(Instant::now());
        assert!((38.0..42.0).contains(&rate), "{rate}");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(arrivals.per_second(Instant::now()) < 0.2);
    }
}
