//! The admin verbs: `quiver cluster`, `node`, `shard` and `op`. Each is a thin client of the admin paths of any node,
//! save the recovery of last resort, which has no node left to ask.
//!
//! Long work is an operation that the cluster keeps, whatever becomes of this process: `--wait` only watches it.

mod cluster;
mod leaders;
mod node;
mod op;
pub(super) mod print;
mod recover;
mod shard;
mod watch;

use reqwest::Method;
use serde::Serialize;

pub(crate) use cluster::{ClusterArgs, run as run_cluster};
pub(crate) use node::{NodeArgs, run as run_node};
pub(crate) use op::{OpArgs, run as run_op};
pub(crate) use shard::{ShardArgs, run as run_shard};

use self::print::Format;
use super::confirm::{self, Consent};
use super::exit::Exit;
use super::target::Target;
use crate::api::{Change, Plan};
use crate::client::Client;

/// How an admin verb finds its cluster, and how it prints.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Ask {
    /// How to print the answer.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Format,
    #[command(flatten)]
    target: Target,
}

impl Ask {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        self.target.client()
    }
}

/// How a change is to be made.
#[derive(clap::Args, Clone, Debug)]
struct How {
    /// Only print the plan: what would move, and how many nodes may fail before and after.
    #[arg(long)]
    dry_run: bool,
    /// Wait until it is done, and show how far it is.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    ask: Ask,
}

impl How {
    /// Shows the plan where that is all that is wanted, or before somebody is asked for a yes.
    ///
    /// `None` means: go on.
    async fn consider(
        &self,
        client: &Client,
        (method, path, body): (&Method, &str, &impl Serialize),
        question: &str,
    ) -> anyhow::Result<Option<Exit>> {
        if !self.dry_run && !self.consent.is_open()? {
            return Ok(None);
        }
        let with = if path.contains('?') { '&' } else { '?' };
        let plan: Plan = client.change(method, &format!("{path}{with}dry_run=true"), body).await?;
        if self.dry_run {
            print::plan(&plan, self.ask.output)?;
            let empty = plan.moves.is_empty() && plan.leader_changes == 0;
            return Ok(Some(if empty { Exit::Ok } else { Exit::Changes }));
        }
        print::plan(&plan, Format::Table)?;
        confirm::ask(question)?;
        Ok(None)
    }

    /// Makes the change, and watches it where that is wanted.
    async fn make(
        &self,
        client: &Client,
        (method, path, body): (&Method, &str, &impl Serialize),
    ) -> anyhow::Result<Exit> {
        let change: Change = client.change(method, path, body).await?;
        for warning in &change.warnings {
            eprintln!("warning: {warning}");
        }
        match &change.operation_id {
            Some(operation) if self.wait => watch::until_ended(client, operation, self.ask.output).await,
            _ => {
                print::change(&change, self.ask.output)?;
                Ok(Exit::Ok)
            }
        }
    }
}

/// A body without members.
fn nothing() -> serde_json::Value {
    serde_json::json!({})
}
