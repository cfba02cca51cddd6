//! `quiver op`: long operations, which go on whether or not anyone watches them.
//!
//! In: the name of an operation, such as op-19. Out: its rows, or a request to cancel it. Knows no kind of operation by
//! name.

use reqwest::Method;

use super::ask::{Ask, nothing};
use super::{print, watch};
use crate::api::{Change, OperationRow, Operations};
use crate::cli::confirm::Consent;
use crate::cli::exit::Exit;
use crate::client::path;
use crate::output::table::Table;

/// Arguments of `quiver op`.
#[derive(clap::Args)]
pub(crate) struct OpArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List what is under way, and what ended lately.
    List(Ask),
    /// Watch an operation until it ends.
    Watch {
        /// Such as op-19, or 19.
        operation: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Call an operation off: a move goes back, a leaving node stays.
    Cancel {
        /// Such as op-19, or 19.
        operation: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Runs the verb.
pub(crate) async fn run(args: OpArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::List(ask) => {
            let operations: Operations = ask.client()?.get("/quiver/v1/operations").await?;
            print::rows(&operations.operations, ask.output, table)?;
            Ok(Exit::Ok)
        }
        Verb::Watch { operation, ask } => watch::until_ended(&ask.client()?, &whole(operation), ask.output).await,
        Verb::Cancel { operation, consent, ask } => {
            let operation = whole(operation);
            // Calling off moves data back, so a person must agree.
            consent.make_sure(&format!("Call {operation} off?"))?;
            let path = path(["quiver", "v1", "operations", &operation])?;
            let change: Change = ask.client()?.change(&Method::DELETE, &path, &nothing()).await?;
            let ended = |change: &Change| format!("{operation}: {}", change.state);
            print::one(&change, ask.output, ended)?;
            Ok(Exit::Ok)
        }
    }
}

/// The name of an operation. A number alone is enough.
fn whole(operation: String) -> String {
    let is_number = !operation.is_empty() && operation.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("op-{operation}") } else { operation }
}

fn table(rows: &[OperationRow]) -> Table {
    let mut table = Table::new(["operation", "what", "subject", "state", "replicas left"]);
    for row in rows {
        let state = row.reason.as_ref().map_or_else(|| row.state.clone(), |why| format!("{}: {why}", row.state));
        let left = if row.state == "running" { row.replicas_left.to_string() } else { "0".to_owned() };
        table.row([row.operation_id.clone(), row.kind.clone(), row.subject.clone(), state, left]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_number_names_an_operation() {
        for (text, name) in [("19", "op-19"), ("op-19", "op-19"), ("", ""), ("1x", "1x")] {
            assert_eq!(whole(text.to_owned()), name);
        }
    }
}
