//! What was typed becomes what is checked, once.

use std::env;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use clap::builder::BoolishValueParser;
use thiserror::Error;

use self::doors::DoorFlags;
use self::images::ImageFlags;
use self::listeners::ListenerFlags;
use self::telemetry::TelemetryFlags;
use crate::resources;
use crate::telemetry::TelemetryConfig;

mod doors;
mod images;
mod inference;
mod listeners;
mod origin;
mod telemetry;

pub use self::doors::Doors;
pub use self::images::{Jpeg, JpegDecoder};
pub use self::inference::{DeviceFlags, InferenceConfig, InferenceFlags};
pub(crate) use self::inference::{above_zero, few, one_model};
pub(crate) use self::listeners::address;
pub use self::origin::Origin;

/// The share of the memory limit that bodies and pixels may take; the rest is for the network.
const MEMORY_SHARE: u64 = 3;

/// The flags of `serve`, as typed.
#[derive(Args, Debug)]
pub struct ServeFlags {
    /// Check the configuration, the models and the device, then exit
    #[arg(long, env = "RESNET_SERVE_CHECK", value_parser = BoolishValueParser::new())]
    pub check: bool,

    /// Model folder, or a file that names a folder beside it; may be given several times, in the
    /// variable separated by commas
    #[arg(
        long,
        help_heading = "Models",
        env = "RESNET_SERVE_MODEL",
        value_name = "DIR",
        default_value = "models/default",
        value_delimiter = ','
    )]
    model: Vec<PathBuf>,

    #[command(flatten)]
    inference: InferenceFlags,

    #[command(flatten)]
    listeners: ListenerFlags,

    #[command(flatten)]
    doors: DoorFlags,

    /// Sessions of each model that run side by side [default: one per four cores on the CPU, where
    /// several models divide the cores; 1 on a GPU]
    #[arg(
        long,
        help_heading = "Batches and admission",
        env = "RESNET_SERVE_SESSIONS",
        value_name = "N",
        value_parser = few
    )]
    sessions: Option<NonZeroUsize>,

    /// Most images in a batch [default: 4 per thread on the CPU, 32 on a GPU]
    #[arg(
        long,
        help_heading = "Batches and admission",
        env = "RESNET_SERVE_MAX_BATCH",
        value_name = "N",
        value_parser = above_zero::<NonZeroUsize>
    )]
    max_batch: Option<NonZeroUsize>,

    /// How long an image may wait for others where measured costs say that waiting pays; none waits
    /// on the CPU
    #[arg(
        long,
        help_heading = "Batches and admission",
        env = "RESNET_SERVE_MAX_WAIT",
        value_name = "DURATION",
        default_value = "2ms"
    )]
    max_wait: humantime::Duration,

    /// Images of each model that may be admitted and not yet answered; more are refused with 503
    #[arg(
        long,
        help_heading = "Batches and admission",
        env = "RESNET_SERVE_QUEUE_CAPACITY",
        value_name = "N",
        value_parser = above_zero::<NonZeroUsize>,
        default_value = "256"
    )]
    queue_capacity: NonZeroUsize,

    /// How long a request may take; a client may ask for less with `timeout_ms`
    #[arg(
        long,
        help_heading = "Batches and admission",
        env = "RESNET_SERVE_REQUEST_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s"
    )]
    request_timeout: humantime::Duration,

    /// After SIGTERM, how long to keep serving while load balancers take notice
    #[arg(
        long,
        help_heading = "Shutdown",
        env = "RESNET_SERVE_DRAIN_DELAY",
        value_name = "DURATION",
        default_value = "0s"
    )]
    drain_delay: humantime::Duration,

    /// After that, how long to wait for outstanding answers
    #[arg(
        long,
        help_heading = "Shutdown",
        env = "RESNET_SERVE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s"
    )]
    drain_timeout: humantime::Duration,

    /// Largest body of a request, in bytes
    #[arg(
        long,
        help_heading = "Limits",
        env = "RESNET_SERVE_MAX_BODY",
        value_name = "BYTES",
        value_parser = bytes,
        default_value = "32MiB"
    )]
    max_body: ByteSize,

    #[command(flatten)]
    images: ImageFlags,

    /// Memory for all bodies and pixels together, in bytes [default: a third of the memory limit,
    /// or less if the networks leave less]
    #[arg(
        long,
        help_heading = "Limits",
        env = "RESNET_SERVE_MEMORY_BUDGET",
        value_name = "BYTES",
        value_parser = bytes
    )]
    memory_budget: Option<ByteSize>,

    /// Reload a model when its folder changes; looks every INTERVAL [default: 2s]
    #[arg(
        long, help_heading = "Models",
        env = "RESNET_SERVE_WATCH",
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s"
    )]
    watch: Option<humantime::Duration>,

    #[command(flatten)]
    telemetry: TelemetryFlags,
}

/// The configuration of `serve`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folders of the models, the default one first.
    pub models: Vec<PathBuf>,
    /// The public listener.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin_listen: SocketAddr,
    /// The gRPC listener.
    pub grpc_listen: SocketAddr,
    /// Who comes in, and how.
    pub doors: Doors,
    /// How networks run.
    pub inference: InferenceConfig,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// From the signal to the last accepted connection.
    pub drain_delay: Duration,
    /// From there to the exit.
    pub drain_timeout: Duration,
    /// Bytes of a body.
    pub max_body: usize,
    /// What decodes JPEGs.
    pub jpeg: Jpeg,
    /// Pixels of a picture.
    pub max_pixels: u64,
    /// Bytes of bodies and pixels.
    pub memory_budget: u64,
    /// Whether somebody has asked for just that budget.
    pub memory_budget_is_fixed: bool,
    /// How often to look whether a model's folder has changed, where that is wanted.
    pub watch: Option<Duration>,
    /// How it speaks of itself.
    pub telemetry: TelemetryConfig,
}

/// Flags that contradict each other, all of them.
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl ServeFlags {
    /// Checks the flags against each other and fills in what follows from the container.
    ///
    /// # Errors
    ///
    /// Every contradiction, each in a line that names its flags.
    pub fn check(self) -> Result<Config, ConfigError> {
        let budget = self.memory_budget.map_or_else(default_budget, |bytes| bytes.as_u64());
        let mut mistakes = self.mistakes(budget);
        let doors = self.doors.check(&mut mistakes);
        let standard = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let telemetry = self.telemetry.check(standard).map_err(|mistake| mistakes.push(mistake));
        let Ok(telemetry) = telemetry else { return Err(ConfigError(mistakes)) };
        if !mistakes.is_empty() {
            return Err(ConfigError(mistakes));
        }
        Ok(Config {
            models: self.model,
            listen: self.listeners.listen,
            admin_listen: self.listeners.admin_listen,
            grpc_listen: self.listeners.grpc_listen,
            doors,
            inference: InferenceConfig {
                sessions: self.sessions,
                max_batch: self.max_batch,
                max_wait: self.max_wait.into(),
                queue_capacity: self.queue_capacity,
                ..self.inference.into()
            },
            request_timeout: self.request_timeout.into(),
            drain_delay: self.drain_delay.into(),
            drain_timeout: self.drain_timeout.into(),
            max_body: usize::try_from(self.max_body.as_u64()).unwrap_or(usize::MAX),
            jpeg: self.images.jpeg(),
            max_pixels: self.images.max_pixels.get(),
            memory_budget: budget,
            watch: self.watch.map(Into::into),
            memory_budget_is_fixed: self.memory_budget.is_some(),
            telemetry,
        })
    }

    fn mistakes(&self, budget: u64) -> Vec<String> {
        let mut mistakes = self.listeners.mistakes();
        if self.max_batch.is_some_and(|images| images > self.queue_capacity) {
            let capacity = self.queue_capacity;
            mistakes.push(format!("--max-batch is more than --queue-capacity, `{capacity}`"));
        }
        if self.max_body.as_u64() == 0 {
            mistakes.push("--max-body must be above 0".to_owned());
        }
        if budget < self.max_body.as_u64() {
            mistakes.push(format!("--memory-budget, `{budget}`, is less than one --max-body"));
        }
        if self.watch.is_some_and(|interval| interval.is_zero()) {
            mistakes.push("--watch must be above 0".to_owned());
        }
        if self.request_timeout.is_zero() {
            mistakes.push("--request-timeout must be above 0".to_owned());
        }
        for (flag, duration) in [
            ("--max-wait", self.max_wait),
            ("--request-timeout", self.request_timeout),
            ("--drain-delay", self.drain_delay),
            ("--drain-timeout", self.drain_timeout),
        ] {
            if *duration > LONGEST {
                mistakes.push(format!("{flag}, `{duration}`, is more than a week"));
            }
        }
        // A folder that is missing is made.
        if let Some(path) =
            self.inference.device.tensorrt_cache.as_ref().filter(|path| path.is_file())
        {
            mistakes.push(format!("--tensorrt-cache, `{}`, is not a folder", path.display()));
        }
        mistakes
    }
}

fn bytes(text: &str) -> Result<ByteSize, String> {
    text.parse()
        .map_err(|_| "a number of bytes is due, such as 33554432, 32MiB or 1.5GB".to_owned())
}

/// Of a flag's durations; of some centuries the clock could not say when they are over.
const LONGEST: Duration = Duration::from_hours(7 * 24);

fn default_budget() -> u64 {
    resources::memory_limit() / MEMORY_SHARE
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: ServeFlags,
    }

    fn check(arguments: &[&str]) -> Result<Config, ConfigError> {
        let arguments = ["serve"].iter().chain(arguments);
        Command::try_parse_from(arguments).unwrap().flags.check()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = check(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9090");
        assert_eq!(config.grpc_listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.models, [PathBuf::from("models/default")]);
        assert_eq!(config.max_body, 32 << 20);
    }

    #[test]
    fn every_contradiction_is_reported_at_once() {
        let error = check(&[
            "--admin-listen=127.0.0.1:8080",
            "--grpc-listen=127.0.0.1:8080",
            "--max-batch=300",
            "--memory-budget=1MiB",
            "--request-timeout=0s",
            "--drain-timeout=18446744073709551615s",
            "--tensorrt-cache=Cargo.toml",
            "--tls-cert=tls.crt",
        ])
        .unwrap_err();
        assert_eq!(error.to_string().lines().count(), 8, "{error}");
    }

    #[test]
    fn a_body_of_no_byte_is_no_limit() {
        let error = check(&["--max-body=0"]).unwrap_err();
        assert_eq!(error.to_string(), "--max-body must be above 0");
    }

    #[test]
    fn folders_are_watched_where_that_is_asked_for() {
        let watch = |arguments: &[&str]| check(arguments).unwrap().watch;
        assert_eq!(watch(&[]), None);
        assert_eq!(watch(&["--watch"]), Some(Duration::from_secs(2)));
        assert_eq!(watch(&["--watch=50ms"]), Some(Duration::from_millis(50)));
    }

    #[test]
    fn port_0_may_be_given_several_times() {
        let free =
            ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0"];
        assert!(check(&free).is_ok());
    }
}
