//! The spans of a traced image, from the queue's entrance into a batch of its own trace.

use opentelemetry::trace::SpanContext;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::job::Job;
use crate::telemetry::traces::context::{link, sampled};

/// Where a traced image is.
pub(super) struct Journey {
    /// What was going on where the image was submitted.
    request: Span,
    identity: SpanContext,
    /// Ends when the next one begins, or with the job.
    stage: Span,
}

impl Journey {
    /// Begins in the queue; `None` for an image that is not traced.
    pub(super) fn begin() -> Option<Self> {
        let request = Span::current();
        let identity = sampled(&request)?;
        let stage = info_span!(parent: &request, "queue");
        Some(Self { request, identity, stage })
    }

    /// Says that the image has no answer.
    pub(super) fn fail(&self) {
        self.stage.record("otel.status_code", "ERROR");
    }

    fn enter(&mut self, batch: &SpanContext) {
        let stage = info_span!(parent: &self.request, "inference", otel.status_code = Empty);
        link(&stage, batch);
        self.stage = stage;
    }
}

/// The span of a batch, which belongs to no request and is linked to each that is traced; no span
/// where none is.
pub(super) fn enter_batch(jobs: &mut [Job], slots: usize) -> Span {
    if jobs.iter().all(|job| job.journey.is_none()) {
        return Span::none();
    }
    let count = |images| i64::try_from(images).unwrap_or(i64::MAX);
    let batch = info_span!(
        parent: None,
        "batch",
        batch.images = count(jobs.len()),
        batch.slots = count(slots),
        otel.status_code = Empty,
    );
    for journey in jobs.iter().filter_map(|job| job.journey.as_ref()) {
        link(&batch, &journey.identity);
    }
    // Only now: what it is linked to decides whether it is traced.
    if let Some(identity) = sampled(&batch) {
        let journeys = jobs.iter_mut().filter_map(|job| job.journey.as_mut());
        journeys.for_each(|journey| journey.enter(&identity));
    }
    batch
}

/// Says of a batch that it did not run.
pub(super) fn fail_batch(batch: &Span) {
    batch.record("otel.status_code", "ERROR");
}
