//! `serve`: the service.

use clap::{Args, CommandFactory as _};

use super::{Cli, Failure, block_on, environment};
use crate::config::ServeFlags;
use crate::service::{self, ServeError};
use crate::telemetry;

/// What `serve` takes.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: ServeFlags,
}

pub(super) fn run(Arguments { flags }: Arguments) -> Result<(), Failure> {
    let only_check = flags.check;
    let config = flags.check().map_err(Failure::config)?;
    let telemetry = telemetry::start(&config.telemetry).map_err(Failure::config)?;
    for variable in environment::unknown(&Cli::command()) {
        tracing::warn!(
            variable,
            "this variable stands for no flag, and is ignored; `serve --help` has all"
        );
    }
    block_on(async {
        let result = if only_check {
            service::check(config, &telemetry).await
        } else {
            service::run(config, telemetry).await
        };
        result.map_err(Failure::from)
    })
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Start(_)
            | ServeError::Twice(_)
            | ServeError::SameName { .. }
            | ServeError::Keys(_)
            | ServeError::JpegUnit { .. }
            | ServeError::Tls(_) => Self::Config(error.to_string()),
            ServeError::Listen { .. } | ServeError::Signals(_) => {
                Self::Incomplete(error.to_string())
            }
        }
    }
}
