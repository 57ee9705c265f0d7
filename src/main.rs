//! The `resnet-serve` binary.

use std::process::ExitCode;

use clap::Parser as _;
use resnet_serve::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
