//! What the stages of one request have taken, also where it did not get through them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::Stage;

/// The time that each stage has taken so far, of a request's images the longest. Clones are the
/// same.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    nanoseconds: Arc<[AtomicU64; Stage::ALL.len()]>,
}

/// A stage that a request is in, until this is dropped.
pub struct Running<'a> {
    times: &'a StageTimes,
    stage: Stage,
    since: Instant,
}

impl StageTimes {
    /// Enters a stage.
    #[must_use]
    pub fn begin(&self, stage: Stage) -> Running<'_> {
        Running { times: self, stage, since: Instant::now() }
    }

    /// Writes down what a stage took one of the images.
    pub fn record(&self, stage: Stage, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds[stage as usize].fetch_max(nanoseconds, Ordering::Relaxed);
    }

    /// What a stage took; nothing where the request did not come to it.
    #[must_use]
    pub fn get(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.nanoseconds[stage as usize].load(Ordering::Relaxed))
    }
}

impl Running<'_> {
    /// How long the stage has lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// However the stage is left, by an error, a deadline or the client's going away.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.times.record(self.stage, self.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_images_the_longest_counts() {
        let times = StageTimes::default();
        for milliseconds in [2, 5, 3] {
            times.clone().record(Stage::Decode, Duration::from_millis(milliseconds));
        }
        assert_eq!(times.get(Stage::Decode), Duration::from_millis(5));
        assert_eq!(times.get(Stage::Queue), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_is_broken_off_has_lasted_until_then() {
        let times = StageTimes::default();
        let running = times.begin(Stage::Read);
        tokio::time::advance(Duration::from_secs(3)).await;
        drop(running);
        assert_eq!(times.get(Stage::Read), Duration::from_secs(3));
    }
}
