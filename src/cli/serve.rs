//! `serve`: the service.

use clap::Args;

use super::{Failure, block_on};
use crate::config::ServeFlags;
use crate::service::{self, ServeError};
use crate::telemetry::logs;

/// What `serve` takes.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: ServeFlags,
}

pub(super) fn run(Arguments { flags }: Arguments) -> Result<(), Failure> {
    let (format, only_check) = (flags.log_format, flags.check);
    let config = flags.check().map_err(Failure::config)?;
    let log_level = logs::start(format);
    block_on(async {
        let result = if only_check {
            service::check(config).await
        } else {
            service::run(config, log_level).await
        };
        result.map_err(Failure::from)
    })
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Start(_) | ServeError::SameName(_) => Self::Config(error.to_string()),
            ServeError::Listen { .. } | ServeError::Signals(_) => {
                Self::Incomplete(error.to_string())
            }
        }
    }
}
