//! From single images to batches: the handle, the queue behind it, and the workers that empty it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::metrics::{Abandonment, Metrics};

mod answer;
mod arrivals;
pub mod backlog;
pub mod collector;
pub mod cost_model;
mod executor;
mod forecast;
pub mod job;
mod journey;
mod line;
mod progress;
pub mod queue;
mod sizes;
pub mod worker;

pub use answer::Answer;
use backlog::Backlog;
pub use backlog::Load;
pub use collector::Collector;
pub use executor::{Executor, place};
use job::Job;
pub use job::{Content, JobError, Prepared, Row};
pub use progress::{Progress, Spent};
pub use queue::{Queue, Rejection, Slot};
pub use sizes::BatchSizes;

/// How images are gathered.
#[derive(Clone, Debug)]
pub struct Gathering {
    /// Images admitted and not yet answered.
    pub queue_capacity: NonZeroUsize,
    /// The batches that the device is asked to run.
    pub sizes: BatchSizes,
    /// How long an image may wait for others, where waiting pays.
    pub max_wait: Duration,
    /// Threads that run batches.
    pub workers: NonZeroUsize,
    /// Threads that decode.
    pub decoders: NonZeroUsize,
}

/// The two ends of one queue: images go in at the first and come out in batches at the second.
#[must_use]
pub fn pair(gathering: Gathering, metrics: Arc<Metrics>) -> (Queue, Collector) {
    let shared = Arc::new(Shared {
        backlog: Mutex::new(Backlog::new(gathering.clone(), Instant::now())),
        arrived: Condvar::new(),
        over: Condvar::new(),
        gathering,
        metrics,
    });
    (Queue::new(Arc::clone(&shared)), Collector::new(shared))
}

/// What both ends see.
struct Shared {
    backlog: Mutex<Backlog>,
    /// Signalled when a job arrives or the queue closes; free workers wait for it, one for each job.
    arrived: Condvar,
    /// Signalled when nothing is left to be done. Who rebuilds an engine waits for it, and not for
    /// jobs, which are for others.
    over: Condvar,
    gathering: Gathering,
    metrics: Arc<Metrics>,
}

impl Shared {
    /// The lock is held for some comparisons, never while a batch runs.
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every worker to look again.
    fn tell_all(&self) {
        self.arrived.notify_all();
        self.over.notify_all();
    }

    /// Ends the way of an image that was removed from the line: it came too late, or nobody waits
    /// for it. Not under the lock, which giving its place back takes.
    fn dismiss(&self, job: Job, now: Instant) {
        self.metrics.queue_images.dec();
        if job.deadline > now {
            self.metrics.count_abandoned(Abandonment::Queue);
        }
        job.answer(Err(JobError::Expired));
    }
}
