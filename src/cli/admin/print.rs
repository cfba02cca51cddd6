//! Prints answers as tables, as JSON, or as one JSON object a line.
//!
//! In: wire types and a format. Out: text on stdout. Asks nobody anything.

use serde::Serialize;

use crate::api::{Change, Plan};
use crate::output::stdout;
use crate::output::table::{Table, thousands};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: one document.
    Json,
    /// For programs: one object a line.
    Ndjson,
}

/// Prints rows: for people as the table that `table` makes, for programs as they are.
pub(in crate::cli) fn rows<T: Serialize>(
    rows: &[T],
    format: Format,
    table: impl Fn(&[T]) -> Table,
) -> anyhow::Result<()> {
    match format {
        Format::Table => stdout::print(table(rows).render(0)),
        Format::Json => stdout::line(serde_json::to_string_pretty(rows)?),
        Format::Ndjson => rows.iter().try_for_each(|row| stdout::line(serde_json::to_string(row)?)),
    }
}

/// Prints one value: for people as the text that `text` makes, for programs as it is.
pub(in crate::cli) fn one<T: Serialize>(value: &T, format: Format, text: impl Fn(&T) -> String) -> anyhow::Result<()> {
    match format {
        Format::Table => stdout::line(text(value)),
        Format::Json => stdout::line(serde_json::to_string_pretty(value)?),
        Format::Ndjson => stdout::line(serde_json::to_string(value)?),
    }
}

pub(super) fn change(change: &Change, format: Format) -> anyhow::Result<()> {
    one(change, format, |change| {
        let node = change.node_id.as_deref().map(|node| format!("{node}: ")).unwrap_or_default();
        match &change.operation_id {
            Some(id) => format!("{node}{} ({id}; `quiver op watch {id}` shows how far it is)", change.state),
            None => format!("{node}{}", change.state),
        }
    })
}

pub(super) fn plan(plan: &Plan, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Table => {
            let mut table = Table::new(["shard", "from", "to", "copied"]);
            for planned in &plan.moves {
                let shard = planned.shard.map_or_else(|| "map".to_owned(), |shard| shard.to_string());
                let name = |node: &Option<String>| node.clone().unwrap_or_else(|| "-".to_owned());
                table.row([shard, name(&planned.from), name(&planned.to), bytes(planned.bytes)]);
            }
            // A plan may change leaders only, and then an empty table says nothing.
            if !plan.moves.is_empty() {
                stdout::print(table.render(0))?;
            }
            stdout::print(summary(plan))
        }
        Format::Ndjson => rows(&plan.moves, format, |_| Table::new([""])),
        Format::Json => one(plan, format, |_| String::new()),
    }
}

fn summary(plan: &Plan) -> String {
    let [before, after] = plan.tolerated_failures;
    let [factor, factor_after] = plan.replication_factor;
    let mut text = format!(
        "{} replicas move, {} copied, {} leaders change\nreplicas of each shard: {factor} now, {factor_after} after; nodes \
         that may fail: {before} now, {after} after\n",
        plan.moves.len(),
        bytes(plan.bytes),
        plan.leader_changes,
    );
    for obstacle in &plan.obstacles {
        text += &format!("obstacle: {obstacle}\n");
    }
    text
}

/// A number of bytes with a unit, rounded down.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} B", thousands(bytes)),
        10_000..10_000_000 => format!("{} kB", thousands(bytes / 1_000)),
        _ => format!("{} MB", thousands(bytes / 1_000_000)),
    }
}
