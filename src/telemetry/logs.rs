//! The log: where lines go, in which form, from which level on.

use std::env;
use std::fmt::{Display, Formatter, Result as FormatResult};
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

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

/// What the log lets through: a level, as in `info`, or directives, as in `warn,resnet_serve=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directives(String);

/// Changes the log's level while the process runs.
#[derive(Clone)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<Directives>>,
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
    /// Lets through from now on what these say.
    ///
    /// # Errors
    ///
    /// When this is not the log of the process; nothing is changed then.
    pub fn set(&self, directives: Directives) -> Result<(), reload::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(directives.filter())?;
        *current = directives;
        Ok(())
    }

    /// What is let through.
    #[must_use]
    pub fn get(&self) -> Directives {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Directives {
    /// ONNX Runtime tells at info what it does to every node; only those who ask for that get it.
    fn filter(&self) -> EnvFilter {
        let mut levels = self.0.rsplit(',').filter_map(|directive| directive.parse().ok());
        let is_verbose = levels.next().is_some_and(|level: LevelFilter| level > LevelFilter::WARN);
        let quiet = if is_verbose { "ort=warn," } else { "" };
        EnvFilter::new(format!("{quiet}{self}"))
    }

    /// Those of the variable that Rust's programs read, where there are any.
    fn of_environment() -> Result<Option<Self>, LogLevelError> {
        let text = env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
        text.map(|text| text.parse()).transpose()
    }
}

impl FromStr for Directives {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let wrong = |reason: String| LogLevelError { directives: text.trim().to_owned(), reason };
        let directives: Vec<&str> = text.split(',').map(str::trim).collect();
        for directive in &directives {
            // A filter would take any other word for the name of a module, and say nothing any more.
            let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
            if !is_level && !directive.contains('=') {
                return Err(wrong(format!("`{directive}` is neither a level nor `module=level`")));
            }
        }
        let directives = directives.join(",");
        EnvFilter::try_new(&directives).map_err(|cause| wrong(cause.to_string()))?;
        Ok(Self(directives))
    }
}

impl Display for Directives {
    fn fmt(&self, f: &mut Formatter<'_>) -> FormatResult {
        f.write_str(&self.0)
    }
}

impl Default for Directives {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

/// Sends the log of this process to standard error: what `RUST_LOG` says, or else info and above.
#[must_use]
pub fn start(format: LogFormat) -> LogLevel {
    start_with(format, None, None)
}

/// The same, where there are no `directives` but `RUST_LOG`, and spans to a layer of their own, which the
/// log's level does not touch.
#[must_use]
pub(super) fn start_with(
    format: LogFormat,
    directives: Option<Directives>,
    traces: Option<AnyLayer>,
) -> LogLevel {
    let (of_environment, wrong) = match Directives::of_environment() {
        Ok(directives) => (directives, None),
        Err(error) => (None, Some(error)),
    };
    let directives = directives.or(of_environment).unwrap_or_default();
    let (filter, handle) = reload::Layer::new(directives.filter());
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
    if let Some(error) = wrong {
        tracing::warn!(%error, "RUST_LOG is ignored");
    }
    LogLevel { handle, current: Arc::new(Mutex::new(directives)) }
}
