//! Traces: the spans of sampled requests, on their way to a collector that may be slow or gone.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

pub mod context;
mod endpoint;
mod exporter;
mod processor;
pub mod request;
mod sampler;

pub use endpoint::{Endpoint, EndpointError, Protocol, ProtocolError};
use exporter::Exporter;
use processor::Bounded;
pub use sampler::{Ratio, RatioError, sampler};

use super::metrics::Metrics;

/// The name of the service, where `OTEL_SERVICE_NAME` gives no other.
const SERVICE: &str = "resnet-serve";

/// How long the end of the process waits for the collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// The collector.
    pub endpoint: Endpoint,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The share of requests that are traced, of those whose caller does not say.
    pub ratio: Ratio,
}

/// Sends spans from threads of its own, so that requests never wait for a collector.
pub struct Traces {
    provider: SdkTracerProvider,
    /// Until it is dropped, which must not wait.
    runtime: Option<Runtime>,
}

/// Traces that cannot be sent.
#[derive(Debug, Error)]
pub enum TraceError {
    /// What is set for the exporter does not fit.
    #[error("traces cannot be sent to `{endpoint}`: {cause}")]
    Exporter {
        /// As it was given.
        endpoint: Endpoint,
        /// What the exporter says.
        cause: ExporterBuildError,
    },
    /// The system gives no thread.
    #[error("the thread that sends traces could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Traces {
    /// Makes ready to send; nothing is connected before there is a span.
    ///
    /// # Errors
    ///
    /// When the endpoint does not fit the protocol, or a variable that OpenTelemetry defines is wrong.
    pub fn start(config: &TraceConfig, metrics: &Arc<Metrics>) -> Result<Self, TraceError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()?;
        // The connection belongs to the runtime that it is made in.
        let entered = runtime.enter();
        let exporter = otlp(config).map_err(|cause| {
            let endpoint = config.endpoint.clone();
            TraceError::Exporter { endpoint, cause }
        })?;
        drop(entered);
        let exporter = Exporter::new(exporter, runtime.handle().clone(), metrics);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(exporter, metrics))
            .with_sampler(sampler(config.ratio))
            .with_resource(resource())
            .build();
        Ok(Self { provider, runtime: Some(runtime) })
    }

    /// Makes spans of this program into spans of traces.
    #[must_use]
    pub fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        layer(&self.provider)
    }

    /// Sends what waits, within a bounded time; blocks.
    pub fn flush(&self) {
        if let Err(cause) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%cause, "the last spans may not have reached the collector");
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Makes spans of this program, and what is logged in them, into spans of a provider.
#[must_use]
pub fn layer(provider: &SdkTracerProvider) -> Box<dyn Layer<Registry> + Send + Sync> {
    let own =
        |level: &Level, target: &str| *level <= Level::INFO && target.starts_with("resnet_serve");
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(move |metadata| own(metadata.level(), metadata.target())))
        .boxed()
}

fn otlp(config: &TraceConfig) -> Result<SpanExporter, ExporterBuildError> {
    let url = config.endpoint.url(config.protocol);
    match config.protocol {
        Protocol::Grpc => SpanExporter::builder().with_tonic().with_endpoint(url).build(),
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(url)
            .build(),
    }
}

fn resource() -> Resource {
    let builder = Resource::builder();
    let builder =
        builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => builder.build(),
        _ => builder.with_service_name(SERVICE).build(),
    }
}
