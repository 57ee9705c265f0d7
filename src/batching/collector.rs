//! The workers' end of the queue: blocks until there is a batch to run.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backlog::{Backlog, Next};
use super::job::Job;
use super::queue::gauge;
use super::{BatchSizes, Shared};
use crate::telemetry::metrics::Abandonment;

/// Forms batches for one worker.
pub struct Collector {
    shared: Arc<Shared>,
    worker: usize,
}

impl Collector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, worker: 0 }
    }

    /// The same queue for another worker, counted from 0 and below the number of workers.
    #[must_use]
    pub fn for_worker(&self, worker: usize) -> Self {
        Self { shared: Arc::clone(&self.shared), worker }
    }

    /// The batches that are asked for.
    #[must_use]
    pub fn sizes(&self) -> &BatchSizes {
        &self.shared.gathering.sizes
    }

    /// Images in a batch, at most: fewer than asked for where the device's memory was too small.
    pub(super) fn limit(&self) -> usize {
        self.shared.lock().limit()
    }

    /// The next batch, in the order of service; `None` when the queue is closed and empty.
    #[must_use]
    pub fn next_batch(&self) -> Option<Vec<Job>> {
        loop {
            let now = Instant::now();
            self.sweep(now);
            let mut backlog = self.shared.lock();
            if let Some(limit) = backlog.recover_limit(now) {
                tracing::info!(limit, "larger batches are tried again");
            }
            match backlog.next(self.worker, now) {
                Next::Run(jobs) => {
                    self.shared.metrics.queue_images.sub(gauge(jobs.len()));
                    // Those that stay may have come while only this worker was told of them.
                    if backlog.waiting() > 0 {
                        self.shared.arrived.notify_one();
                    }
                    return Some(jobs);
                }
                Next::Stop => return None,
                Next::WaitForArrival => {
                    drop(self.shared.arrived.wait(backlog).unwrap_or_else(PoisonError::into_inner));
                }
                Next::WaitUntil(time) => {
                    self.wait(backlog, time.saturating_duration_since(now));
                }
            }
        }
    }

    /// Dismisses what nobody waits for and what came too late; the late ones are told so.
    fn sweep(&self, now: Instant) {
        let gone = self.shared.lock().sweep(now);
        for job in gone {
            self.shared.dismiss(job, now);
        }
    }

    /// Teaches the cost model a batch that ran while nobody waited.
    pub fn observe(&self, images: usize, took: Duration) {
        self.shared.lock().observe(images, took);
    }

    /// Teaches the cost model, and how good the forecasts for these images were.
    pub(super) fn observe_batch(&self, jobs: &[Job], took: Duration) {
        let now = Instant::now();
        let mut backlog = self.shared.lock();
        backlog.observe(jobs.len(), took);
        for job in jobs {
            backlog.observe_job(job, now);
        }
        drop(backlog);
        let ran_for_nobody = jobs.iter().filter(|job| job.is_abandoned() && job.deadline > now);
        for _ in ran_for_nobody {
            self.shared.metrics.count_abandoned(Abandonment::Batch);
        }
    }

    /// Lowers the batch limit for good, for a device whose memory a larger batch does not fit.
    pub(super) fn cap_limit(&self, images: usize) {
        let lower = self.shared.lock().cap_limit(images);
        self.note_limit(lower, images);
    }

    /// Lowers the batch limit until there may be memory for a larger batch again.
    pub(super) fn lower_limit(&self, images: usize) {
        let lower = self.shared.lock().lower_limit(images, Instant::now());
        self.note_limit(lower, images);
    }

    fn note_limit(&self, lower: bool, images: usize) {
        if lower {
            self.shared.metrics.batch_limit_lowered.inc();
            tracing::warn!(limit = images, "the device's memory is too small: smaller batches");
        }
    }

    /// Puts images back into their places in line.
    pub(super) fn give_back(&self, jobs: Vec<Job>) {
        let now = Instant::now();
        self.shared.metrics.queue_images.add(gauge(jobs.len()));
        let mut backlog = self.shared.lock();
        for job in jobs {
            backlog.push(job, now);
        }
        drop(backlog);
        self.shared.arrived.notify_all();
    }

    /// Says whether this worker's engine works.
    pub(super) fn set_working(&self, works: bool) {
        self.shared.lock().set_working(self.worker, works, Instant::now());
        self.shared.metrics.workers.add(if works { 1 } else { -1 });
    }

    /// Waits before the next attempt to work; `false` when the queue is closed and empty.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        self.sweep(Instant::now());
        let goes_on = |backlog: &mut Backlog| !backlog.is_over();
        let waited = self.shared.over.wait_timeout_while(self.shared.lock(), pause, goes_on);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over()
    }

    fn wait(&self, backlog: MutexGuard<'_, Backlog>, longest: Duration) {
        let waited = self.shared.arrived.wait_timeout(backlog, longest);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// What this worker, free at this time, is to do.
    #[cfg(test)]
    pub(super) fn decide(&self, now: Instant) -> Next {
        self.sweep(now);
        self.shared.lock().next(self.worker, now)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use tokio::sync::oneshot;

    use super::*;
    use crate::batching::backlog::tests::{picture, with_workers};
    use crate::batching::job::Row;
    use crate::batching::{JobError, Queue};

    const LONG: Duration = Duration::from_mins(1);

    /// Puts an image in line and tells nobody.
    fn put(queue: &Queue, collector: &Collector) -> oneshot::Receiver<Result<Row, JobError>> {
        let now = Instant::now();
        let slot = queue.reserve(NonZeroUsize::MIN, now + LONG).unwrap().pop().unwrap();
        let (reply, answer) = oneshot::channel();
        let job = Job {
            image: picture(),
            deadline: now + LONG,
            submitted: now,
            engines_lost: 0,
            reply,
            journey: None,
            slot,
        };
        collector.shared.lock().push(job, now);
        answer
    }

    fn answer_all(collector: &Collector) {
        while let Some(jobs) = collector.next_batch() {
            for job in jobs {
                job.answer(Ok(Row::default()));
            }
        }
    }

    #[tokio::test]
    async fn who_leaves_images_in_line_wakes_a_worker_that_waits() {
        let (queue, collector) = with_workers(2, 8, BatchSizes::Any { limit: NonZeroUsize::MIN });
        let waiting = collector.for_worker(1);
        let worker = std::thread::spawn(move || answer_all(&waiting));
        let slot = queue.reserve(NonZeroUsize::MIN, Instant::now() + LONG).unwrap().pop().unwrap();
        slot.submit(picture(), Instant::now() + LONG).await.unwrap();
        while queue.load().stalled > Duration::ZERO {
            std::thread::yield_now(); // until it waits again
        }
        let _first = put(&queue, &collector);
        let second = put(&queue, &collector);

        let taken = collector.next_batch().unwrap();

        assert_eq!(taken.len(), 1);
        assert!(tokio::time::timeout(LONG / 2, second).await.is_ok(), "nobody took the second");
        drop(taken);
        queue.close();
        worker.join().unwrap();
    }
}
