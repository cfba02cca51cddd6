//! Replicas that have applied the same index hold the same.
//!
//! Operations are `dump` with the value `{:shard s, :applied n, :points {id content, …}}` and the member `:node`. Two dumps of
//! one shard at one applied index must be equal, point by point. Dumps at different indexes say nothing of each other; a
//! history in which no two can be compared is *unknown*. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{HistoryVerdict, events_of};
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

/// What a replica held.
#[derive(Clone, Debug, PartialEq)]
pub struct Dump {
    /// Which node's replica.
    pub node: String,
    /// Of which shard.
    pub shard: String,
    /// The index of the last entry that it had applied.
    pub applied: i64,
    /// Each point's content, by its id, as text.
    pub points: BTreeMap<String, String>,
}

/// The first difference between two dumps at one applied index, in words.
pub fn difference(one: &Dump, other: &Dump) -> Option<String> {
    let ids = one.points.keys().chain(other.points.keys());
    let id = ids.min_by_key(|id| (one.points.get(*id) == other.points.get(*id), (*id).clone()))?;
    let (left, right) = (one.points.get(id), other.points.get(id));
    let told = |content: Option<&String>| content.cloned().unwrap_or_else(|| "nothing".to_owned());
    (left != right).then(|| {
        let place = format!("shard {} at applied index {}", one.shard, one.applied);
        format!("{place}: point {id} is {} on {} and {} on {}", told(left), one.node, told(right), other.node)
    })
}

/// Judges the dumps of a history.
///
/// # Errors
/// A dump that is not what it should be.
pub fn check(ops: &[HistoryOperation]) -> Result<HistoryVerdict> {
    let mut dumps: BTreeMap<(String, i64), Vec<(Dump, &HistoryOperation)>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f == "dump" && op.ok()) {
        let dump = read(op).with_context(|| format!("event {}", op.events.0))?;
        dumps.entry((dump.shard.clone(), dump.applied)).or_default().push((dump, op));
    }
    // Equality passes on, so neighbours are enough.
    let mut compared = false;
    for same in dumps.values() {
        for pair in same.windows(2) {
            compared = compared || pair[0].0.node != pair[1].0.node;
            if let Some(cause) = difference(&pair[0].0, &pair[1].0) {
                return Ok(HistoryVerdict::illegal("divergence", cause, events_of([pair[0].1, pair[1].1])));
            }
        }
    }
    let nothing = "no two replicas were seen at the same applied index";
    Ok(if compared { HistoryVerdict::Ok } else { HistoryVerdict::Unknown(nothing.to_owned()) })
}

fn read(op: &HistoryOperation) -> Result<Dump> {
    let Some(Edn::Map(points)) = op.output.get("points") else { anyhow::bail!("a dump without `points`") };
    Ok(Dump {
        node: op.get("node").and_then(Edn::name).context("a dump that does not say its `node`")?.to_owned(),
        shard: op.output.get("shard").context("a dump without `shard`")?.to_string(),
        applied: op.output.get("applied").and_then(Edn::int).context("a dump without `applied`")?,
        points: points.iter().map(|(id, content)| (id.to_string(), content.to_string())).collect(),
    })
}
