//! `model`: what can be done with models other than serving them.

use clap::Subcommand;

use super::Failure;

mod build;
mod fetch;
mod inspect;
mod list;

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
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => build::run(arguments),
        Command::Fetch(arguments) => fetch::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::List(arguments) => list::run(arguments),
    }
}
