//! The message between the handle and a worker: one image and where its answer goes.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::Promise;
use super::journey::Journey;
use super::line::Turn;
use super::queue::Slot;
use crate::inference::{ImageOutputs, Wanted};
use crate::memory::Charge;
use crate::preprocess::Pixels;

/// An image that a worker can pack, and the memory that it holds.
pub struct Prepared {
    /// What the network will see.
    pub content: Content,
    /// What is to be answered.
    pub wanted: Wanted,
    /// Given back with the content, or with the last that shares it.
    pub charge: Arc<Charge>,
}

/// What the network will see of one image.
pub enum Content {
    /// A picture in the network's size, which packing turns into numbers.
    Pixels(Pixels),
    /// The numbers themselves: one image's elements of the input tensor, little-endian.
    Tensor(Bytes),
}

/// One image on its way to a worker.
pub struct Job {
    /// What to run the network on.
    pub image: Prepared,
    /// When the answer is of no use any more.
    pub deadline: Instant,
    /// When it came into the queue.
    pub submitted: Instant,
    /// Engines that failed for good with this image in their batch.
    pub(super) engines_lost: u32,
    pub(super) reply: oneshot::Sender<Result<Row, JobError>>,
    /// Its spans, where it is traced.
    pub(super) journey: Option<Journey>,
    /// Given back when the job is dropped, answered or not.
    pub(super) slot: Slot,
}

/// What a worker says of one image.
pub type Row = ImageOutputs;

/// Why an image has no logits.
#[derive(Clone, Debug, Error)]
pub enum JobError {
    /// Its deadline passed before a worker took it.
    #[error("the deadline passed in the queue")]
    Expired,
    /// The engine failed on it, alone in a batch.
    #[error("{0}")]
    Failed(String),
}

impl Job {
    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Its turn in the order of service.
    pub(super) fn turn(&self) -> Turn {
        self.promise().turn
    }

    /// What was said of it when it was admitted.
    pub(super) fn promise(&self) -> Promise {
        self.slot.promise
    }

    /// A worker has it in a batch.
    pub(super) fn begin(&self, now: Instant) {
        self.slot.progress.begin(now);
    }

    /// Answers; a client that went away in the meantime does not hear it.
    pub fn answer(self, answer: Result<Row, JobError>) {
        let Self { image, reply, slot, .. } = self;
        slot.progress.end(Instant::now());
        // The place and the memory are free before the client can send its next image.
        drop((image, slot));
        let _ = reply.send(answer);
    }
}
