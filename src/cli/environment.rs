//! The variables that stand for flags.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Command, Error};

/// What the names of all of them begin with.
const PREFIX: &str = "RESNET_SERVE_";

/// In the names of variables that Kubernetes gives to pods for a service named like this program.
const OF_SERVICES: [&str; 5] = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_SCTP"];

/// Names the variable where a value that is wrong was one's, as nobody has typed the flag.
pub(super) fn name_variable(error: &mut Error) {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return };
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let is_typed = |typed: OsString| {
        let typed = typed.to_string_lossy();
        typed.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let Some(name) = flag.strip_prefix("--").filter(|_| !env::args_os().any(is_typed)) else {
        return;
    };
    let variable = format!("{PREFIX}{}", name.replace('-', "_").to_uppercase());
    if env::var_os(&variable).is_some() {
        let tip = StyledStr::from(format!("the value is that of the variable `{variable}`"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
}

/// Variables of such names that stand for no flag: most likely they are misspelt.
pub(super) fn unknown(command: &Command) -> Vec<String> {
    let mut known = HashSet::new();
    add_variables(command, &mut known);
    let name = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        let is_unknown = name.starts_with(PREFIX) && !known.contains(&OsString::from(&name));
        (is_unknown && !is_of_kubernetes(&name, &value.to_string_lossy())).then_some(name)
    };
    let mut names: Vec<String> = env::vars_os().filter_map(name).collect();
    names.sort();
    names
}

fn add_variables(command: &Command, known: &mut HashSet<OsString>) {
    known.extend(command.get_arguments().filter_map(|flag| flag.get_env()).map(OsString::from));
    for command in command.get_subcommands() {
        add_variables(command, known);
    }
}

fn is_of_kubernetes(name: &str, value: &str) -> bool {
    OF_SERVICES.iter().any(|part| name.contains(part))
        || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_says_of_a_service_is_no_flag_misspelt() {
        for (name, value) in [
            ("RESNET_SERVE_SERVICE_HOST", "10.0.0.7"),
            ("RESNET_SERVE_ADMIN_SERVICE_PORT_HTTP", "9090"),
            ("RESNET_SERVE_PORT", "tcp://10.0.0.7:80"),
            ("RESNET_SERVE_PORT_80_TCP_ADDR", "10.0.0.7"),
        ] {
            assert!(is_of_kubernetes(name, value), "{name}");
        }
        assert!(!is_of_kubernetes("RESNET_SERVE_PORT", "8080"));
        assert!(!is_of_kubernetes("RESNET_SERVE_MAX_BACH", "8"));
    }
}
