//! Searches: what an answer shows must have been there.
//!
//! Operations are `upsert` with `[id vector]`, `delete` with an id, and `search` with `{:vector v, :limit k, :exact true, :distance
//! :euclid}`, completed with its hits `[[id score] …]`; `:level :one` says that an answer may be old. [`sound`] judges hit by
//! hit: it was live at some moment of the search, its score is right, hits are sorted and none comes twice; of
//! approximate searches also the recall. [`model`] then searches for one order in which every exact search equals the
//! model's top k. Vectors should be unique, as they are where a vector is a function of its write. Pure.

mod model;
mod sound;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::wgl::{LinearizationResult, TimedOperation, search};
use super::{CheckLimits, HistoryVerdict, circumstances, events_of};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

/// The least mean recall of approximate searches.
pub const RECALL_FLOOR: f64 = 0.9;

/// How far a score may be from what it should be, of its size: vectors are single precision on the wire.
const TOLERANCE: f64 = 1e-4;

/// How near two vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchDistance {
    /// Less is nearer.
    Euclid,
    /// Less is nearer.
    Manhattan,
    /// More is nearer.
    Dot,
    /// More is nearer.
    Cosine,
}

impl SearchDistance {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "euclid" => Self::Euclid,
            "manhattan" => Self::Manhattan,
            "dot" => Self::Dot,
            "cosine" => Self::Cosine,
            _ => return None,
        })
    }

    /// The score of two vectors.
    pub fn score(self, one: &[f64], other: &[f64]) -> f64 {
        let pairs = || one.iter().zip(other);
        let dot = || pairs().map(|(a, b)| a * b).sum::<f64>();
        let norm = |vector: &[f64]| vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        match self {
            Self::Euclid => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            Self::Manhattan => pairs().map(|(a, b)| (a - b).abs()).sum(),
            Self::Dot => dot(),
            Self::Cosine => dot() / (norm(one) * norm(other)).max(f64::MIN_POSITIVE),
        }
    }

    /// A score as a number of which more is nearer.
    fn nearness(self, score: f64) -> f64 {
        if matches!(self, Self::Euclid | Self::Manhattan) { -score } else { score }
    }
}

/// Whether two scores are the same but for rounding.
fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()).max(1.0)
}

/// A change of one point.
#[derive(Clone, Debug)]
struct Write {
    /// Which point, by number.
    point: usize,
    /// What it is then; nothing after a delete.
    vector: Option<Vec<f64>>,
    call: u64,
    ret: u64,
    source: usize,
}

/// An answered search.
#[derive(Clone, Debug)]
struct AnsweredSearch {
    query: Vec<f64>,
    limit: usize,
    exact: bool,
    distance: SearchDistance,
    /// Whether the answer may be old.
    stale: bool,
    /// Point and score. A point that nobody wrote has no number.
    hits: Vec<(Option<usize>, f64)>,
    call: u64,
    ret: u64,
    source: usize,
}

/// A history of points, taken apart.
#[derive(Debug, Default)]
struct PointHistory {
    names: Vec<String>,
    writes: Vec<Write>,
    searches: Vec<AnsweredSearch>,
}

fn vector(value: &Edn) -> Result<Vec<f64>> {
    let items = value.items().with_context(|| format!("`{value}` is no vector"))?;
    items.iter().map(|item| item.float().with_context(|| format!("`{item}` is no number"))).collect()
}

fn points(ops: &[HistoryOperation]) -> Result<PointHistory> {
    let mut points = PointHistory::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    // Writes that did not fail, each of the point that it names.
    for (source, op) in ops.iter().enumerate().filter(|(_, op)| op.outcome != Type::Fail) {
        let at = || format!("event {}", op.events.0);
        let (id, content) = match (op.f.as_str(), op.input.items()) {
            ("upsert", Some([id, content])) => (id, Some(vector(content).with_context(at)?)),
            ("delete", _) => (&op.input, None),
            ("search", _) => continue,
            (other, _) => bail!("{}: `{other}` of {} is nothing that points know", at(), op.input),
        };
        let point = *numbers.entry(id.to_string()).or_insert_with_key(|name| {
            points.names.push(name.clone());
            points.names.len() - 1
        });
        points.writes.push(Write { point, vector: content, call: op.call, ret: op.ret, source });
    }
    // Searches that were answered; they come second, so that every point has its number.
    for (source, op) in ops.iter().enumerate().filter(|(_, op)| op.f == "search" && op.ok()) {
        points.searches.push(asked(op, source, &numbers).with_context(|| format!("event {}", op.events.0))?);
    }
    Ok(points)
}

fn asked(op: &HistoryOperation, source: usize, numbers: &HashMap<String, usize>) -> Result<AnsweredSearch> {
    let member = |name: &str| op.input.get(name).with_context(|| format!("a search without `{name}`"));
    let distance =
        member("distance")?.name().and_then(SearchDistance::named).context("a `distance` that is not known")?;
    // A point without a number is one that nobody wrote; the judge says so.
    let hit = |hit: &Edn| -> Result<(Option<usize>, f64)> {
        let Some([id, score]) = hit.items() else { bail!("`{hit}` is no `[id score]`") };
        Ok((numbers.get(&id.to_string()).copied(), score.float().context("a score that is no number")?))
    };
    Ok(AnsweredSearch {
        query: vector(member("vector")?)?,
        limit: usize::try_from(member("limit")?.int().context("a `limit` that is no number")?)?,
        exact: *member("exact")? == Edn::Bool(true),
        distance,
        stale: op.get("level").and_then(Edn::name) == Some("one"),
        hits: op.output.items().context("an answer without hits")?.iter().map(hit).collect::<Result<_>>()?,
        call: op.call,
        ret: op.ret,
        source,
    })
}

/// Judges the searches of a history.
///
/// # Errors
/// Operations that points do not know.
pub fn check(ops: &[HistoryOperation], limits: CheckLimits) -> Result<HistoryVerdict> {
    let points = points(ops)?;
    Ok(sound::check(ops, &points).and(|| exact(ops, &points, limits)))
}

fn exact(ops: &[HistoryOperation], points: &PointHistory, limits: CheckLimits) -> HistoryVerdict {
    let object = model::CollectionModel { points };
    // Writes and exact searches are operations on one object, the collection.
    let writes = points.writes.iter().enumerate().map(|(index, write)| TimedOperation {
        call: write.call,
        ret: write.ret,
        op: object.effect(index),
        source: write.source,
    });
    let fresh = |asked: &&AnsweredSearch| asked.exact && !asked.stale;
    let searches =
        points.searches.iter().enumerate().filter(|(_, asked)| fresh(asked)).map(|(index, asked)| TimedOperation {
            call: asked.call,
            ret: asked.ret,
            op: model::CollectionOperation::Search(index),
            source: asked.source,
        });
    let mut timed: Vec<_> = writes.chain(searches).collect();
    timed.sort_by_key(|timed| timed.call);
    // Where they have no order, the search that ended first without a place is told.
    match search(&object, &timed, limits) {
        LinearizationResult::Order(_) => HistoryVerdict::Ok,
        LinearizationResult::Limit => {
            HistoryVerdict::Unknown(format!("the {} operations needed more than the search may cost", timed.len()))
        }
        LinearizationResult::Stuck { longest, blocked, state } => {
            let op = &ops[timed[blocked].source];
            let live = state.iter().filter(|write| **write != 0).count();
            let cause = format!(
                "no order explains the exact {} by process {}{}: after the longest explanation ({} of {} operations) the {live} live points give another top {}",
                op.f,
                op.process,
                circumstances(op),
                longest.len(),
                timed.len(),
                op.input.get("limit").unwrap_or(&Edn::Nil),
            );
            HistoryVerdict::illegal("non-linearizable", cause, events_of([op]))
        }
    }
}
