//! The variables that stand for flags.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// What the names of all of them begin with.
const PREFIX: &str = "RESNET_SERVE_";

/// In the names of variables that Kubernetes gives to pods for a service named like this program.
const OF_SERVICES: [&str; 5] = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_SCTP"];

/// Names the variable where a value that is wrong was one's, as nobody has typed the flag.
pub(super) fn name_variable(error: &mut Error, command: &Command) {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return };
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let is_typed = |typed: OsString| {
        let typed = typed.to_string_lossy();
        typed.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let long = flag.strip_prefix("--");
    let of_flag = variables(command).into_iter().find(|(of, _)| Some(of.as_str()) == long);
    let Some((_, variable)) = of_flag.filter(|_| !env::args_os().any(is_typed)) else { return };
    if env::var_os(&variable).is_some() {
        let words = format!("the value is that of the variable `{}`", variable.display());
        let tips = vec![StyledStr::from(words)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
}

/// Variables of such names that stand for no flag: most likely they are misspelt.
pub(super) fn unknown(command: &Command) -> Vec<String> {
    let known: HashSet<OsString> =
        variables(command).into_iter().map(|(_, variable)| variable).collect();
    let name = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        let is_unknown = name.starts_with(PREFIX) && !known.contains(&OsString::from(&name));
        (is_unknown && !is_of_kubernetes(&name, &value.to_string_lossy())).then_some(name)
    };
    let mut names: Vec<String> = env::vars_os().filter_map(name).collect();
    names.sort();
    names
}

/// The flags of a command, and of those in it, that variables stand for, with these.
fn variables(command: &Command) -> Vec<(String, OsString)> {
    let of_flag = |flag: &Arg| Some((flag.get_long()?.to_owned(), flag.get_env()?.to_owned()));
    let own = command.get_arguments().filter_map(of_flag);
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

fn is_of_kubernetes(name: &str, value: &str) -> bool {
    OF_SERVICES.iter().any(|part| name.contains(part))
        || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn each_flag_of_serve_is_a_variable_too() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for flag in serve.get_arguments().filter_map(Arg::get_long).filter(|long| *long != "help") {
            let name = format!("{PREFIX}{}", flag.replace('-', "_").to_uppercase());
            assert!(variables(serve).contains(&(flag.to_owned(), name.into())), "{flag}");
        }
    }

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
