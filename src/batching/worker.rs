//! One thread that owns one engine and runs batches until the queue closes.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Collector;
use super::backlog::into_f64;
use super::job::{Answer, Job, JobError};
use crate::inference::{BatchTensor, Elements, Engine, InferenceError, Logits};
use crate::preprocess::{self, Packing};
use crate::telemetry::metrics::Metrics;

/// A worker before its thread starts.
pub struct Worker {
    collector: Collector,
    engine: Box<dyn Engine>,
    packing: Packing,
    buffer: BatchTensor,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// A worker with an engine and an empty batch of the engine's shape.
    #[must_use]
    pub fn new(
        collector: Collector,
        engine: Box<dyn Engine>,
        (packing, buffer): (Packing, BatchTensor),
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { collector, engine, packing, buffer, metrics }
    }

    /// Runs a batch of zeros of each size, twice: the first run of a shape pays for its set-up,
    /// the second is what the cost model learns from.
    ///
    /// # Errors
    ///
    /// When the engine fails, or answers with another number of classes than there are labels.
    pub fn warm_up(
        &mut self,
        sizes: impl IntoIterator<Item = usize>,
    ) -> Result<(), InferenceError> {
        for images in sizes {
            self.buffer.resize(self.padded(images));
            self.engine.run(&self.buffer)?;
            let started = Instant::now();
            self.engine.run(&self.buffer)?;
            self.collector.observe(images, started.elapsed());
        }
        Ok(())
    }

    /// Runs batches until the queue is closed and empty.
    pub fn run(mut self) {
        while let Some(jobs) = self.collector.next_batch() {
            self.run_batch(jobs);
        }
    }

    /// Runs one batch and answers every job in it; a batch that fails is run again in halves,
    /// until the guilty image stands alone.
    fn run_batch(&mut self, mut jobs: Vec<Job>) {
        let started = Instant::now();
        match self.infer(&jobs) {
            Ok(logits) => {
                let took = started.elapsed();
                self.collector.observe(jobs.len(), took);
                self.metrics.batch_images.observe(into_f64(jobs.len()));
                answer_all(jobs, &logits, (started, took));
            }
            Err(cause) if jobs.len() == 1 => {
                tracing::error!(%cause, "an image failed");
                for job in jobs {
                    job.answer(Err(JobError::Failed(cause.to_string())));
                }
            }
            Err(cause) => {
                tracing::warn!(%cause, images = jobs.len(), "a batch failed and is run in halves");
                let second = jobs.split_off(jobs.len() / 2);
                self.run_batch(jobs);
                self.run_batch(second);
            }
        }
    }

    /// Packs and runs; a panic inside the engine is a failure like any other.
    fn infer(&mut self, jobs: &[Job]) -> Result<Logits, InferenceError> {
        let slots = self.padded(jobs.len());
        self.buffer.resize(slots);
        self.metrics.padded_images.inc_by((slots - jobs.len()) as u64);
        let pack_and_run = || {
            for (index, job) in jobs.iter().enumerate() {
                self.packing.pack(&job.pixels, place(&mut self.buffer, index));
            }
            self.engine.run(&self.buffer)
        };
        panic::catch_unwind(AssertUnwindSafe(pack_and_run))
            .unwrap_or_else(|_| Err(InferenceError::Failed("the engine panicked".to_owned())))
    }

    /// Slots to compute for a number of images.
    fn padded(&self, images: usize) -> usize {
        self.engine.fixed_batch().unwrap_or(images).max(images)
    }
}

/// The room of one image in a batch.
fn place(batch: &mut BatchTensor, index: usize) -> preprocess::Slot<'_> {
    let length = batch.image_length();
    let range = index * length..(index + 1) * length;
    match &mut batch.elements {
        Elements::Float32(values) => preprocess::Slot::Float32(&mut values[range]),
        Elements::Float16(values) => preprocess::Slot::Float16(&mut values[range]),
        Elements::Uint8(values) => preprocess::Slot::Uint8(&mut values[range]),
    }
}

fn answer_all(jobs: Vec<Job>, logits: &Logits, (started, inference): (Instant, Duration)) {
    for (job, row) in jobs.into_iter().zip(logits.rows()) {
        let queued = started.saturating_duration_since(job.submitted);
        job.answer(Ok(Answer { logits: row.to_vec(), queued, inference }));
    }
}
