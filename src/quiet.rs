//! Keeps ONNX Runtime from reporting to its maker.
//!
//! The official builds for Linux write a device's id and events into the user's cache folder and
//! send them over the network, from the moment that the library is loaded; the switch of its
//! interface comes after that. What comes before is a variable of the environment, and that can be
//! set for a process only when it starts.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Starts this program anew, as the same process, with reports switched off; does nothing where
/// the variable is set already, to whatever value. Returns where the system does not allow it.
pub fn ensure() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
        // Returns only if it fails; the variable then has to be set from outside.
        let _ = Command::new(program).arg0(name).args(arguments).env(VARIABLE, "1").exec();
    }
}
