//! Starts the program anew with variables that are read before a process can set them.
//!
//! ONNX Runtime's official builds for Linux write a device's id and events into the user's cache
//! folder and send them over the network, from the moment that the library is loaded; the switch of
//! its interface comes after that. The C library keeps the large blocks that loading a network has
//! freed, unless it is told not to.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What is set where the user has not set it.
const VARIABLES: [(&str, &str); 3] = [
    ("ORT_DISABLE_TELEMETRY", "1"),
    // Blocks of a mebibyte and more go back to the system when they are freed: a third of the
    // memory of two sessions of ResNet-50. Pixels of common photos are smaller and stay.
    ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ("MALLOC_TRIM_THRESHOLD_", "134217728"),
];

/// Starts this program anew, as the same process, with what is missing; does nothing where all
/// variables are set already, to whatever values. Returns where the system does not allow it.
pub fn ensure() {
    let missing = missing(|name| env::var_os(name).is_some());
    if missing.is_empty() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
        // Returns only if it fails; the variables then have to be set from outside.
        let _ = Command::new(program).arg0(name).args(arguments).envs(missing).exec();
    }
}

fn missing(is_set: impl Fn(&OsStr) -> bool) -> Vec<(&'static str, &'static str)> {
    VARIABLES.into_iter().filter(|(name, _)| !is_set(OsStr::new(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_set_stays() {
        let set = |name: &OsStr| name == "ORT_DISABLE_TELEMETRY";
        assert!(missing(set).iter().all(|(name, _)| name.starts_with("MALLOC_")));
        assert_eq!(missing(set).len(), 2);
    }

    #[test]
    fn the_program_is_not_started_a_third_time() {
        assert!(missing(|_| true).is_empty());
    }
}
