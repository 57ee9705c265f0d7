//! The flags that say how a service speaks of itself, and the variables that OpenTelemetry defines.

use std::fmt::Display;
use std::str::FromStr;

use clap::Args;

use crate::telemetry::TelemetryConfig;
use crate::telemetry::logs::{Directives, LogFormat};
use crate::telemetry::traces::{Endpoint, Protocol, Ratio, TraceConfig};

/// The flags that say how a service speaks of itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs and traces")]
pub(super) struct TelemetryFlags {
    /// Format of the log
    #[arg(long, env = "RESNET_SERVE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Level of the log, such as `debug`, or `warn,resnet_serve=debug` [default: what `RUST_LOG` says,
    /// or `info`]
    #[arg(long, env = "RESNET_SERVE_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<Directives>,

    /// Collector that takes traces over OTLP, such as `http://localhost:4317`; without one there
    /// are none [env: `OTEL_EXPORTER_OTLP_ENDPOINT` is read too]
    #[arg(long, env = "RESNET_SERVE_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<Endpoint>,

    /// Protocol of the collector [env: `OTEL_EXPORTER_OTLP_PROTOCOL` is read too]
    /// [default: grpc]
    #[arg(long, env = "RESNET_SERVE_OTLP_PROTOCOL", value_name = "PROTOCOL")]
    otlp_protocol: Option<Protocol>,

    /// Share of requests to trace, from 0 to 1, where the caller has not decided
    #[arg(long, env = "RESNET_SERVE_TRACE_RATIO", value_name = "RATIO", default_value = "1")]
    trace_ratio: Ratio,
}

impl TelemetryFlags {
    /// Fills in what the variables that OpenTelemetry defines say; flags go before.
    pub(super) fn check(
        self,
        standard: impl Fn(&str) -> Option<String>,
    ) -> Result<TelemetryConfig, String> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let (log_format, log_level) = (self.log_format, self.log_level);
        let Some(endpoint) = or_parse(self.otlp_endpoint, (ENDPOINT, &standard))? else {
            return Ok(TelemetryConfig { log_format, log_level, traces: None });
        };
        let protocol = or_parse(self.otlp_protocol, (PROTOCOL, &standard))?;
        let protocol = protocol.unwrap_or(Protocol::Grpc);
        let traces = Some(TraceConfig { endpoint, protocol, ratio: self.trace_ratio });
        Ok(TelemetryConfig { log_format, log_level, traces })
    }
}

/// What a flag says, or else a variable.
fn or_parse<T: FromStr<Err: Display>>(
    flag: Option<T>,
    (name, variable): (&str, impl Fn(&str) -> Option<String>),
) -> Result<Option<T>, String> {
    let parse = |text: String| text.parse().map_err(|cause| format!("{name}, `{text}`: {cause}"));
    flag.map_or_else(|| variable(name).map(parse).transpose(), |value| Ok(Some(value)))
}
