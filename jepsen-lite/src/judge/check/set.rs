//! A set that only grows: `add v`, `read` of all there is.
//!
//! The reads of a linearizable set form a chain, and the chain fixes the order of everything: what a read shows first was
//! added before it and after the reads that do not show it. So it is enough to sort, and to see that nothing that ended
//! before something else began comes after it: exact, O(n log n) but for the size of the reads. Durability is a part of
//! it: an acknowledged element that a later read lacks is *lost*, or *stale* if a still later read shows it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail};

use super::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::{HistoryOperation, NEVER};

struct Adds<'a> {
    op: &'a HistoryOperation,
    /// The stratum of the first read that shows it; none if none does.
    shown: Option<usize>,
}

struct Read<'a> {
    op: &'a HistoryOperation,
    elements: BTreeSet<String>,
}

/// Judges a set.
///
/// # Errors
/// Operations that are not a set's, or one element added twice.
pub fn check(ops: &[HistoryOperation]) -> Result<HistoryVerdict> {
    let mut adds: HashMap<String, Adds<'_>> = HashMap::new();
    let mut reads = Vec::new();
    // Adds and reads are sorted out; a failed operation did not happen, and an unanswered read shows nothing.
    for op in ops.iter().filter(|op| op.outcome != Type::Fail) {
        match op.f.as_str() {
            "add" => {
                let twice = adds.insert(op.input.to_string(), Adds { op, shown: None });
                if twice.is_some() {
                    bail!("event {}: {} is added twice, so a read cannot tell which it shows", op.events.0, op.input);
                }
            }
            "read" if op.ok() => {
                let items = op.output.items().with_context(|| format!("event {}: a read of no set", op.events.0))?;
                let elements: BTreeSet<String> = items.iter().map(Edn::to_string).collect();
                if elements.len() < items.len() {
                    return Ok(duplicate(op, items));
                }
                reads.push(Read { op, elements });
            }
            "read" => {}
            other => bail!("event {}: a set knows no `{other}`", op.events.0),
        }
    }
    // Reads of a growing set are a chain: the smaller is the earlier.
    reads.sort_by_key(|read| (read.elements.len(), read.op.call));
    Ok(elements(&reads, &adds).or_else(|| chain(&reads)).or_else(|| order(&reads, adds)).unwrap_or(HistoryVerdict::Ok))
}

fn describe(op: &HistoryOperation) -> String {
    format!("a read by process {}{}", op.process, circumstances(op))
}

fn duplicate(op: &HistoryOperation, items: &[Edn]) -> HistoryVerdict {
    let twice = items.iter().find(|item| items.iter().filter(|other| other == item).count() > 1);
    let cause = format!("{} shows {} twice", describe(op), twice.unwrap_or(&Edn::Nil));
    HistoryVerdict::illegal("duplicate", cause, events_of([op]))
}

/// Element by element: shown and never added, shown too early, acknowledged and not shown.
fn elements(reads: &[Read<'_>], adds: &HashMap<String, Adds<'_>>) -> Option<HistoryVerdict> {
    // Nothing is shown that nobody added, or that was added only after the read.
    for read in reads {
        for element in &read.elements {
            let Some(add) = adds.get(element) else {
                let cause = format!("{} shows {element}, which nobody added", describe(read.op));
                return Some(HistoryVerdict::illegal("phantom", cause, events_of([read.op])));
            };
            if read.op.ret < add.op.call {
                let before = gap(read.op.returned_at, add.op.called_at);
                let cause = format!("{} shows {element}, whose add began only {before}later", describe(read.op));
                return Some(HistoryVerdict::illegal("phantom", cause, events_of([read.op, add.op])));
            }
        }
    }
    // A read shows all that was acknowledged before it began. The newest that it lacks is told.
    let acknowledged: BTreeMap<u64, (&String, &Adds<'_>)> =
        adds.iter().filter(|(_, add)| add.op.ret != NEVER).map(|(element, add)| (add.op.ret, (element, add))).collect();
    let mut by_call: Vec<&Read<'_>> = reads.iter().collect();
    by_call.sort_by_key(|read| read.op.call);
    for read in by_call {
        let missing =
            acknowledged.range(..read.op.call).rev().find(|(_, (element, _))| !read.elements.contains(*element));
        let Some((_, (element, add))) = missing else { continue };
        // What a later read shows was not lost, but this read was stale.
        let later = reads.iter().any(|other| other.op.call > read.op.call && other.elements.contains(*element));
        let class = if later { "stale read" } else { "lost" };
        let ago = gap(add.op.returned_at, read.op.called_at);
        let cause = format!("{} lacks {element} although it was acknowledged {ago}before it began", describe(read.op));
        return Some(HistoryVerdict::illegal(class, cause, events_of([read.op, add.op])));
    }
    None
}

/// Each read shows all that a smaller one shows.
fn chain(reads: &[Read<'_>]) -> Option<HistoryVerdict> {
    reads.windows(2).find_map(|pair| {
        let lacking = pair[0].elements.difference(&pair[1].elements).next()?;
        let extra = pair[1].elements.difference(&pair[0].elements).next()?;
        let cause = format!(
            "{} shows {lacking} and not {extra}, and {} shows {extra} and not {lacking}",
            describe(pair[0].op),
            describe(pair[1].op)
        );
        Some(HistoryVerdict::illegal("non-linearizable", cause, events_of([pair[0].op, pair[1].op])))
    })
}

/// The one order there can be agrees with time.
fn order<'a>(reads: &[Read<'a>], mut adds: HashMap<String, Adds<'a>>) -> Option<HistoryVerdict> {
    let mut strata: Vec<(usize, &HistoryOperation)> = Vec::new();
    let (mut stratum, mut size) = (0, None);
    for read in reads {
        if size != Some(read.elements.len()) {
            (stratum, size) = (stratum + 2, Some(read.elements.len()));
            for element in &read.elements {
                if let Some(add) = adds.get_mut(element) {
                    add.shown = add.shown.or(Some(stratum - 1));
                }
            }
        }
        strata.push((stratum, read.op));
    }
    let unseen = stratum + 1;
    let placed = adds.values().filter(|add| add.shown.is_some() || add.op.ret != NEVER);
    strata.extend(placed.map(|add| (add.shown.unwrap_or(unseen), add.op)));
    strata.sort_by_key(|(stratum, op)| (*stratum, op.call));
    // Of all earlier strata, what was called last.
    let mut last: Option<&HistoryOperation> = None;
    for group in strata.chunk_by(|left, right| left.0 == right.0) {
        if let (Some(last), Some((_, first))) = (last, group.iter().min_by_key(|(_, op)| op.ret))
            && first.ret < last.call
        {
            let name = |op: &HistoryOperation| match op.f.as_str() {
                "add" => format!("the add of {}", op.input),
                _ => describe(op),
            };
            let cause = format!(
                "{} took effect before {}, which had ended {}before it began",
                name(last),
                name(first),
                gap(first.returned_at, last.called_at)
            );
            return Some(HistoryVerdict::illegal("non-linearizable", cause, events_of([*first, last])));
        }
        last = last.into_iter().chain(group.iter().map(|(_, op)| *op)).max_by_key(|op| op.call);
    }
    None
}
