//! The `resnet-serve` binary.

use std::process::ExitCode;

use clap::Parser as _;
use resnet_serve::cli::Cli;
use resnet_serve::quiet;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.runs_networks() {
        quiet::ensure();
    }
    cli.run()
}
