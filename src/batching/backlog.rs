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
    /// As [`Backlog::check`].
    pub fn reserve(&mut self, images: usize, until_deadline: Duration) -> Result<(), Rejection> {
        self.check(images, until_deadline)?;
        self.admitted += images;
        Ok(())
    }

    /// Says whether `images` places could be taken now.
    ///
    /// # Errors
    ///
    /// When the places are not there, the deadline is out of reach, or the queue is closed.
    pub fn check(&self, images: usize, until_deadline: Duration) -> Result<(), Rejection> {
        if self.closed {
            return Err(self.rejection(Reason::Draining));
        }
        if self.admitted + images > self.gathering.queue_capacity.get() {
            return Err(self.rejection(Reason::QueueFull));
        }
        if self.time_to_drain(self.admitted + images) > until_deadline {
            return Err(self.rejection(Reason::Deadline));
        }
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::batching::job::Answer;
    use crate::batching::queue::Slot;
    use crate::batching::{Collector, Queue, pair};
    use crate::preprocess::Pixels;
    use crate::telemetry::metrics::Metrics;

    const WAIT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_mins(1);

    type Reply = oneshot::Receiver<Result<Answer, JobError>>;

    fn count(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    fn queue(queue_capacity: usize) -> (Queue, Collector) {
        let (max_batch, workers) = (count(4), count(1));
        let queue_capacity = count(queue_capacity);
        let gathering = Gathering { queue_capacity, max_batch, max_wait: WAIT, workers };
        pair(gathering, Arc::new(Metrics::new()))
    }

    fn reserve(queue: &Queue, images: usize, within: Duration) -> Result<Vec<Slot>, Rejection> {
        queue.reserve(count(images), Instant::now() + within)
    }

    fn submit(queue: &Queue, images: usize, within: Duration) -> Vec<Reply> {
        let deadline = Instant::now() + within;
        let slots = reserve(queue, images, within).unwrap();
        slots.into_iter().map(|slot| slot.submit(Pixels::black(1, 1), deadline)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_taken_all_or_none_and_given_back() {
        let (queue, _collector) = queue(4);
        let three = reserve(&queue, 3, LONG).unwrap();
        assert_eq!(reserve(&queue, 2, LONG).err().unwrap().reason, Reason::QueueFull);
        assert!(reserve(&queue, 1, LONG).is_ok(), "the refused two took nothing");
        drop(three);
        assert!(reserve(&queue, 4, LONG).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_out_of_reach_is_refused_with_the_time_to_drain() {
        let (queue, collector) = queue(64);
        collector.observe(1, Duration::from_millis(100));
        let _backlog = reserve(&queue, 10, LONG).unwrap();
        let refused = reserve(&queue, 1, Duration::from_millis(1050)).err().unwrap();
        assert_eq!(refused.reason, Reason::Deadline);
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(reserve(&queue, 1, Duration::from_millis(1150)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_refused_for_its_deadline_while_nothing_is_known() {
        let (queue, _collector) = queue(64);
        assert!(reserve(&queue, 64, Duration::from_millis(1)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_worker_takes_what_waits_oldest_first() {
        let (queue, collector) = queue(64);
        let mut replies = submit(&queue, 6, LONG);
        assert_eq!(collector.next_batch().unwrap().len(), 4);
        assert!(
            replies[0].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
        assert!(
            replies[4].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
        );
        assert_eq!(collector.next_batch().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_image_waits_for_others_where_a_larger_batch_is_cheaper() {
        let (queue, collector) = queue(64);
        for (images, milliseconds) in [(1, 10), (4, 12)] {
            collector.observe(images, Duration::from_millis(milliseconds));
        }
        let _first = submit(&queue, 1, LONG);
        let now = Instant::now();
        assert!(matches!(collector.decide(now), Next::WaitUntil(time) if time == now + WAIT));
        assert!(matches!(collector.decide(now + WAIT), Next::Run(jobs) if jobs.len() == 1));
        let _four = submit(&queue, 4, LONG);
        assert!(
            matches!(collector.decide(now), Next::Run(jobs) if jobs.len() == 4),
            "a full batch"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_image_waits_where_a_larger_batch_costs_as_much_per_image() {
        let (queue, collector) = queue(64);
        for images in [1, 4] {
            collector.observe(images, Duration::from_millis(10 * images as u64));
        }
        let _one = submit(&queue, 1, LONG);
        assert!(matches!(collector.decide(Instant::now()), Next::Run(jobs) if jobs.len() == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_late_are_told_and_the_abandoned_are_dropped() {
        let (queue, collector) = queue(64);
        let mut late = submit(&queue, 1, WAIT);
        drop(submit(&queue, 1, LONG));
        let _kept = submit(&queue, 1, LONG);
        tokio::time::advance(WAIT).await;
        assert_eq!(collector.next_batch().unwrap().len(), 1);
        assert!(matches!(late.pop().unwrap().await, Ok(Err(JobError::Expired))));
    }

    #[tokio::test(start_paused = true)]
    async fn workers_stop_when_a_closed_queue_has_given_its_last_answer() {
        let (queue, collector) = queue(64);
        let slots = reserve(&queue, 1, LONG).unwrap();
        queue.close();
        assert_eq!(reserve(&queue, 1, LONG).err().unwrap().reason, Reason::Draining);
        assert!(matches!(collector.decide(Instant::now()), Next::WaitForArrival));
        drop(slots);
        assert!(collector.next_batch().is_none());
    }
}
