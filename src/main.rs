//! The `resnet-serve` binary.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use resnet_serve::cli::Cli;
use resnet_serve::quiet;

fn main() -> ExitCode {
    let cli = Cli::read();
    let runs_networks = cli.runs_networks();
    if runs_networks {
        quiet::ensure();
    }
    if !cli.serves() {
        // Who reads what it prints may stop reading; a service's log is another matter.
        sigpipe::reset();
    }
    let code = cli.run();
    if runs_networks {
        leave(code);
    }
    ExitCode::from(code)
}

/// Ends the process without ONNX Runtime's destructors: a load or a batch that nobody waits for
/// any more may still use on other threads what they destroy.
fn leave(code: u8) -> ! {
    let _ = stdout().flush();
    signal_hook::low_level::exit(code.into())
}
