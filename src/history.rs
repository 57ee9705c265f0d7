//! The last minutes, second by second, for the live view.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::telemetry::metrics::{Metrics, SECONDS};
use crate::telemetry::totals::Totals;
use crate::vitals::Vitals;

/// Samples that are kept, one a second: ten minutes.
const KEPT: usize = 600;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// What the service did lately. Clones are the same history.
#[derive(Clone)]
pub struct History {
    state: Arc<Mutex<State>>,
    started: u128,
}

#[derive(Default)]
struct State {
    samples: VecDeque<Sample>,
    before: Totals,
    taken: Option<Instant>,
    number: u64,
}

/// What happened in a second or so; rates are by the second.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Counted from 1 at the start.
    pub number: u64,
    /// Requests answered.
    pub requests: f64,
    /// Of these, with a status of 5xx.
    pub errors: f64,
    /// Images that got their labels.
    pub classified: f64,
    /// Images that were refused because of load.
    pub refused: f64,
    /// Seconds that half, 95 % and 99 % of the requests did not exceed.
    pub latency: [Option<f64>; 3],
    /// Batches by size: up to 1 image, 2, 4 and so on, and more than all that.
    pub batches: Vec<u64>,
    /// Images that wait for a worker.
    pub queue: i64,
    /// Images admitted and not yet answered.
    pub inflight: i64,
    /// What arrives over what is sustained.
    pub saturation: f64,
    /// Images in a second that are sustained.
    pub capacity: f64,
}

impl Default for History {
    fn default() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { state: Arc::default(), started: started.as_millis() }
    }
}

impl History {
    /// When this process began to write, in milliseconds since 1970: another value is another one.
    #[must_use]
    pub fn started(&self) -> u128 {
        self.started
    }

    /// Takes a sample every second, for ever.
    pub async fn write(self, vitals: Vitals, metrics: Arc<Metrics>) {
        let mut seconds = interval(PERIOD);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            seconds.tick().await;
            vitals.publish(&metrics);
            self.record(&metrics);
        }
    }

    /// Takes a sample of what has come since the one before.
    pub fn record(&self, metrics: &Metrics) {
        let (now, totals) = (Instant::now(), Totals::of(metrics));
        let mut state = self.lock();
        let elapsed = state.taken.map_or(PERIOD, |taken| now.saturating_duration_since(taken));
        state.number += 1;
        let sample = Sample::between(&state, &totals, elapsed);
        state.samples.push_back(sample.with_gauges(metrics));
        if state.samples.len() > KEPT {
            state.samples.pop_front();
        }
        (state.before, state.taken) = (totals, Some(now));
    }

    /// The samples after that number, oldest first.
    #[must_use]
    pub fn since(&self, number: u64) -> Vec<Sample> {
        let state = self.lock();
        state.samples.iter().filter(|sample| sample.number > number).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    fn between(state: &State, totals: &Totals, elapsed: Duration) -> Self {
        let before = &state.before;
        // The first two may come in one moment.
        let seconds = elapsed.as_secs_f64().max(0.001);
        let latency = totals.latency.since(&before.latency);
        Self {
            number: state.number,
            requests: rate((totals.requests, before.requests), seconds),
            errors: rate((totals.errors, before.errors), seconds),
            classified: rate((totals.classified, before.classified), seconds),
            refused: rate((totals.refused, before.refused), seconds),
            latency: [0.5, 0.95, 0.99].map(|share| latency.quantile(share, &SECONDS)),
            batches: totals.batches.since(&before.batches).counts(),
            queue: 0,
            inflight: 0,
            saturation: 0.0,
            capacity: 0.0,
        }
    }

    fn with_gauges(self, metrics: &Metrics) -> Self {
        Self {
            queue: metrics.queue_images.get(),
            inflight: metrics.inflight_images.get(),
            saturation: metrics.saturation.get(),
            capacity: metrics.capacity.get(),
            ..self
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn rate((now, before): (u64, u64), seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Outcome;

    fn classified(metrics: &Metrics, images: usize) {
        for _ in 0..images {
            metrics.count_image(Outcome::Classified);
        }
    }

    fn rates(samples: &[Sample]) -> Vec<f64> {
        samples.iter().map(|sample| sample.classified.round()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_has_what_came_since_the_one_before_by_the_second() {
        let (history, metrics) = (History::default(), Metrics::new());
        history.record(&metrics);
        classified(&metrics, 30);
        tokio::time::advance(2 * PERIOD).await;
        history.record(&metrics);
        tokio::time::advance(PERIOD).await;
        history.record(&metrics);
        assert_eq!(rates(&history.since(0)), [0.0, 15.0, 0.0]);
        assert_eq!(rates(&history.since(1)), [15.0, 0.0]);
        assert!(history.since(3).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_told_by_their_size() {
        let (history, metrics) = (History::default(), Metrics::new());
        for images in [1.0, 1.0, 3.0, 500.0] {
            metrics.batch_images.observe(images);
        }
        history.record(&metrics);
        assert_eq!(history.since(0)[0].batches, [2, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_last_minutes_are_kept() {
        let (history, metrics) = (History::default(), Metrics::new());
        for _ in 0..KEPT + 5 {
            history.record(&metrics);
        }
        let samples = history.since(0);
        assert_eq!((samples.len(), samples[0].number), (KEPT, 6));
    }
}
