//! The workers' end of the queue: blocks until there is a batch to run.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::backlog::{self, Next};
use super::job::Job;
use super::queue::gauge;

/// Forms batches for workers. Clones take from the same queue.
#[derive(Clone)]
pub struct Collector {
    shared: Arc<Shared>,
}

impl Collector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next batch, oldest first; `None` when the queue is closed and empty.
    #[must_use]
    pub fn next_batch(&self) -> Option<Vec<Job>> {
        loop {
            let now = Instant::now();
            // Not under the lock below: dropping a job gives its place back, which takes it.
            let gone = self.shared.lock().sweep(now);
            backlog::dismiss(gone);
            let mut waiting = self.shared.lock();
            let next = waiting.next(now);
            self.shared.metrics.queue_images.set(gauge(waiting.waiting()));
            match next {
                Next::Run(jobs) => return Some(jobs),
                Next::Stop => return None,
                Next::WaitForArrival => {
                    drop(self.shared.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner));
                }
                Next::WaitUntil(time) => {
                    let wait = time.saturating_duration_since(now);
                    let waited = self.shared.arrived.wait_timeout(waiting, wait);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// What a worker that is free at this time is to do.
    #[cfg(test)]
    pub(super) fn decide(&self, now: Instant) -> Next {
        self.shared.lock().next(now)
    }

    /// Teaches the cost model.
    pub fn observe(&self, images: usize, took: Duration) {
        let mut backlog = self.shared.lock();
        backlog.cost.observe(images, took);
        self.shared.metrics.capacity.set(backlog.capacity());
    }
}
