//! The handle: places are taken before work begins, and each holds one image.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::answer::Answer;
use super::backlog::{Load, Promise};
use super::job::{Job, Prepared};
use super::journey::Journey;
use super::progress::Progress;
use crate::telemetry::metrics::Reason;

/// Admits images and sends them to the workers. Clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

/// A place in the queue, given back when dropped.
pub struct Slot {
    shared: Arc<Shared>,
    pub(super) promise: Promise,
    pub(super) progress: Progress,
}

/// A request that was refused at the door.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{}{}", words(*reason), late.map(|late| late.to_string()).unwrap_or_default())]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// When the backlog will have drained.
    pub retry_after: Duration,
    /// Of a deadline that is out of reach, by how much.
    pub late: Option<Late>,
}

/// An answer that would come after its deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Late {
    /// When the answer would come.
    pub predicted: Duration,
    /// When it is due.
    pub due: Duration,
    /// Whether nothing that was admitted is in its way.
    pub is_alone: bool,
}

/// A refusal for the person who meets it.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::QueueFull => "as many images are waiting as may wait; try again later",
        Reason::Deadline => {
            "by what images take at present, the answer would come after the deadline"
        }
        Reason::NoWorker => "the network does not run at present; try again later",
        Reason::Memory => "pictures take all the memory that they may; try again later",
        Reason::Draining => "the service is shutting down; try another instance",
    }
}

impl fmt::Display for Late {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [predicted, due] = [self.predicted, self.due].map(|time| time.as_secs_f64() * 1e3);
        write!(formatter, ": it is predicted in {predicted:.1} ms, and due in {due:.1} ms")?;
        if self.is_alone {
            formatter
                .write_str("; nothing else is waiting, so only a later deadline would help")?;
        }
        Ok(())
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
    /// When the places are not there, the deadline is out of reach, no worker works, or the queue
    /// is closed.
    pub fn reserve(&self, images: NonZeroUsize, deadline: Instant) -> Result<Vec<Slot>, Rejection> {
        let reserved = self.shared.lock().reserve(images.get(), deadline, Instant::now());
        let promises = reserved.inspect_err(|rejection| self.count(rejection))?;
        self.shared.metrics.inflight_images.add(gauge(images.get()));
        let slot = |promise| Slot {
            shared: Arc::clone(&self.shared),
            promise,
            progress: Progress::default(),
        };
        Ok(promises.into_iter().map(slot).collect())
    }

    /// Says whether one image would be admitted now, taking no place.
    ///
    /// # Errors
    ///
    /// As [`Queue::reserve`].
    pub fn check(&self, deadline: Instant) -> Result<(), Rejection> {
        let checked = self.shared.lock().check(deadline, Instant::now());
        checked.inspect_err(|rejection| self.count(rejection))
    }

    /// Learns what decoding an image takes.
    pub fn observe_decode(&self, took: Duration) {
        self.shared.lock().observe_decode(took);
    }

    /// How busy the workers are.
    #[must_use]
    pub fn load(&self) -> Load {
        self.shared.lock().load(Instant::now())
    }

    /// Workers that there are when all work.
    #[must_use]
    pub fn workers(&self) -> NonZeroUsize {
        self.shared.gathering.workers
    }

    /// What the largest batch takes, by what is known.
    #[must_use]
    pub fn longest_batch(&self) -> Duration {
        self.shared.lock().longest_batch()
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
        self.shared.lock().rejection(reason, Instant::now())
    }

    /// Admits nothing more; what was admitted is still answered.
    pub fn close(&self) {
        self.shared.lock().close();
        self.shared.tell_all();
    }
}

impl Slot {
    /// How far the image in it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Sends an image to the workers; dropping the answer withdraws it.
    #[must_use]
    pub fn submit(self, image: Prepared, deadline: Instant) -> Answer {
        let (reply, receiver) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let answer = Answer::to(self.promise.turn, receiver, Arc::clone(&shared));
        let now = Instant::now();
        let journey = Journey::begin();
        let job =
            Job { image, deadline, submitted: now, engines_lost: 0, reply, journey, slot: self };
        let mut backlog = shared.lock();
        backlog.push(job, now);
        shared.metrics.queue_images.inc();
        drop(backlog);
        shared.arrived.notify_one();
        answer
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut backlog = self.shared.lock();
        backlog.release(self.promise.turn);
        self.shared.metrics.inflight_images.dec();
        // The last place given back is what a closed queue's workers wait for.
        if backlog.is_over() {
            self.shared.tell_all();
        }
    }
}

pub(super) fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
