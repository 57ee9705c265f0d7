//! What each worker is at, and whether anything moves.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

/// The workers of one model.
pub(super) struct Workers {
    states: Vec<State>,
    /// When a worker last came back from a batch, or work began to wait for one.
    moved: Instant,
    /// When the last worker failed.
    none_since: Option<Instant>,
}

#[derive(Clone, Copy)]
enum State {
    Free,
    Busy { since: Instant, until: Instant },
    Failed,
}

impl Workers {
    pub(super) fn new(workers: NonZeroUsize, now: Instant) -> Self {
        Self { states: vec![State::Free; workers.get()], moved: now, none_since: None }
    }

    /// Workers whose engine works.
    pub(super) fn working(&self) -> usize {
        self.states.iter().filter(|state| !matches!(state, State::Failed)).count()
    }

    pub(super) fn free(&mut self, worker: usize, now: Instant) {
        self.states[worker] = State::Free;
        self.moved = now;
    }

    pub(super) fn busy(&mut self, worker: usize, now: Instant, predicted: Duration) {
        self.states[worker] = State::Busy { since: now, until: now + predicted };
    }

    pub(super) fn set_working(&mut self, worker: usize, works: bool, now: Instant) {
        self.states[worker] = if works { State::Free } else { State::Failed };
        self.none_since = (self.working() == 0).then(|| self.none_since.unwrap_or(now));
    }

    /// The first image comes to wait.
    pub(super) fn work_begins(&mut self, now: Instant) {
        self.moved = self.moved.max(now);
    }

    /// Until each one that works is free, in ascending order.
    pub(super) fn leads(&self, now: Instant) -> Vec<Duration> {
        let left = |state: &State| match state {
            State::Busy { until, .. } => Some(until.saturating_duration_since(now)),
            State::Free => Some(Duration::ZERO),
            State::Failed => None,
        };
        let mut leads: Vec<Duration> = self.states.iter().filter_map(left).collect();
        leads.sort_unstable();
        leads
    }

    /// For how long a batch has run, work has waited for a worker, or no worker has worked.
    pub(super) fn stalled(&self, work_waits: bool, now: Instant) -> Duration {
        let batches = self.states.iter().filter_map(|state| match state {
            State::Busy { since, .. } => Some(*since),
            State::Free | State::Failed => None,
        });
        let waiting = work_waits.then_some(self.moved);
        let oldest = batches.chain(waiting).chain(self.none_since).min();
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}
