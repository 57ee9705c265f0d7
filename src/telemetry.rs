//! What the process says about itself: log lines, metrics and traces.

use std::sync::Arc;
use std::time::Duration;

pub mod gpu;
pub mod logs;
pub mod metrics;
mod metrics_macro;
pub mod stages;
pub mod totals;
pub mod traces;

use logs::{Directives, LogFormat, LogLevel};
use metrics::Metrics;
use traces::{TraceConfig, TraceError, Traces};

/// How the process speaks of itself.
#[derive(Clone, Debug, Default)]
pub struct TelemetryConfig {
    /// The form of a log line.
    pub log_format: LogFormat,
    /// What the log lets through; without it what `RUST_LOG` says, or else info and above.
    pub log_level: Option<Directives>,
    /// Where traces go, where they do.
    pub traces: Option<TraceConfig>,
}

/// What the process speaks with.
pub struct Telemetry {
    /// Changes the log while the process runs.
    pub log_level: LogLevel,
    /// What is scraped.
    pub metrics: Arc<Metrics>,
    /// Sends spans, where somebody takes them.
    pub traces: Option<Traces>,
}

/// Begins to log, to count and, where that is asked for, to trace.
///
/// # Errors
///
/// When traces cannot be sent as they are asked for.
pub fn start(config: &TelemetryConfig) -> Result<Telemetry, TraceError> {
    let metrics = Arc::new(Metrics::new());
    let traces =
        config.traces.as_ref().map(|config| Traces::start(config, &metrics)).transpose()?;
    let layer = traces.as_ref().map(Traces::layer);
    let log_level = logs::start_with(config.log_format, config.log_level.clone(), layer);
    Ok(Telemetry { log_level, metrics, traces })
}

/// For people: to the hundredth.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
