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
    if !cli.serves() {
        // Who reads what it prints may stop reading; a service's log is another matter.
        sigpipe::reset();
    }
    cli.run()
}
