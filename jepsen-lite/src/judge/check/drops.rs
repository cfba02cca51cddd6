//! Collections that are made, dropped and made again under the same names: `create`, `drop`, `add e`, `read` of all there is.
//!
//! Values are `[name …]`; a read shows its elements, or `:gone` where there is no such collection. Judged name by name and
//! element by element: what was acknowledged is shown until a drop may have taken it; what a drop certainly took never comes
//! back, and nothing is written to, or read from, a collection that certainly is not there; a collection that certainly is
//! there is not gone. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

#[cfg(test)]
mod tests;

/// What was done to one name.
#[derive(Default)]
struct CollectionHistory<'a> {
    creates: Vec<&'a HistoryOperation>,
    drops: Vec<&'a HistoryOperation>,
    /// By element.
    adds: BTreeMap<String, &'a HistoryOperation>,
    /// With what they show; `None` where the collection was gone.
    reads: Vec<(&'a HistoryOperation, Option<Vec<String>>)>,
}

/// Judges collections.
///
/// # Errors
/// Operations that are none of these, or one element added twice.
pub fn check(ops: &[HistoryOperation]) -> Result<HistoryVerdict> {
    let mut names: BTreeMap<String, CollectionHistory<'_>> = BTreeMap::new();
    // Operations are sorted out by name; a failed one did not happen.
    for op in ops.iter().filter(|op| op.outcome != Type::Fail) {
        let [key, input] = two(&op.input).with_context(|| format!("event {}: no name", op.events.0))?;
        let name = names.entry(key.to_string()).or_default();
        match op.f.as_str() {
            "create" => name.creates.push(op),
            "drop" => name.drops.push(op),
            "add" => {
                if name.adds.insert(input.to_string(), op).is_some() {
                    bail!("event {}: {input} is added twice, so a read cannot tell which it shows", op.events.0);
                }
            }
            "read" if op.ok() => {
                let [_, shown] = two(&op.output).with_context(|| format!("event {}: no name", op.events.0))?;
                name.reads.push((op, shown.items().map(|items| items.iter().map(Edn::to_string).collect())));
            }
            "read" => {}
            other => bail!("event {}: collections know no `{other}`", op.events.0),
        }
    }
    // Names have nothing to do with each other.
    let wrong = names.values().find_map(|name| name.written_to_nothing().or_else(|| name.misread()));
    Ok(wrong.unwrap_or(HistoryVerdict::Ok))
}

fn two(value: &Edn) -> Option<[&Edn; 2]> {
    let [name, rest] = value.items()? else { return None };
    Some([name, rest])
}

fn describe(op: &HistoryOperation) -> String {
    format!("a {} by process {}{}", op.f, op.process, circumstances(op))
}

impl<'a> CollectionHistory<'a> {
    /// A drop after which the collection certainly was not there while `op` went on.
    fn certainly_gone(&self, op: &HistoryOperation) -> Option<&'a HistoryOperation> {
        let dropped = self.drops.iter().filter(|drop| drop.ok() && drop.ret < op.call);
        let made =
            |drop: &HistoryOperation| self.creates.iter().any(|create| create.ret > drop.call && create.call < op.ret);
        dropped.copied().find(|drop| !made(drop))
    }

    /// Whether some drop may have come between the effect of `before` and that of `after`.
    fn may_be_dropped(&self, before: &HistoryOperation, after: &HistoryOperation) -> bool {
        self.drops.iter().any(|drop| drop.call < after.ret && drop.ret > before.call)
    }

    fn written_to_nothing(&self) -> Option<HistoryVerdict> {
        self.adds.values().filter(|add| add.ok()).find_map(|add| {
            let drop = self.certainly_gone(add)?;
            let ago = gap(drop.returned_at, add.called_at);
            let cause = format!("{} was acknowledged although the collection was dropped {ago}before", describe(add));
            Some(HistoryVerdict::illegal("written to nothing", cause, events_of([*add, drop])))
        })
    }

    fn misread(&self) -> Option<HistoryVerdict> {
        self.reads.iter().find_map(|(read, shown)| match shown {
            None => self.wrongly_gone(read),
            Some(shown) => {
                self.zombie(read).or_else(|| self.wrongly_shown(read, shown)).or_else(|| self.lost(read, shown))
            }
        })
    }

    fn wrongly_gone(&self, read: &HistoryOperation) -> Option<HistoryVerdict> {
        let known = self.creates.iter().chain(self.adds.values());
        let before = known.filter(|op| op.ok() && op.ret < read.call).find(|op| !self.may_be_dropped(op, read))?;
        let ago = gap(before.returned_at, read.called_at);
        let cause = format!(
            "{} finds no collection although {} was acknowledged {ago}before",
            describe(read),
            describe(before)
        );
        Some(HistoryVerdict::illegal("lost collection", cause, events_of([read, *before])))
    }

    fn zombie(&self, read: &HistoryOperation) -> Option<HistoryVerdict> {
        let drop = self.certainly_gone(read)?;
        let ago = gap(drop.returned_at, read.called_at);
        let cause = format!("{} shows the collection although it was dropped {ago}before", describe(read));
        Some(HistoryVerdict::illegal("resurrected", cause, events_of([read, drop])))
    }

    fn wrongly_shown(&self, read: &HistoryOperation, shown: &[String]) -> Option<HistoryVerdict> {
        shown.iter().find_map(|element| {
            let Some(add) = self.adds.get(element).filter(|add| add.call < read.ret) else {
                let cause = format!("{} shows {element}, which nobody had begun to add", describe(read));
                return Some(HistoryVerdict::illegal("phantom", cause, events_of([read])));
            };
            let took = |drop: &&&HistoryOperation| drop.ok() && drop.call > add.ret && drop.ret < read.call;
            let drop = self.drops.iter().find(took)?;
            let ago = gap(drop.returned_at, read.called_at);
            let cause = format!("{} shows {element} although a drop took it {ago}before", describe(read));
            Some(HistoryVerdict::illegal("resurrected", cause, events_of([read, *add, *drop])))
        })
    }

    fn lost(&self, read: &HistoryOperation, shown: &[String]) -> Option<HistoryVerdict> {
        let due = self.adds.iter().filter(|(_, add)| add.ok() && add.ret < read.call);
        let mut due = due.filter(|(_, add)| !self.may_be_dropped(add, read));
        let (element, add) = due.find(|(element, _)| !shown.contains(element))?;
        let ago = gap(add.returned_at, read.called_at);
        let cause = format!("{} lacks {element} although it was acknowledged {ago}before it began", describe(read));
        Some(HistoryVerdict::illegal("lost", cause, events_of([read, *add])))
    }
}
