//! The log: where lines go, in which form, from which level on.

use std::io;

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Changes the log's level while the process runs.
#[derive(Clone)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// A log level that is none.
#[derive(Debug, Error)]
#[error(
    "`{directives}` is no log level: {reason} (for example `info`, or `warn,resnet_serve=debug`)"
)]
pub struct LogLevelError {
    directives: String,
    reason: String,
}

impl LogLevel {
    /// Takes a level or filter directives, as in `info` or `warn,resnet_serve=debug`.
    ///
    /// # Errors
    ///
    /// When the text is neither; the level stays as it was.
    pub fn set(&self, directives: &str) -> Result<(), LogLevelError> {
        let error = |reason: String| LogLevelError { directives: directives.to_owned(), reason };
        // A filter would take any other word for the name of a module, and say nothing any more.
        let is_level = !directives.is_empty() && directives.parse::<LevelFilter>().is_ok();
        if !is_level && !directives.contains('=') {
            return Err(error("it is neither a level nor `module=level`".to_owned()));
        }
        let filter =
            EnvFilter::try_new(quiet(directives)).map_err(|cause| error(cause.to_string()))?;
        self.handle.reload(filter).map_err(|cause| error(cause.to_string()))
    }
}

/// ONNX Runtime tells at info what it does to every node; only those who ask for that get it.
fn quiet(directives: &str) -> String {
    format!("ort=warn,{directives}")
}

/// Sends the log of this process to standard error, `RUST_LOG` or else info and above.
#[must_use]
pub fn start(format: LogFormat) -> LogLevel {
    start_with(format, None)
}

/// The same, and spans to a layer of their own, which the log's level does not touch.
#[must_use]
pub(super) fn start_with(format: LogFormat, traces: Option<AnyLayer>) -> LogLevel {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(quiet("info")));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    // Spans are for traces alone: where none are sent, a span costs nothing.
    let lines = lines.with_filter(filter.and(filter_fn(|metadata| !metadata.is_span()))).boxed();
    let layers: Vec<AnyLayer> = traces.into_iter().chain([lines]).collect();
    // A second start in one process, as in tests, keeps the first one's log.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    LogLevel { handle }
}
