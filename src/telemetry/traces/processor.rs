//! The bound on what waits to be sent: beyond it spans are dropped and counted, nobody waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::super::metrics::{Metrics, SpanOutcome};

/// Spans that wait or are being sent, a kilobyte each or so.
const CAPACITY: usize = 4096;

/// A batch processor that says what it drops.
pub(super) struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

/// Gives places back once spans are sent, or could not be.
#[derive(Debug)]
struct Releasing<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
}

impl Bounded {
    pub(super) fn new(exporter: impl SpanExporter + 'static, metrics: &Arc<Metrics>) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let exporter = Releasing { exporter, waiting: Arc::clone(&waiting) };
        // Its own bound is never met; that it drops without a word is what this one is for.
        let config = BatchConfigBuilder::default().with_max_queue_size(CAPACITY).build();
        let batches = BatchSpanProcessor::new(exporter, config);
        Self { batches, waiting, metrics: Arc::clone(metrics) }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < CAPACITY {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.metrics.count_spans(SpanOutcome::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Releasing<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Bounded").finish_non_exhaustive()
    }
}
