//! Events paired into operations, each with its interval in one total order.
//!
//! Where every event has a time and no process's own clock goes back, times decide, and of equal times calls come
//! before returns: what may have been concurrent is taken as concurrent. Otherwise the order of lines decides. Judges
//! nothing.

use std::collections::HashMap;

use anyhow::{Result, bail};

use super::edn::Edn;
use super::{History, HistoryEvent, HistoryProcess, Type};

/// The end of an operation whose outcome stayed unknown.
pub const NEVER: u64 = u64::MAX;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryOperation {
    /// Where its two events stand in the history.
    pub events: (usize, Option<usize>),
    /// Who.
    pub process: HistoryProcess,
    /// What.
    pub f: String,
    /// With what.
    pub input: Edn,
    /// What came of it; the invocation's value where no completion says more.
    pub output: Edn,
    /// `Ok`, `Fail` or `Info`.
    pub outcome: Type,
    /// Its place in the total order of events.
    pub call: u64,
    /// The place of its end; [`NEVER`] when the outcome is unknown.
    pub ret: u64,
    /// Nanoseconds at the call.
    pub called_at: Option<i64>,
    /// Nanoseconds at the end.
    pub returned_at: Option<i64>,
    /// Further members of both events, the completion's first.
    pub extra: Vec<(String, Edn)>,
}

impl HistoryOperation {
    /// A further member of its completion, or of its invocation.
    pub fn get(&self, name: &str) -> Option<&Edn> {
        self.extra.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether it was acknowledged.
    pub fn ok(&self) -> bool {
        self.outcome == Type::Ok
    }
}

/// All operations of a history, by call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairedOperations {
    /// By call.
    pub ops: Vec<HistoryOperation>,
    /// Why the order of lines was taken and not that of times; empty when times were taken.
    pub by_lines: String,
}

/// Pairs the events of clients. What the nemesis did is no operation.
///
/// # Errors
/// A completion without an invocation, or a second invocation before the first is complete.
pub fn pair(history: &History) -> Result<PairedOperations> {
    let (places, by_lines) = places(&history.events);
    let mut open: HashMap<&HistoryProcess, usize> = HashMap::new();
    let mut ops: Vec<HistoryOperation> = Vec::new();
    let clients =
        history.events.iter().enumerate().filter(|(_, event)| matches!(event.process, HistoryProcess::Client(_)));
    // A process does one thing at a time: its completion is that of its last invocation.
    for (position, event) in clients {
        match (event.kind, open.remove(&event.process)) {
            (Type::Invoke, None) => {
                open.insert(&event.process, ops.len());
                ops.push(begun(position, event, places[position]));
            }
            (Type::Invoke, Some(_)) => {
                bail!("event {position}: process {} has not yet ended what it began", event.process)
            }
            (_, None) => bail!("event {position}: process {} completes what it did not begin", event.process),
            (kind, Some(op)) => complete(&mut ops[op], kind, position, event, places[position]),
        }
    }
    // What was never completed stays unknown.
    ops.sort_by_key(|op| op.call);
    Ok(PairedOperations { ops, by_lines })
}

fn begun(position: usize, event: &HistoryEvent, place: u64) -> HistoryOperation {
    HistoryOperation {
        events: (position, None),
        process: event.process.clone(),
        f: event.f.clone(),
        input: event.value.clone(),
        output: event.value.clone(),
        outcome: Type::Info,
        call: place,
        ret: NEVER,
        called_at: event.time,
        returned_at: None,
        extra: event.extra.clone(),
    }
}

fn complete(op: &mut HistoryOperation, kind: Type, position: usize, event: &HistoryEvent, place: u64) {
    op.events.1 = Some(position);
    op.outcome = kind;
    if !event.value.is_nil() || kind == Type::Ok {
        op.output = event.value.clone();
    }
    if kind != Type::Info {
        op.ret = place;
    }
    op.returned_at = event.time;
    op.extra.splice(0..0, event.extra.iter().cloned());
}

/// The place of each event in the total order, and why it is the order of lines if it is.
fn places(events: &[HistoryEvent]) -> (Vec<u64>, String) {
    let by_lines = untimed(events);
    let mut order: Vec<usize> = (0..events.len()).collect();
    if by_lines.is_empty() {
        order.sort_by_key(|&index| (events[index].time, events[index].kind != Type::Invoke, index));
    }
    let mut places = vec![0; events.len()];
    for (place, index) in order.into_iter().enumerate() {
        places[index] = place as u64 + 1;
    }
    (places, by_lines)
}

fn untimed(events: &[HistoryEvent]) -> String {
    let mut last: HashMap<&HistoryProcess, i64> = HashMap::new();
    for (position, event) in events.iter().enumerate() {
        let Some(time) = event.time else { return format!("event {position} has no time") };
        let before = last.insert(&event.process, time);
        if before.is_some_and(|before| before > time) {
            return format!("the clock of process {} goes back at event {position}", event.process);
        }
    }
    String::new()
}
