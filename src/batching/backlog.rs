//! The images that wait and what is decided about them: no thread, no lock, no clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Gathering;
use super::cost_model::CostModel;
use super::job::{Job, JobError};
use super::queue::Rejection;
use crate::telemetry::metrics::Reason;

/// What is waiting, what was admitted, and what batches cost.
pub struct Backlog {
    gathering: Gathering,
    waiting: VecDeque<Job>,
    admitted: usize,
    closed: bool,
    /// Learned from every batch that ran.
    pub cost: CostModel,
}

/// What a free worker is to do.
pub enum Next {
    /// Run these.
    Run(Vec<Job>),
    /// Look again at that time, or when an image arrives.
    WaitUntil(Instant),
    /// Look again when an image arrives.
    WaitForArrival,
    /// Go home: nothing waits and nothing will come.
    Stop,
}

impl Backlog {
    /// Nothing waits, nothing is known.
    #[must_use]
    pub fn new(gathering: Gathering) -> Self {
        let (waiting, cost) = (VecDeque::new(), CostModel::default());
        Self { gathering, waiting, admitted: 0, closed: false, cost }
    }

    /// Takes `images` places, all or none.
    ///
    /// # Errors
    ///
    /// When the places are not there, the deadline is out of reach, or the queue is closed.
    pub fn reserve(&mut self, images: usize, until_deadline: Duration) -> Result<(), Rejection> {
        if self.closed {
            return Err(self.rejection(Reason::Draining));
        }
        if self.admitted + images > self.gathering.queue_capacity.get() {
            return Err(self.rejection(Reason::QueueFull));
        }
        if self.time_to_drain(self.admitted + images) > until_deadline {
            return Err(self.rejection(Reason::Deadline));
        }
        self.admitted += images;
        Ok(())
    }

    /// A refusal that says when what was admitted will be through.
    #[must_use]
    pub fn rejection(&self, reason: Reason) -> Rejection {
        Rejection { reason, retry_after: self.time_to_drain(self.admitted) }
    }

    /// Gives one place back.
    pub fn release(&mut self) {
        self.admitted -= 1;
    }

    /// Images admitted and not yet answered.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.admitted
    }

    /// Images that wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Puts an image at the end.
    pub fn push(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Admits nothing more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Decides for a worker that is free.
    pub fn next(&mut self, now: Instant) -> Next {
        let Some(oldest) = self.waiting.front() else {
            return if self.closed && self.admitted == 0 {
                Next::Stop
            } else {
                Next::WaitForArrival
            };
        };
        let patience = oldest.submitted + self.patience();
        if !self.closed && now < patience && self.waiting.len() < self.gathering.max_batch.get() {
            return Next::WaitUntil(patience);
        }
        let count = self.waiting.len().min(self.gathering.max_batch.get());
        Next::Run(self.waiting.drain(..count).collect())
    }

    /// Removes what nobody waits for and what came too late; the late ones are told so.
    pub fn sweep(&mut self, now: Instant) -> Vec<Job> {
        let dead = |job: &Job| job.is_abandoned() || job.deadline <= now;
        if !self.waiting.iter().any(dead) {
            return Vec::new();
        }
        let (gone, kept) = self.waiting.drain(..).partition::<Vec<Job>, _>(dead);
        self.waiting = kept.into();
        gone
    }

    /// Images per second that all workers sustain together; 0 while unknown.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        let workers = self.gathering.workers.get();
        self.cost.throughput(self.gathering.max_batch.get()) * into_f64(workers)
    }

    /// How long an image may wait for others: not at all unless a larger batch is cheaper.
    fn patience(&self) -> Duration {
        if self.cost.batching_pays() { self.gathering.max_wait } else { Duration::ZERO }
    }

    /// Until `images` images are through, by what batches have cost so far.
    fn time_to_drain(&self, images: usize) -> Duration {
        let capacity = self.capacity();
        if images == 0 || capacity <= 0.0 {
            return Duration::ZERO;
        }
        let one_batch = self.cost.predict(images.min(self.gathering.max_batch.get()));
        one_batch.max(Duration::from_secs_f64(into_f64(images) / capacity))
    }
}

/// Tells the late ones; the abandoned have nobody to tell.
pub(super) fn dismiss(gone: Vec<Job>) {
    for job in gone {
        job.answer(Err(JobError::Expired));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of images are far below 2^52")]
pub(super) fn into_f64(count: usize) -> f64 {
    count as f64
}
