//! What admin verbs share: which cluster they ask, how they print the answer, and how they make a change.
//!
//! If a person must agree to a change, or only wants its plan, the change is planned first. Then it is made, and
//! watched if the command line says so. Knows no verb.

use reqwest::Method;
use serde::Serialize;

use super::print::{self, Format};
use super::watch;
use crate::api::{Change, Plan};
use crate::cli::confirm::{self, Consent};
use crate::cli::exit::Exit;
use crate::cli::target::Target;
use crate::client::Client;

/// How an admin verb finds its cluster, and how it prints.
#[derive(clap::Args, Clone, Debug)]
pub(in crate::cli) struct Ask {
    /// How to print the answer.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(in crate::cli) output: Format,
    #[command(flatten)]
    target: Target,
}

impl Ask {
    pub(in crate::cli) fn client(&self) -> anyhow::Result<Client> {
        self.target.client()
    }
}

/// How a change is made.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct How {
    /// Only print the plan: what would move, and how many nodes may fail before and after.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Wait until it is done, and show how far it is.
    #[arg(long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) consent: Consent,
    #[command(flatten)]
    pub(super) ask: Ask,
}

impl How {
    /// Shows the plan if only the plan is wanted, or before a person is asked to agree.
    ///
    /// Returns `None` if the change should be made, and the exit code if the verb is done.
    pub(super) async fn consider(
        &self,
        client: &Client,
        (method, path, body): (&Method, &str, &impl Serialize),
        question: &str,
    ) -> anyhow::Result<Option<Exit>> {
        if !self.dry_run && !self.consent.is_open()? {
            return Ok(None);
        }
        // The server makes the plan, by the same path and body as the change itself.
        let with = if path.contains('?') { '&' } else { '?' };
        let plan: Plan = client.change(method, &format!("{path}{with}dry_run=true"), body).await?;
        if self.dry_run {
            print::plan(&plan, self.ask.output)?;
            let empty = plan.moves.is_empty() && plan.leader_changes == 0;
            return Ok(Some(if empty { Exit::Ok } else { Exit::Changes }));
        }
        // A person reads this plan on a terminal, whatever the format of the answer is.
        print::plan(&plan, Format::Table)?;
        confirm::ask(question)?;
        Ok(None)
    }

    /// Makes the change. Watches its operation to the end if `--wait` is given.
    pub(super) async fn make(
        &self,
        client: &Client,
        (method, path, body): (&Method, &str, &impl Serialize),
    ) -> anyhow::Result<Exit> {
        let change: Change = client.change(method, path, body).await?;
        // Warnings go to stderr, so that programs find only the answer on stdout.
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
pub(super) fn nothing() -> serde_json::Value {
    serde_json::json!({})
}
