//! The command line: one file a command, and what each failure's exit code is.

use clap::{CommandFactory as _, Parser, Subcommand};
use std::future::Future;
use thiserror::Error;

mod bench;
mod classify;
mod environment;
mod evaluate;
mod key;
mod local;
mod model;
mod openapi;
mod output;
mod probe;
mod progress;
mod serve;

/// Image classification over HTTP, with ResNets in ONNX Runtime.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve models over HTTP
    Serve(Box<serve::Arguments>),
    /// Classify pictures without a server
    Classify(classify::Arguments),
    /// Measure how often a model, or a running service, is right about labelled pictures
    Evaluate(Box<evaluate::Arguments>),
    /// Measure how fast this machine runs a model, and which flags suit it
    ///
    /// Runs the network alone, without pictures and HTTP. The machine should be idle otherwise:
    /// programs that share its cores slow down one session of many threads more than many sessions.
    Bench(bench::Arguments),
    /// Build, fetch, inspect and list models
    #[command(subcommand)]
    Model(model::Command),
    /// Make API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Ask a running service whether it is ready; for containers that have no shell
    Probe(probe::Arguments),
    /// Print the HTTP contract as an OpenAPI document
    Openapi,
}

/// Why a command failed, by exit code.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// 1: what was asked for could not be done for all of it; the details are printed already.
    #[error("{0}")]
    Incomplete(String),
    /// 78, `EX_CONFIG`: the configuration, a model or the runtime is not in order.
    #[error("{0}")]
    Config(String),
}

impl Failure {
    /// A failure of the configuration.
    pub(crate) fn config(cause: impl std::fmt::Display) -> Self {
        Self::Config(cause.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Incomplete(_) => 1,
            Self::Config(_) => 78,
        }
    }
}

impl Cli {
    /// Reads the command line and the variables that stand for flags. Ends the process where something in
    /// them is wrong, and where help is asked for.
    #[must_use]
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            environment::name_variable(&mut error, &Self::command());
            error.exit()
        })
    }

    /// Whether the command loads ONNX Runtime.
    #[must_use]
    pub fn runs_networks(&self) -> bool {
        match &self.command {
            Command::Serve(_) | Command::Classify(_) | Command::Evaluate(_) | Command::Bench(_) => {
                true
            }
            Command::Model(command) => command.runs_networks(),
            Command::Key(_) | Command::Probe(_) | Command::Openapi => false,
        }
    }

    /// Whether the command goes on until it is told to end.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// Runs the command and turns what it says into an exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        let result = match self.command {
            Command::Serve(arguments) => serve::run(*arguments),
            Command::Classify(arguments) => classify::run(&arguments),
            Command::Evaluate(arguments) => evaluate::run(&arguments),
            Command::Bench(arguments) => bench::run(&arguments),
            Command::Key(command) => key::run(&command),
            Command::Model(command) => model::run(&command),
            Command::Probe(arguments) => probe::run(&arguments),
            Command::Openapi => openapi::run(),
        };
        match result {
            Ok(()) => 0,
            Err(failure) => {
                output::complain(format_args!("error: {failure}"));
                failure.exit_code()
            }
        }
    }
}

/// Runs a future on an asynchronous runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| Failure::Incomplete(cause.to_string()))?;
    let result = runtime.block_on(future);
    // Work that nobody waits for any more, such as a load that a signal has ended, ends here.
    runtime.shutdown_background();
    result
}
