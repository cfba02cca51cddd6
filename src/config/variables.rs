//! Variables of the environment that are set to nothing, as files of compositions pass them on: they count as unset.

use clap::Command;
use std::ffi::{OsStr, OsString};

/// The command with all its verbs, in which no argument looks at a variable that `variable` says is empty.
#[must_use]
pub fn without_empty_variables(command: Command, variable: &dyn Fn(&OsStr) -> Option<OsString>) -> Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| {
        let is_empty = arg.get_env().and_then(variable).is_some_and(|value| value.is_empty());
        if is_empty { arg.env(None) } else { arg }
    });
    verbs
        .into_iter()
        .fold(command, |command, verb| command.mut_subcommand(verb, |verb| without_empty_variables(verb, variable)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GatewayArgs, ServerArgs};
    use clap::{Arg, Args};

    fn variables(command: &Command) -> Vec<String> {
        let of = |arg: &Arg| arg.get_env().map(|name| name.to_string_lossy().into_owned());
        let own = command.get_arguments().filter_map(of);
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }

    fn command() -> Command {
        Command::new("quiver")
            .subcommand(ServerArgs::augment_args(Command::new("server")))
            .subcommand(GatewayArgs::augment_args(Command::new("gateway")))
    }

    #[test]
    fn every_setting_has_a_variable_and_an_empty_one_counts_as_unset() {
        for arg in command().get_subcommands().flat_map(Command::get_arguments) {
            let variable = format!("QUIVER_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env(), Some(OsStr::new(&variable)));
        }
        let flags: usize = command().get_subcommands().map(|verb| verb.get_arguments().count()).sum();
        let all = variables(&command());
        assert_eq!(all.len(), flags, "{all:?}");
        assert_eq!(variables(&without_empty_variables(command(), &|_| Some("".into()))), Vec::<String>::new());
        for kept in [None, Some(OsString::from("7"))] {
            assert_eq!(variables(&without_empty_variables(command(), &|_| kept.clone())), all);
        }
        let one = |name: &OsStr| (name == "QUIVER_JOIN").then(OsString::new);
        assert!(!variables(&without_empty_variables(command(), &one)).contains(&"QUIVER_JOIN".to_owned()));
    }
}
