//! `model`: what can be done with models other than serving them.

use clap::Subcommand;

use super::Failure;

mod list;

/// The commands under `model`.
#[derive(Subcommand)]
pub(super) enum Command {
    /// List the models in a folder
    List(list::Arguments),
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list::run(&arguments),
    }
}
