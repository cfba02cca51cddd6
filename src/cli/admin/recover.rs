//! `quiver cluster unsafe-recover`: the recovery of last resort, on the directory of a stopped node.
//!
//! In: the directory, the lost nodes, reports of the other survivors. Out: a report, or a repaired directory. Speaks no
//! HTTP: the node that it repairs does not run.

use std::path::PathBuf;

use anyhow::Context;
use raft_groups::NodeId;

use super::print::{self, Format};
use crate::cli::exit::Exit;
use crate::node::{LastResort, ReplicaRow, SurvivorReport, Verdict, last_resort};
use crate::output::stdout;
use crate::output::table::Table;

/// The steps, under `--help`.
pub(super) const RUNBOOK: &str = "\
Only where nodes are lost for good and a group cannot get its majority back. What the lost nodes acknowledged and no
survivor holds is gone.

  1. Stop all surviving nodes. Keep a copy of their data directories.
  2. On each: quiver cluster unsafe-recover --data-dir DIR --lost node2,node3 -o json > NAME.json
     It changes nothing, and tells what the node holds.
  3. On each again, with the reports of all others:
     quiver cluster unsafe-recover --data-dir DIR --lost node2,node3 --others A.json,B.json --yes
     Of each group that has lost its majority, the member that holds the most goes on alone. Every node that is not lost
     must have reported, because it may hold more.
  4. Start the survivors. They make new replicas by themselves where there is room.
  5. quiver node leave node2; quiver node leave node3. Exit code 9: ask again some seconds later. Never start the lost
     nodes again with their old directories.

A group of which no survivor holds a replica cannot be recovered: put the directory of one of its nodes back.

Exit codes: 0 nothing to do, or done; 10 there is something to do, and --yes was not given; 1 a copy is damaged, or a
report is missing.";

/// Arguments of the verb.
#[derive(clap::Args)]
pub(super) struct RecoverArgs {
    /// Data directory of this node, which must be stopped.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The nodes that are lost for good, by name or number.
    #[arg(long, required = true, value_delimiter = ',', value_name = "NODE,…")]
    lost: Vec<String>,
    /// Reports of the other survivors, as this verb prints them with `-o json`.
    #[arg(long, value_delimiter = ',', value_name = "FILE,…")]
    others: Vec<PathBuf>,
    /// Do it. Without this, the verb only says what it would do.
    #[arg(long, short)]
    yes: bool,
    /// How to print the answer.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// Runs the verb.
pub(super) async fn run(args: RecoverArgs) -> anyhow::Result<Exit> {
    let others = args.others.iter().map(report_in).collect::<anyhow::Result<Vec<_>>>()?;
    let order = LastResort { data_dir: args.data_dir, lost: args.lost, others, carry_out: args.yes };
    let report = last_resort(&order).await?;
    match args.output {
        Format::Table => stdout::print(told(&report, args.yes))?,
        Format::Json => stdout::line(serde_json::to_string_pretty(&report)?)?,
        Format::Ndjson => print::rows(&report.replicas, Format::Ndjson, |_| Table::new([""]))?,
    }
    // A change that waits for --yes counts before a group that is not decided.
    Ok(match (report.changes_something(), args.yes) {
        (true, false) => Exit::Changes,
        _ if report.replicas.iter().any(is_open) => Exit::Failed,
        _ => Exit::Ok,
    })
}

/// Returns `true` if it is not decided what becomes of the replica.
fn is_open(row: &ReplicaRow) -> bool {
    matches!(row.verdict, None | Some(Verdict::NeedsReports { .. }))
}

fn report_in(path: &PathBuf) -> anyhow::Result<SurvivorReport> {
    let what = || format!("cannot use {}: it must be what this verb printed with -o json", path.display());
    let text = std::fs::read(path).with_context(what)?;
    serde_json::from_slice(&text).with_context(what)
}

/// The report for people: a table, and what to do next. `done` says that the verdicts were carried out.
fn told(report: &SurvivorReport, done: bool) -> String {
    let mut table = Table::new(["group", "voters", "last term", "last index", "what becomes of it"]);
    for row in &report.replicas {
        let group = row.shard.map_or_else(|| "map".to_owned(), |shard| format!("shard {shard}"));
        // A damaged copy does not know its members.
        let (voters, term, index) = match &row.copy {
            Some(copy) => (
                copy.voters.iter().map(|half| list(report, half)).collect::<Vec<_>>().join(" and "),
                copy.last.0.to_string(),
                copy.last.1.to_string(),
            ),
            None => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
        };
        table.row([group, voters, term, index, fate(report, row.verdict.as_ref(), done)]);
    }
    let mut text = table.render(0);
    let open = report.replicas.iter().filter(|row| is_open(row)).count();
    if report.changes_something() {
        text += if done && open > 0 {
            "Only the groups that go on alone are done.\n"
        } else if done {
            "Done. Start the surviving nodes, and let the lost ones leave (`quiver node leave NAME`). Never start a lost one \
             again with its old directory.\n"
        } else {
            "These groups will lose what was acknowledged after their last entry here and is on no survivor. Nothing was \
             changed yet: --yes does it.\n"
        };
    }
    // Undecided groups are told last, since the operator must act on them before any node starts.
    if open > 0 {
        text += &format!(
            "Not decided: {open} of {} groups. Run this again with the reports that are missing, before any node is \
             started; a damaged copy is left out.\n",
            report.replicas.len()
        );
    }
    text
}

/// What becomes of one replica, in words.
fn fate(report: &SurvivorReport, verdict: Option<&Verdict>, done: bool) -> String {
    match verdict {
        None => "damaged: it cannot speak for its group".to_owned(),
        Some(Verdict::HasMajority) => "nothing: its group has a majority".to_owned(),
        Some(Verdict::GoesOnAlone) if done => "goes on alone".to_owned(),
        Some(Verdict::GoesOnAlone) => "would go on alone".to_owned(),
        Some(Verdict::LeftTo { node }) => {
            format!("is replaced by the copy of {}, which goes on", list(report, [node]))
        }
        Some(Verdict::NeedsReports { of }) => format!("not decided: no report of {}", list(report, of)),
        Some(Verdict::NoMember) => "nothing: it is no member".to_owned(),
    }
}

/// Nodes by name, as far as the report has their names.
fn list<'a>(report: &SurvivorReport, nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    let name = |node: &NodeId| report.names.get(node).cloned().unwrap_or_else(|| format!("node number {node}"));
    nodes.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(verdicts: &[serde_json::Value]) -> SurvivorReport {
        let row = |(group, verdict): (usize, &serde_json::Value)| {
            let mut row = json!({"group": group, "shard": null, "copy": null});
            row.as_object_mut().unwrap().extend(verdict.as_object().unwrap().clone());
            row
        };
        let rows: Vec<_> = verdicts.iter().enumerate().map(row).collect();
        serde_json::from_value(json!({"format": 2, "cluster": uuid::Uuid::nil(), "node": 1, "name": "node1",
                                      "known": [1], "names": {"2": "east"}, "replicas": rows}))
        .unwrap()
    }

    #[test]
    fn nothing_is_called_done_while_something_is_not_decided() {
        let alone = serde_json::to_value(Verdict::GoesOnAlone).unwrap();
        let open = serde_json::to_value(Verdict::NeedsReports { of: [2].into() }).unwrap();
        let text = |verdicts: &[serde_json::Value]| told(&report(verdicts), true);
        assert!(text(std::slice::from_ref(&alone)).contains("Done."));
        let some = text(&[alone, open.clone()]);
        assert!(!some.contains("Done.") && some.contains("Not decided: 1 of 2"), "{some}");
        let none = text(&[open]);
        assert!(!none.contains("one.") && none.contains("Not decided: 1 of 1"), "{none}");
        assert!(none.contains("no report of east"), "{none}");
    }
}
