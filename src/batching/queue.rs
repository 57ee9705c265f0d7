//! The handle: places are taken before work begins, and each holds one image.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::job::{Answer, Job, JobError};
use crate::preprocess::Pixels;
use crate::telemetry::metrics::Reason;

/// Admits images and sends them to the workers. Clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

/// A place in the queue, given back when dropped.
pub struct Slot {
    shared: Arc<Shared>,
}

/// A request that was refused at the door.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{}", words(*reason))]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// When the backlog will have drained.
    pub retry_after: Duration,
}

/// A refusal for the person who meets it.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::QueueFull => "as many images are waiting as may wait; try again later",
        Reason::Deadline => "the images that wait would not be through before the deadline",
        Reason::Memory => "pictures take all the memory that they may; try again later",
        Reason::Draining => "the service is shutting down; try another instance",
    }
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Takes `images` places, all or none, for answers that are due at the deadline.
    ///
    /// # Errors
    ///
    /// When the places are not there, the deadline is out of reach, or the queue is closed.
    pub fn reserve(&self, images: NonZeroUsize, deadline: Instant) -> Result<Vec<Slot>, Rejection> {
        let mut backlog = self.shared.lock();
        let reserved = backlog.reserve(images.get(), time_left(deadline));
        reserved.inspect_err(|rejection| self.count(rejection))?;
        self.shared.metrics.inflight_images.set(gauge(backlog.admitted()));
        drop(backlog);
        Ok((0..images.get()).map(|_| Slot { shared: Arc::clone(&self.shared) }).collect())
    }

    /// Says whether one image would be admitted now, taking no place.
    ///
    /// # Errors
    ///
    /// As [`Queue::reserve`].
    pub fn check(&self, deadline: Instant) -> Result<(), Rejection> {
        let checked = self.shared.lock().check(1, time_left(deadline));
        checked.inspect_err(|rejection| self.count(rejection))
    }

    fn count(&self, rejection: &Rejection) {
        self.shared.metrics.count_rejection(rejection.reason);
    }

    /// The most images that one request can ever have admitted.
    #[must_use]
    pub fn capacity(&self) -> NonZeroUsize {
        self.shared.gathering.queue_capacity
    }

    /// A refusal for a reason that the queue does not know of.
    #[must_use]
    pub fn rejection(&self, reason: Reason) -> Rejection {
        self.shared.lock().rejection(reason)
    }

    /// Admits nothing more; what was admitted is still answered.
    pub fn close(&self) {
        self.shared.lock().close();
        self.shared.arrived.notify_all();
    }
}

impl Slot {
    /// Sends an image to the workers; the answer comes on the receiver, and dropping that
    /// receiver withdraws the image.
    #[must_use]
    pub fn submit(
        self,
        pixels: Pixels,
        deadline: Instant,
    ) -> oneshot::Receiver<Result<Answer, JobError>> {
        let (reply, answer) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let job = Job { pixels, deadline, submitted: Instant::now(), reply, slot: self };
        let mut backlog = shared.lock();
        backlog.push(job);
        shared.metrics.queue_images.set(gauge(backlog.waiting()));
        drop(backlog);
        shared.arrived.notify_one();
        answer
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut backlog = self.shared.lock();
        backlog.release();
        self.shared.metrics.inflight_images.set(gauge(backlog.admitted()));
        // The last place given back is what a closed queue's workers wait for.
        if backlog.admitted() == 0 {
            self.shared.arrived.notify_all();
        }
    }
}

fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(super) fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
