//! From single images to batches: the handle, the queue behind it, and the workers that empty it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::telemetry::metrics::Metrics;

pub mod backlog;
pub mod collector;
pub mod cost_model;
pub mod job;
pub mod queue;
pub mod worker;

use backlog::Backlog;
pub use collector::Collector;
pub use job::{Answer, JobError};
pub use queue::{Queue, Rejection, Slot};

/// How images are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Gathering {
    /// Images admitted and not yet answered.
    pub queue_capacity: NonZeroUsize,
    /// Images in one batch, at most.
    pub max_batch: NonZeroUsize,
    /// How long an image may wait for others, where waiting pays.
    pub max_wait: Duration,
    /// Threads that run batches.
    pub workers: NonZeroUsize,
}

/// The two ends of one queue: images go in at the first and come out in batches at the second.
#[must_use]
pub fn pair(gathering: Gathering, metrics: Arc<Metrics>) -> (Queue, Collector) {
    let shared = Arc::new(Shared {
        backlog: Mutex::new(Backlog::new(gathering)),
        arrived: Condvar::new(),
        gathering,
        metrics,
    });
    (Queue::new(Arc::clone(&shared)), Collector::new(shared))
}

/// What both ends see.
struct Shared {
    backlog: Mutex<Backlog>,
    /// Signalled when a job arrives or the queue closes.
    arrived: Condvar,
    gathering: Gathering,
    metrics: Arc<Metrics>,
}

impl Shared {
    /// The lock is held for a few comparisons, never while a batch runs.
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
