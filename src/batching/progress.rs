//! When an image's batch began and ended, for whoever waits for its answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

/// How far one image has come. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    moments: Arc<Moments>,
}

#[derive(Debug, Default)]
struct Moments {
    began: OnceLock<Instant>,
    ended: OnceLock<Instant>,
}

/// What an image has spent behind the queue's entrance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spent {
    /// Waiting for a worker.
    pub queue: Duration,
    /// In its batch, and in those that it was run in before because they failed.
    pub inference: Duration,
}

impl Progress {
    /// The image is in a batch now.
    pub(super) fn begin(&self, now: Instant) {
        let _ = self.moments.began.set(now);
    }

    /// The image has its answer.
    pub(super) fn end(&self, now: Instant) {
        let _ = self.moments.ended.set(now);
    }

    /// What an image that was submitted at a time has spent until now, or until its answer.
    #[must_use]
    pub fn spent(&self, submitted: Instant) -> Spent {
        let end = self.moments.ended.get().copied().unwrap_or_else(Instant::now);
        let began = self.moments.began.get().copied().unwrap_or(end);
        Spent {
            queue: began.saturating_duration_since(submitted),
            inference: end.saturating_duration_since(began),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_waits_spends_its_time_in_the_queue_and_then_in_its_batch() {
        let (progress, submitted) = (Progress::default(), Instant::now());
        tokio::time::advance(SECOND).await;
        let waiting = Spent { queue: SECOND, inference: Duration::ZERO };
        assert_eq!(progress.spent(submitted), waiting);
        progress.begin(Instant::now());
        tokio::time::advance(2 * SECOND).await;
        let running = Spent { queue: SECOND, inference: 2 * SECOND };
        assert_eq!(progress.spent(submitted), running);
        progress.end(Instant::now());
        tokio::time::advance(SECOND).await;
        assert_eq!(progress.spent(submitted), running, "who wakes up late has not waited");
    }
}
