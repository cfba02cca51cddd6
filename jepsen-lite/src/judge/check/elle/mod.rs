//! Transactions of appends to lists and reads of whole lists, after Elle (Kingsbury and Alvaro, VLDB 2020).
//!
//! An operation is `:f :txn`, its value a vector of `[:append k v]` and `[:r k [v …]]`. Every value is appended once, so a
//! read shows the order of all versions before it: [`observe`] finds what is wrong without a cycle and that order;
//! [`graph`] draws which transaction must come before which; [`cycles`] finds and names the cycles. The promise held against
//! a history is strict serializability. Pure.

mod cycles;
mod graph;
mod observe;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::{HistoryVerdict, events_of};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicroOperation {
    /// Appended a value to a list.
    Append(u32, i64),
    /// Read a list; `None` where nobody knows what it showed.
    Read(u32, Option<Vec<i64>>),
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Its process, by number.
    pub process: u32,
    /// Its call.
    pub call: u64,
    /// Its end, or [`crate::judge::history::ops::NEVER`].
    pub ret: u64,
    /// Whether it is known to have committed, to have aborted, or neither.
    pub outcome: Type,
    /// What it did.
    pub steps: Vec<MicroOperation>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The literature's word for it: `G0`, `G1a`, …, `G-single-realtime`, `internal`, `duplicate-elements`, …
    pub class: String,
    /// One sentence.
    pub cause: String,
    /// Which transactions show it.
    pub txns: Vec<usize>,
}

/// All anomalies of these transactions; `names` are those of the keys.
pub fn anomalies(txns: &[Txn], names: &[String]) -> Vec<Anomaly> {
    let (versions, mut found) = observe::observe(txns, names);
    // Where the order of versions contradicts itself a graph drawn from it would prove nothing.
    if !found.iter().any(|anomaly| anomaly.class == "incompatible-order" || anomaly.class == "duplicate-elements") {
        let graph = graph::draw(txns, &versions);
        found.extend(cycles::find(txns, names, &graph));
    }
    found
}

/// Judges a history of transactions by its first anomaly; the others are counted.
///
/// # Errors
/// Operations that are no transactions of lists, or one value appended twice to one list.
pub fn check(ops: &[HistoryOperation]) -> Result<HistoryVerdict> {
    let (txns, names) = parse(ops)?;
    let found = anomalies(&txns, &names);
    let Some(first) = found.first() else { return Ok(HistoryVerdict::Ok) };
    let others = if found.len() > 1 { format!(" (and {} further anomalies)", found.len() - 1) } else { String::new() };
    let events = events_of(first.txns.iter().map(|txn| &ops[*txn]));
    Ok(HistoryVerdict::illegal(&first.class, format!("{}: {}{others}", first.class, first.cause), events))
}

/// The transactions of a history, and the names of their keys.
///
/// # Errors
/// Operations that are no transactions of lists, or one value appended twice to one list.
pub fn parse(ops: &[HistoryOperation]) -> Result<(Vec<Txn>, Vec<String>)> {
    let mut names = Vec::new();
    let (mut keys, mut processes, mut appended) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut txns = Vec::with_capacity(ops.len());
    for (number, op) in ops.iter().enumerate() {
        let next = processes.len() as u32;
        let process = *processes.entry(op.process.clone()).or_insert(next);
        let what = if op.ok() { &op.output } else { &op.input };
        let steps = steps(op, what, &mut keys, &mut names).with_context(|| format!("event {}", op.events.0))?;
        for step in &steps {
            if let MicroOperation::Append(key, value) = step
                && let Some(other) = appended.insert((*key, *value), number)
            {
                bail!("events {} and {}: {value} is appended twice to one list", ops[other].events.0, op.events.0);
            }
        }
        txns.push(Txn { process, call: op.call, ret: op.ret, outcome: op.outcome, steps });
    }
    Ok((txns, names))
}

fn steps(
    op: &HistoryOperation,
    what: &Edn,
    keys: &mut HashMap<String, u32>,
    names: &mut Vec<String>,
) -> Result<Vec<MicroOperation>> {
    // An operation outside of a transaction is a transaction of one step.
    let single = Edn::Vector(vec![what.clone()]);
    let items = match op.f.as_str() {
        "txn" => what.items(),
        "append" | "r" | "read" => single.items(),
        other => bail!("a list knows no `{other}`"),
    };
    // Keys become numbers as they are met.
    let step = |item: &Edn| -> Result<MicroOperation> {
        let parts = item.items().unwrap_or_default();
        let [f, key, value] = parts else { bail!("`{item}` is no `[:append key value]` or `[:r key list]`") };
        let name = key.to_string();
        let next = names.len() as u32;
        let key = *keys.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        });
        let whole = |value: &Edn| value.int().with_context(|| format!("`{value}` is no whole number"));
        Ok(match f.name() {
            Some("append") => MicroOperation::Append(key, whole(value)?),
            // What a read showed is known only where it was answered; an absent list is an empty one.
            Some("r" | "read") if !op.ok() => MicroOperation::Read(key, None),
            Some("r" | "read") if value.is_nil() => MicroOperation::Read(key, Some(Vec::new())),
            Some("r" | "read") => {
                let items = value.items().with_context(|| format!("`{value}` is no list"))?;
                MicroOperation::Read(key, Some(items.iter().map(whole).collect::<Result<_>>()?))
            }
            _ => bail!("a list knows no `{f}`"),
        })
    };
    items.context("a transaction is a vector of steps")?.iter().map(step).collect()
}
