//! What is admitted and what runs next: decisions, without a thread, a lock or a clock.

use std::time::Duration;

use tokio::time::Instant;

use super::Gathering;
use super::arrivals::Arrivals;
use super::cost_model::CostModel;
use super::forecast::{Calibration, MeanDuration, Outlook};
use super::job::Job;
use super::line::{Line, Turn};

mod admission;
mod limit;
mod workers;

#[cfg(test)]
mod simulation;
#[cfg(test)]
pub(super) mod tests;

use limit::BatchLimit;
use workers::Workers;

/// So much of the throughput is given up, at most, for a deadline that a full batch would miss.
const DEADLINE_SHARE: f64 = 0.1;

/// What is in line, what runs, and what that has cost.
pub struct Backlog {
    gathering: Gathering,
    line: Line,
    /// Images that workers have taken and not yet answered.
    taken: usize,
    workers: Workers,
    /// Images in a batch, at most: lower than configured where the device's memory asks for it.
    limit: BatchLimit,
    closed: bool,
    cost: CostModel,
    decode: MeanDuration,
    calibration: Calibration,
    arrivals: Arrivals,
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

/// A place in line and what was said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) turn: Turn,
    pub(super) made: Instant,
    /// From then on, without allowance for error.
    pub(super) forecast: Duration,
    /// Images in line then, itself included.
    pub(super) line: usize,
}

/// How busy one model's workers are.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Images that arrive in a second, refused ones included.
    pub arriving: f64,
    /// Images per second that all workers sustain together; 0 while unknown.
    pub capacity: f64,
    /// Workers whose engine works.
    pub workers: usize,
    /// For how long work has waited without any being done.
    pub stalled: Duration,
}

impl Backlog {
    /// Nothing waits, nothing is known.
    #[must_use]
    pub fn new(gathering: Gathering, now: Instant) -> Self {
        let cost = match gathering.sizes {
            super::BatchSizes::Any { .. } => CostModel::default(),
            super::BatchSizes::Some(_) => CostModel::of_few_sizes(),
        };
        Self {
            line: Line::default(),
            taken: 0,
            workers: Workers::new(gathering.workers, now),
            limit: BatchLimit::new(gathering.sizes.limit().get()),
            closed: false,
            cost,
            decode: MeanDuration::default(),
            calibration: Calibration::default(),
            arrivals: Arrivals::since(now),
            gathering,
        }
    }

    /// Gives one place back, whatever became of its image.
    pub(super) fn release(&mut self, turn: Turn) {
        if !self.line.leave(turn) {
            self.taken -= 1;
        }
    }

    /// Images admitted and not yet answered.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.line.len() + self.taken
    }

    /// Images that wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.ready()
    }

    /// Puts an image in its place, which it may have left for a worker before.
    pub(super) fn push(&mut self, job: Job, now: Instant) {
        if self.line.ready() == 0 {
            self.workers.work_begins(now);
        }
        let turn = job.turn();
        // A place is in line from its reservation on; a job that a worker gives back was taken.
        self.taken -= usize::from(!self.line.leave(turn));
        self.line.put(turn, job);
    }

    /// Admits nothing more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether nothing is left to be done, now or later.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closed && self.admitted() == 0
    }

    /// Decides for a worker that is free.
    pub fn next(&mut self, worker: usize, now: Instant) -> Next {
        self.workers.free(worker, now);
        if self.line.ready() == 0 {
            return if self.is_over() { Next::Stop } else { Next::WaitForArrival };
        }
        let images = self.batch_size(now);
        if let Some(time) = self.worth_waiting(images, now) {
            return Next::WaitUntil(time);
        }
        let jobs = self.line.take(images, |_| true);
        self.taken += jobs.len();
        self.workers.busy(worker, now, self.predict(jobs.len()));
        Next::Run(jobs)
    }

    /// Removes what nobody waits for and what came too late; who is late is told so.
    pub fn sweep(&mut self, now: Instant) -> Vec<Job> {
        let dead = |job: &Job| job.is_abandoned() || job.deadline <= now;
        let gone = self.line.take(usize::MAX, dead);
        for job in &gone {
            self.note_removed(job, now);
        }
        gone
    }

    /// Removes an image that nobody waits for any more; `None` where a worker has it.
    pub(super) fn withdraw(&mut self, turn: Turn, now: Instant) -> Option<Job> {
        let job = self.line.withdraw(turn)?;
        self.note_removed(&job, now);
        Some(job)
    }

    /// Its place is given back with the job; one that came too late says how far the forecast was off.
    fn note_removed(&mut self, job: &Job, now: Instant) {
        self.taken += 1;
        if job.deadline <= now {
            self.observe_job(job, now);
        }
    }

    /// Learns from a batch that ran.
    pub fn observe(&mut self, images: usize, took: Duration) {
        self.cost.observe(self.gathering.sizes.slots(images), took);
    }

    /// Learns how far the forecast for an image was off.
    pub(super) fn observe_job(&mut self, job: &Job, now: Instant) {
        let Promise { made, forecast, line, .. } = job.promise();
        self.calibration.observe((forecast, line), now.saturating_duration_since(made));
    }

    /// Learns what decoding an image takes, waiting for a core left out.
    pub fn observe_decode(&mut self, took: Duration) {
        self.decode.observe(took);
    }

    /// Images in a batch, at most.
    pub(super) fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Lowers the batch limit for good; `false` where it is no higher already.
    pub(super) fn cap_limit(&mut self, images: usize) -> bool {
        self.limit.cap(images)
    }

    /// Lowers the batch limit for some time; `false` where it is no higher already.
    pub(super) fn lower_limit(&mut self, images: usize, now: Instant) -> bool {
        self.limit.lower(images, now)
    }

    /// Raises a limit that was lowered, where it is time; what it is then.
    pub(super) fn recover_limit(&mut self, now: Instant) -> Option<usize> {
        self.limit.recover(now)
    }

    /// A worker's engine has failed for good, or works again.
    pub fn set_working(&mut self, worker: usize, works: bool, now: Instant) {
        self.workers.set_working(worker, works, now);
    }

    /// How busy the workers are.
    #[must_use]
    pub fn load(&self, now: Instant) -> Load {
        Load {
            arriving: self.arrivals.per_second(now),
            capacity: self.capacity(),
            workers: self.workers.working(),
            stalled: self.workers.stalled(self.line.ready() > 0, now),
        }
    }

    /// What the largest batch takes, by what is known.
    #[must_use]
    pub fn longest_batch(&self) -> Duration {
        self.predict(self.limit())
    }

    /// Images per second, by the slower of the two: decoding and inference.
    fn capacity(&self) -> f64 {
        let inference = self.throughput(self.limit()) * into_f64(self.workers.working());
        let decode = self.decode.get().as_secs_f64();
        if decode > 0.0 {
            inference.min(into_f64(self.gathering.decoders.get()) / decode)
        } else {
            inference
        }
    }

    /// Images per second of one worker with batches of `images`, padding not counted.
    fn throughput(&self, images: usize) -> f64 {
        let slots = self.gathering.sizes.slots(images);
        self.cost.throughput(slots) * into_f64(images) / into_f64(slots.max(1))
    }

    fn predict(&self, images: usize) -> Duration {
        self.cost.predict(self.gathering.sizes.slots(images))
    }

    fn at_most(&self, images: usize) -> Duration {
        self.cost.at_most(self.gathering.sizes.slots(images))
    }

    /// With so many images in line.
    fn outlook(&self, images: usize, now: Instant) -> Outlook {
        let in_last = images.saturating_sub(1) % self.limit() + 1;
        Outlook {
            leads: self.workers.leads(now),
            decode: self.decode.get(),
            decoders: self.gathering.decoders.get(),
            full_batch: self.predict(self.limit()),
            last_batch: self.predict(in_last),
            limit: self.limit(),
            images,
        }
    }

    /// How many of those that wait to run at once.
    fn batch_size(&self, now: Instant) -> usize {
        let available = self.line.ready().min(self.limit());
        let images = self.gathering.sizes.best(available, |slots| self.cost.predict(slots));
        let in_time = self.in_time(images, now);
        let kept = (1.0 - DEADLINE_SHARE) * self.throughput(images);
        if self.throughput(in_time) >= kept { in_time } else { images }
    }

    /// The most images, in their order, whose batch is through before the deadline of each that
    /// could be met at all, even if it takes as long as batches have taken at most.
    fn in_time(&self, images: usize, now: Instant) -> usize {
        let alone = now + self.predict(1);
        let mut earliest: Option<Instant> = None;
        for (count, job) in self.line.jobs().take(images).enumerate() {
            let met = Some(job.deadline).filter(|deadline| *deadline >= alone);
            earliest = earliest.into_iter().chain(met).min();
            if count > 0 && earliest.is_some_and(|by| now + self.at_most(count + 1) > by) {
                return count;
            }
        }
        images
    }

    /// Until when to wait for a larger batch: where batches of the present size do not keep up
    /// with what arrives, a larger one is cheaper per image, and every deadline still holds.
    fn worth_waiting(&self, images: usize, now: Instant) -> Option<Instant> {
        let all = images == self.line.ready() && images < self.limit();
        if self.closed || !all || !self.cost.batching_pays() {
            return None;
        }
        let sustained = self.throughput(images) * into_f64(self.workers.working());
        if self.arrivals.lately_per_second(now) <= sustained {
            return None;
        }
        let oldest = self.line.jobs().map(|job| job.submitted).min()?;
        let urgent = self.line.jobs().map(|job| job.deadline).min()?;
        let latest = urgent.checked_sub(self.at_most(self.limit())).unwrap_or(now);
        Some(latest.min(oldest + self.gathering.max_wait)).filter(|time| *time > now)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of images are far below 2^52")]
pub(super) fn into_f64(count: usize) -> f64 {
    count as f64
}
