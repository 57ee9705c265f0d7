//! `key`: API keys for the file of `--api-keys-file`.

use clap::{Args, Subcommand};

use super::Failure;
use super::output::{self, say};
use crate::keys::{Name, NewKey};

/// The commands under `key`.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a key: its line for the file goes to standard output, the key itself to standard error
    New(New),
}

/// What `key new` takes.
#[derive(Args)]
pub(super) struct New {
    /// Name of the key's owner, for log and metrics
    name: Name,
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let Command::New(New { name }) = command;
    let new = NewKey::of(name).map_err(|cause| Failure::Incomplete(cause.to_string()))?;
    // A key whose line is lost opens nothing.
    say!("{}", new.line)?;
    output::notice(format_args!("The key of {name}, shown this once:\n{}", new.key))
}
