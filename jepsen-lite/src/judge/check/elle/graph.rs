//! Which transaction must come before which.
//!
//! Edges: *ww* from a value's writer to the next value's, *wr* from the writer of the last value read to its reader, *rw* from
//! a reader to the writer of the first value it did not see, *process* from each transaction of a process to its next,
//! *realtime* from one that ended to one that began later (only as many as imply all others). Pure.

use std::collections::HashMap;

use super::observe::{Versions, shown};
use super::{MicroOperation, Txn};
use crate::judge::history::Type;
use crate::judge::history::ops::NEVER;

/// A kind of edge, as a bit.
pub type DependencyKind = u8;
/// Write after write.
pub const WW: DependencyKind = 1;
/// Read of a write.
pub const WR: DependencyKind = 2;
/// Write after read.
pub const RW: DependencyKind = 4;
/// Order within a process.
pub const PROCESS: DependencyKind = 8;
/// Order in time.
pub const REALTIME: DependencyKind = 16;

/// Why an edge of values is there: the list, and the value written or not seen.
pub type Reason = (u32, i64);

/// A graph of transactions.
#[derive(Debug, Default)]
pub struct DependencyGraph {
    /// For each transaction, where its edges begin in `edges`.
    starts: Vec<u32>,
    edges: Vec<(u32, DependencyKind)>,
    /// The reason of each edge of values.
    pub reasons: HashMap<(u32, u32, DependencyKind), Reason>,
}

impl DependencyGraph {
    /// The edges out of a transaction.
    pub fn out(&self, txn: u32) -> &[(u32, DependencyKind)] {
        &self.edges[self.starts[txn as usize] as usize..self.starts[txn as usize + 1] as usize]
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }
}

struct Draft {
    edges: Vec<(u32, u32, DependencyKind)>,
    reasons: HashMap<(u32, u32, DependencyKind), Reason>,
}

impl Draft {
    fn add(&mut self, from: usize, to: usize, kind: DependencyKind, reason: Reason) {
        if from != to {
            self.edges.push((from as u32, to as u32, kind));
            self.reasons.entry((from as u32, to as u32, kind)).or_insert(reason);
        }
    }
}

/// Draws the graph.
pub fn draw(txns: &[Txn], versions: &Versions) -> DependencyGraph {
    let mut draft = Draft { edges: Vec::with_capacity(8 * txns.len()), reasons: HashMap::new() };
    for (key, list) in (0_u32..).zip(&versions.longest) {
        let writer = |value: &i64| versions.writer.get(&(key, *value)).copied();
        for pair in list.windows(2) {
            if let (Some(one), Some(next)) = (writer(&pair[0]), writer(&pair[1])) {
                draft.add(one, next, WW, (key, pair[1]));
            }
        }
        // What no read shows comes after all that any read shows.
        for unread in &versions.unread[key as usize] {
            if let Some(last) = list.last().and_then(writer) {
                draft.add(last, *unread, WW, (key, value_of(&txns[*unread], key)));
            }
        }
    }
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.outcome == Type::Ok) {
        // Only a transaction's first read of a list, before its own appends to it, shows what others left.
        let mut touched: Vec<u32> = Vec::new();
        for step in &txn.steps {
            if let Some((key, list)) = shown(step)
                && !touched.contains(&key)
            {
                reads(&mut draft, versions, txns, number, key, list);
            }
            let (MicroOperation::Append(key, _) | MicroOperation::Read(key, _)) = step;
            touched.push(*key);
        }
    }
    processes(&mut draft, txns);
    realtime(&mut draft, txns);
    finish(draft, txns.len())
}

fn value_of(txn: &Txn, key: u32) -> i64 {
    let append = |step: &MicroOperation| {
        if let MicroOperation::Append(other, value) = step { (*other == key).then_some(*value) } else { None }
    };
    txn.steps.iter().find_map(append).unwrap_or_default()
}

fn reads(draft: &mut Draft, versions: &Versions, txns: &[Txn], reader: usize, key: u32, list: &[i64]) {
    // It read what the writer of its last value left.
    if let Some(last) = list.last()
        && let Some(writer) = versions.writer.get(&(key, *last))
    {
        draft.add(*writer, reader, WR, (key, *last));
    }
    // It came before who appended the next value; where nobody knows the next, before all that nobody read.
    match versions.longest[key as usize].get(list.len()) {
        Some(next) => {
            if let Some(writer) = versions.writer.get(&(key, *next)) {
                draft.add(reader, *writer, RW, (key, *next));
            }
        }
        None => {
            for unread in &versions.unread[key as usize] {
                draft.add(reader, *unread, RW, (key, value_of(&txns[*unread], key)));
            }
        }
    }
}

fn processes(draft: &mut Draft, txns: &[Txn]) {
    let mut last: HashMap<u32, u32> = HashMap::new();
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.outcome != Type::Fail) {
        if let Some(before) = last.insert(txn.process, number as u32)
            && txns[before as usize].ret != NEVER
        {
            draft.edges.push((before, number as u32, PROCESS));
        }
    }
}

/// Keeps the ended transactions that do not yet imply each other: at most as many as ran at once.
fn realtime(draft: &mut Draft, txns: &[Txn]) {
    let mut moments: Vec<(u64, bool, u32)> = Vec::with_capacity(2 * txns.len());
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.outcome != Type::Fail) {
        moments.push((txn.call, false, number as u32));
        if txn.ret != NEVER {
            moments.push((txn.ret, true, number as u32));
        }
    }
    moments.sort_unstable();
    let mut frontier: Vec<u32> = Vec::new();
    for (_, ends, number) in moments {
        if ends {
            let call = txns[number as usize].call;
            frontier.retain(|other| txns[*other as usize].ret > call);
            frontier.push(number);
        } else {
            draft.edges.extend(frontier.iter().map(|before| (*before, number, REALTIME)));
        }
    }
}

fn finish(mut draft: Draft, size: usize) -> DependencyGraph {
    draft.edges.sort_unstable();
    draft.edges.dedup();
    let mut starts = vec![0_u32; size + 1];
    for (from, ..) in &draft.edges {
        starts[*from as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let edges = draft.edges.iter().map(|(_, to, kind)| (*to, *kind)).collect();
    DependencyGraph { starts, edges, reasons: draft.reasons }
}
