//! `model`: what can be done with models other than serving them.

use clap::Subcommand;

use super::Failure;

mod build;
mod fetch;
mod inspect;
mod list;
mod quantize;
mod selftest;

/// The commands under `model`.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Write a network of the paper as a model folder: graph, model.toml, labels
    Build(build::Arguments),
    /// Download pretrained weights that `models/catalogue.toml` names
    Fetch(fetch::Arguments),
    /// Count depth, parameters and multiply-adds of an ONNX file
    Inspect(inspect::Arguments),
    /// List the models in a folder, and those that could be fetched
    List(list::Arguments),
    /// Make a network compute in 8 bits, calibrated with pictures, for CPUs with instructions for it
    Quantize(quantize::Arguments),
    /// Record what a model answers to a known picture; every start checks it from then on
    Selftest(selftest::Arguments),
}

impl Command {
    /// Whether it loads ONNX Runtime.
    pub(super) fn runs_networks(&self) -> bool {
        matches!(self, Self::Quantize(_) | Self::Selftest(_))
    }
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => build::run(arguments),
        Command::Fetch(arguments) => fetch::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Quantize(arguments) => quantize::run(arguments),
        Command::Selftest(arguments) => selftest::run(arguments),
    }
}
