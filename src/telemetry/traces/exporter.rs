//! Hands spans to OpenTelemetry's exporter, counts them, tells once when the collector fails.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use super::super::metrics::{Metrics, SpanOutcome};

/// An exporter whose connection lives on a runtime of its own.
pub(super) struct Exporter {
    otlp: Arc<Otlp>,
    runtime: Handle,
    metrics: Arc<Metrics>,
    failing: AtomicBool,
}

impl Exporter {
    pub(super) fn new(otlp: Otlp, runtime: Handle, metrics: &Arc<Metrics>) -> Self {
        let metrics = Arc::clone(metrics);
        Self { otlp: Arc::new(otlp), runtime, metrics, failing: AtomicBool::new(false) }
    }

    /// A collector that stays away fails every few seconds, and is told about once.
    fn tell(&self, result: &OTelSdkResult) {
        let failed = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(cause) if !failed => tracing::warn!(%cause, "spans do not reach the collector"),
            Ok(()) if failed => tracing::info!("spans reach the collector again"),
            _ => (),
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let otlp = Arc::clone(&self.otlp);
        let sent = self.runtime.spawn(async move { otlp.export(batch).await }).await;
        let result =
            sent.unwrap_or_else(|cause| Err(OTelSdkError::InternalFailure(cause.to_string())));
        let outcome = if result.is_ok() { SpanOutcome::Sent } else { SpanOutcome::Failed };
        self.metrics.count_spans(outcome, spans);
        self.tell(&result);
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exporter").finish_non_exhaustive()
    }
}
