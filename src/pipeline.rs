//! One image's way from bytes to ranked classes, the same for every door.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::Instant;

use crate::batching::{JobError, Queue, Rejection, Slot};
use crate::cpu_pool::CpuPool;
use crate::memory::{Charge, MemoryBudget};
use crate::model::{Manifest, Model};
use crate::preprocess::{ImageError, ImageHeader, Pixels, Transform};
use crate::ranking::{self, Ranked};
use crate::telemetry::metrics::{Metrics, Outcome, Reason, Stage};

/// What all models of a process share.
#[derive(Clone)]
pub struct Resources {
    /// Decodes and resizes.
    pub pool: CpuPool,
    /// Bounds bodies and pixels.
    pub memory: MemoryBudget,
    /// Pixels that a picture may have, as it is stored.
    pub max_pixels: u64,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
}

/// The way through one model.
pub struct Pipeline {
    /// The model, as its folder describes it.
    pub model: Arc<Model>,
    queue: Queue,
    transform: Transform,
    resources: Resources,
}

/// What is asked of one image.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Classes in the answer.
    pub top_k: usize,
    /// When the answer is of no use any more.
    pub deadline: Instant,
}

/// What is known of one image.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The most probable classes, best first.
    pub ranked: Vec<Ranked>,
    /// The picture as it came.
    pub image: ImageHeader,
    /// What its stages took.
    pub durations: Durations,
}

/// What the stages of one image took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Durations {
    /// Waiting for a core, decoding, resizing.
    pub decode: Duration,
    /// Waiting for a worker.
    pub queue: Duration,
    /// Running the batch.
    pub inference: Duration,
}

/// Why an image has no classes.
#[derive(Clone, Debug, Error)]
pub enum ClassifyError {
    /// It is no picture that can be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There was no room for it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Its deadline passed before its turn.
    #[error("the deadline passed before the image's turn")]
    Expired,
    /// The network did not run on it.
    #[error("{0}")]
    Failed(String),
}

impl Pipeline {
    /// The way into a queue.
    #[must_use]
    pub fn new(model: Arc<Model>, queue: Queue, resources: Resources) -> Self {
        let transform = transform(&model.manifest);
        Self { model, queue, transform, resources }
    }

    /// Says whether one image would be admitted now, so that a hopeless body is not read.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::admit`].
    pub fn check(&self, deadline: Instant) -> Result<(), Rejection> {
        self.queue.check(deadline).inspect_err(|_| self.count_rejected(1))
    }

    /// Takes the places of a request's images, all or none.
    ///
    /// # Errors
    ///
    /// When the queue is full or closed, or the deadline is out of reach; every image counts as
    /// rejected.
    pub fn admit(&self, images: NonZeroUsize, deadline: Instant) -> Result<Vec<Slot>, Rejection> {
        self.queue.reserve(images, deadline).inspect_err(|_| self.count_rejected(images.get()))
    }

    fn count_rejected(&self, images: usize) {
        for _ in 0..images {
            self.resources.metrics.count_image(Outcome::Rejected);
        }
    }

    /// The refusal of what the memory budget has no room for.
    #[must_use]
    pub fn out_of_memory(&self) -> Rejection {
        self.resources.metrics.count_rejection(Reason::Memory);
        self.queue.rejection(Reason::Memory)
    }

    /// The most images that one request can have.
    #[must_use]
    pub fn max_images(&self) -> NonZeroUsize {
        self.queue.capacity()
    }

    /// Classifies one encoded image. Dropping the future withdraws the image from wherever it is.
    ///
    /// # Errors
    ///
    /// When it is no picture, came too late, found no memory, or failed in the network.
    pub async fn classify(
        &self,
        bytes: Bytes,
        slot: Slot,
        request: Request,
    ) -> Result<Classification, ClassifyError> {
        let mut fate = Fate { metrics: &self.resources.metrics, outcome: Outcome::Abandoned };
        let result = self.steps(bytes, slot, request).await;
        fate.outcome = outcome(&result);
        result
    }

    async fn steps(
        &self,
        bytes: Bytes,
        slot: Slot,
        request: Request,
    ) -> Result<Classification, ClassifyError> {
        let image = ImageHeader::parse(&bytes, self.resources.max_pixels)?;
        let charge = self.charge(bytes.len(), &image)?;
        let started = Instant::now();
        let pixels = self.decode(bytes, image.clone(), charge).await?;
        let decode = started.elapsed();
        let answer = slot.submit(pixels, request.deadline).await;
        let answer =
            answer.unwrap_or_else(|_| Err(JobError::Failed("a worker died".to_owned())))?;
        let durations = Durations { decode, queue: answer.queued, inference: answer.inference };
        self.observe(durations);
        let output = &self.model.manifest.output;
        let probabilities = ranking::probabilities(&answer.logits, output.activation);
        let ranked = ranking::top_k(&probabilities, request.top_k);
        Ok(Classification { ranked, image, durations })
    }

    fn charge(&self, encoded: usize, image: &ImageHeader) -> Result<Charge, Rejection> {
        let peak = self.transform.peak_bytes(encoded, image);
        self.resources.memory.charge(peak).ok_or_else(|| self.out_of_memory())
    }

    async fn decode(
        &self,
        bytes: Bytes,
        image: ImageHeader,
        charge: Charge,
    ) -> Result<Pixels, ClassifyError> {
        let transform = self.transform;
        let work = move || {
            let pixels = transform.apply(&bytes, &image);
            drop(charge);
            pixels
        };
        let pixels = self.resources.pool.run(work).await;
        // A decoder that panics has met a picture that it cannot read.
        let broken = |_| Err(ImageError::Undecodable { reason: "the decoder gave up".to_owned() });
        pixels.unwrap_or_else(broken).map_err(Into::into)
    }

    fn observe(&self, durations: Durations) {
        let metrics = &self.resources.metrics;
        metrics.observe_stage(Stage::Decode, durations.decode);
        metrics.observe_stage(Stage::Queue, durations.queue);
        metrics.observe_stage(Stage::Inference, durations.inference);
    }
}

fn transform(manifest: &Manifest) -> Transform {
    Transform {
        resize_shorter_side: manifest.preprocess.resize_shorter_side.get(),
        crop_height: manifest.input.height.get(),
        crop_width: manifest.input.width.get(),
        interpolation: manifest.preprocess.interpolation,
    }
}

impl From<JobError> for ClassifyError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Expired => Self::Expired,
            JobError::Failed(cause) => Self::Failed(cause),
        }
    }
}

impl Durations {
    /// Stage by stage the longer of two, as images of one request run side by side.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            decode: self.decode.max(other.decode),
            queue: self.queue.max(other.queue),
            inference: self.inference.max(other.inference),
        }
    }
}

/// Counts an image when its way ends, also where that is a client's going away.
struct Fate<'a> {
    metrics: &'a Metrics,
    outcome: Outcome,
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        self.metrics.count_image(self.outcome);
    }
}

fn outcome(result: &Result<Classification, ClassifyError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Classified,
        Err(ClassifyError::Image(_)) => Outcome::Undecodable,
        Err(ClassifyError::Rejected(_)) => Outcome::Rejected,
        Err(ClassifyError::Expired) => Outcome::Expired,
        Err(ClassifyError::Failed(_)) => Outcome::Failed,
    }
}
