//! A set read page by page, and counted: `add v`, `remove v`, `sweep [from to]` which removes all there is from one number
//! to another, `scan` of all there is, `count`.
//!
//! A scan of several pages is no one state, so nothing is asked of the order of scans among each other. What is asked, element
//! by element: what was acknowledged before a scan began and not removed until it ended is shown, and once; what was not begun,
//! or whose removal was acknowledged before, is not. A sweep is no one moment either: it removes each element, of those that
//! were there before it began, at some moment of its own; one that was added meanwhile may be spared. A count lies between what must be there and what may be. An element
//! that no scan could have shown since it was acknowledged was *never read*, which makes a history *unknown*. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

#[cfg(test)]
mod tests;

/// The life of one element.
struct ElementLifetime<'a> {
    add: &'a HistoryOperation,
    /// What may have removed it.
    removes: Vec<&'a HistoryOperation>,
}

impl<'a> ElementLifetime<'a> {
    /// Whether it is there through all of `op`.
    fn must_be_in(&self, op: &HistoryOperation) -> bool {
        let spared = |remove: &&HistoryOperation| remove.call > op.ret || remove.ret < self.add.call;
        self.add.ok() && self.add.ret < op.call && self.removes.iter().all(spared)
    }

    /// Whether it is there at some moment of `op`.
    fn may_be_in(&self, op: &HistoryOperation) -> bool {
        self.add.call < op.ret && self.gone_before(op).is_none()
    }

    /// What has certainly removed it before `op`.
    fn gone_before(&self, op: &HistoryOperation) -> Option<&'a HistoryOperation> {
        let certain = |remove: &&&HistoryOperation| remove.ok() && remove.ret < op.call && remove.call > self.add.ret;
        self.removes.iter().find(certain).copied()
    }
}

struct SetScan<'a> {
    op: &'a HistoryOperation,
    elements: BTreeSet<String>,
}

/// Judges scans and counts.
///
/// # Errors
/// Operations that this set does not know, and elements that are added or removed twice.
pub fn check(ops: &[HistoryOperation]) -> Result<HistoryVerdict> {
    let lives = lives(ops)?;
    let mut scans = Vec::new();
    // Pages of one scan must not overlap: no element is shown twice.
    for op in ops.iter().filter(|op| op.f == "scan" && op.ok()) {
        let items = op.output.items().with_context(|| format!("event {}: a scan of no set", op.events.0))?;
        let elements: BTreeSet<String> = items.iter().map(Edn::to_string).collect();
        if elements.len() < items.len() {
            let twice = items.iter().find(|item| items.iter().filter(|other| other == item).count() > 1);
            let cause = format!("{} shows {} twice", describe(op), twice.unwrap_or(&Edn::Nil));
            return Ok(HistoryVerdict::illegal("duplicate", cause, events_of([op])));
        }
        scans.push(SetScan { op, elements });
    }
    // Each scan is judged by itself; then each count; then what no scan ever showed.
    let wrong = scans.iter().find_map(|scan| shown(scan, &lives).or_else(|| missing(scan, &scans, &lives)));
    if let Some(wrong) = wrong {
        return Ok(wrong);
    }
    for op in ops.iter().filter(|op| op.f == "count" && op.ok()) {
        if let Some(wrong) = counted(op, &lives)? {
            return Ok(wrong);
        }
    }
    Ok(never_read(&scans, &lives))
}

fn lives(ops: &[HistoryOperation]) -> Result<BTreeMap<String, ElementLifetime<'_>>> {
    let mut lives = BTreeMap::new();
    let happened = || ops.iter().filter(|op| op.outcome != Type::Fail);
    // Adds come first, since a removal may stand before the add that it overlaps.
    for op in happened().filter(|op| op.f == "add") {
        if lives.insert(op.input.to_string(), ElementLifetime { add: op, removes: Vec::new() }).is_some() {
            bail!("event {}: {} is added twice, so a scan cannot tell which it shows", op.events.0, op.input);
        }
    }
    for op in happened() {
        match op.f.as_str() {
            "remove" => {
                let life = lives.get_mut(&op.input.to_string());
                let life = life.with_context(|| format!("event {}: nobody added {}", op.events.0, op.input))?;
                if life.removes.iter().any(|other| other.f == "remove") {
                    bail!("event {}: {} is removed twice", op.events.0, op.input);
                }
                life.removes.push(op);
            }
            // A sweep removes whatever is in its range.
            "sweep" => {
                let ends = op.input.items().map(|ends| ends.iter().filter_map(Edn::int).collect::<Vec<_>>());
                let Some(&[from, to]) = ends.as_deref() else { bail!("event {}: a sweep of no range", op.events.0) };
                let meant = |life: &&mut ElementLifetime<'_>| {
                    life.add.input.int().is_some_and(|element| (from..to).contains(&element))
                };
                lives.values_mut().filter(meant).for_each(|life| life.removes.push(op));
            }
            "add" | "scan" | "count" | "index" => {}
            other => bail!("event {}: a scanned set knows no `{other}`", op.events.0),
        }
    }
    Ok(lives)
}

fn describe(op: &HistoryOperation) -> String {
    format!("a {} by process {}{}", op.f, op.process, circumstances(op))
}

/// What a scan shows and must not.
fn shown(scan: &SetScan<'_>, lives: &BTreeMap<String, ElementLifetime<'_>>) -> Option<HistoryVerdict> {
    for element in &scan.elements {
        // Somebody must have added it.
        let Some(life) = lives.get(element) else {
            let cause = format!("{} shows {element}, which nobody added", describe(scan.op));
            return Some(HistoryVerdict::illegal("phantom", cause, events_of([scan.op])));
        };
        // It may be shown from its add until its removal.
        if life.may_be_in(scan.op) {
            continue;
        }
        // It came back after its removal, or was there before its add.
        let (class, other, what) = match life.gone_before(scan.op) {
            Some(remove) => {
                let ago = gap(remove.returned_at, scan.op.called_at);
                ("resurrected", remove, format!("although its removal was acknowledged {ago}before it began"))
            }
            None => {
                let later = gap(scan.op.returned_at, life.add.called_at);
                ("phantom", life.add, format!("whose add began only {later}after it had ended"))
            }
        };
        let cause = format!("{} shows {element} {what}", describe(scan.op));
        return Some(HistoryVerdict::illegal(class, cause, events_of([scan.op, other])));
    }
    None
}

/// What a scan must show and does not.
fn missing(
    scan: &SetScan<'_>,
    scans: &[SetScan<'_>],
    lives: &BTreeMap<String, ElementLifetime<'_>>,
) -> Option<HistoryVerdict> {
    let lacking = |(element, life): &(&String, &ElementLifetime<'_>)| {
        life.must_be_in(scan.op) && !scan.elements.contains(*element)
    };
    let (element, life) = lives.iter().find(lacking)?;
    let later = scans.iter().any(|other| other.op.call > scan.op.call && other.elements.contains(element));
    let class = if later { "stale read" } else { "lost" };
    let ago = gap(life.add.returned_at, scan.op.called_at);
    let cause = format!("{} lacks {element} although it was acknowledged {ago}before it began", describe(scan.op));
    Some(HistoryVerdict::illegal(class, cause, events_of([scan.op, life.add])))
}

fn counted(op: &HistoryOperation, lives: &BTreeMap<String, ElementLifetime<'_>>) -> Result<Option<HistoryVerdict>> {
    let count = op.output.int().with_context(|| format!("event {}: a count of no number", op.events.0))?;
    let least = lives.values().filter(|life| life.must_be_in(op)).count() as i64;
    let most = lives.values().filter(|life| life.may_be_in(op)).count() as i64;
    if (least..=most).contains(&count) {
        return Ok(None);
    }
    let cause = format!("{} is {count}, and at least {least} and at most {most} elements were there", describe(op));
    Ok(Some(HistoryVerdict::illegal("wrong count", cause, events_of([op]))))
}

fn never_read(scans: &[SetScan<'_>], lives: &BTreeMap<String, ElementLifetime<'_>>) -> HistoryVerdict {
    let last = scans.iter().map(|scan| scan.op.call).max().unwrap_or(0);
    let unread = lives.iter().filter(|(_, life)| life.add.ok() && life.add.ret > last);
    let count = unread.clone().count();
    match unread.map(|(element, _)| element).next() {
        Some(first) => HistoryVerdict::Unknown(format!(
            "{count} acknowledged elements were never read: no scan began after {first} was added"
        )),
        None => HistoryVerdict::Ok,
    }
}
