//! The judges. What comes in is a history; what goes out is one of three verdicts, with its cause in one sentence.
//!
//! [`wgl`] searches for a linearization of any [`wgl::SequentialModel`]; [`zones`] decides registers of unique values in
//! one pass; [`versions`] holds against each other what writes and reads say of a value's version; [`register`] asks them, key
//! by key. [`set`], [`scan`], [`drops`], [`session`], [`replica`],
//! [`search`] and [`elle`] judge what their names say. All are pure: no clock, no chance, no input or output. *Unknown* is a failed run and never a pass.

pub mod drops;
pub mod elle;
pub mod register;
pub mod replica;
pub mod scan;
pub mod search;
pub mod session;
pub mod set;
pub mod versions;
pub mod wgl;
pub mod zones;

#[cfg(test)]
mod tests;

use anyhow::Result;

use crate::judge::history::History;
use crate::judge::history::ops::{HistoryOperation, pair};

/// What a judge says.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryVerdict {
    /// The history is what the model allows.
    Ok,
    /// It is not.
    Illegal(Violation),
    /// The judge ran out of what it was given, or was given too little; why, in one sentence.
    Unknown(String),
}

impl HistoryVerdict {
    /// The exit code of the command: 0, 1 or 3.
    pub fn exit_code(&self) -> u8 {
        match self {
            HistoryVerdict::Ok => 0,
            HistoryVerdict::Illegal(_) => 1,
            HistoryVerdict::Unknown(_) => 3,
        }
    }

    /// The worse of two: illegal, then unknown, then ok; of equals the first.
    pub fn and(self, other: impl FnOnce() -> HistoryVerdict) -> HistoryVerdict {
        match self {
            HistoryVerdict::Illegal(_) => self,
            HistoryVerdict::Ok => other(),
            HistoryVerdict::Unknown(_) => match other() {
                HistoryVerdict::Illegal(violation) => HistoryVerdict::Illegal(violation),
                _ => self,
            },
        }
    }

    /// For people: its word, its cause, the events that show it.
    ///
    /// # Errors
    /// A history that is none.
    pub fn describe(&self, history: &History) -> Result<String> {
        let ops = pair(history)?;
        let counted = format!("{} operations", ops.ops.len());
        let by_lines = if ops.by_lines.is_empty() || history.events.is_empty() {
            String::new()
        } else {
            format!("\nthe order is that of lines: {}", ops.by_lines)
        };
        // Few of the events that show it are enough to find them in the file.
        Ok(match self {
            HistoryVerdict::Ok => format!("ok: {counted}{by_lines}"),
            HistoryVerdict::Unknown(why) => format!("unknown: {why} ({counted}){by_lines}"),
            HistoryVerdict::Illegal(violation) => {
                let lines = violation.events.iter().filter_map(|index| history.events.get(*index)).take(20);
                let lines: String = lines.map(|event| format!("\n  {}", event.to_edn())).collect();
                format!("illegal: {} ({}, {counted}){by_lines}{lines}", violation.cause, violation.class)
            }
        })
    }

    pub(crate) fn illegal(class: &str, cause: impl Into<String>, events: Vec<usize>) -> HistoryVerdict {
        HistoryVerdict::Illegal(Violation { class: class.to_owned(), cause: cause.into(), events })
    }
}

/// Why a history is illegal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's word for it: `non-linearizable`, `lost`, `G1c`, …
    pub class: String,
    /// One sentence for people.
    pub cause: String,
    /// The positions of the events that show it.
    pub events: Vec<usize>,
}

/// How much a search for a linearization may cost, for each key.
#[derive(Clone, Copy, Debug)]
pub struct CheckLimits {
    /// Steps of the search.
    pub steps: u64,
    /// Bytes of remembered configurations, about.
    pub memory: usize,
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self { steps: 50_000_000, memory: 1 << 30 }
    }
}

/// What a history is judged against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsistencyModel {
    /// Linearizable registers: `read`, `write`, `delete`.
    Register,
    /// The same with `cas`.
    CasRegister,
    /// A set that only grows: `add`, `read`.
    Set,
    /// A set that also shrinks, read page by page and counted: `add`, `remove`, `sweep`, `scan`, `count`.
    Scan,
    /// Collections that come and go: `create`, `drop`, `add`, `read`.
    Drops,
    /// Transactions of appends and reads of lists: `txn`.
    Append,
    /// Points: `upsert`, `delete`, `search`.
    Search,
    /// Registers read at ONE: only written values, and no process goes back or misses its own writes.
    Session,
    /// Registers read at ONE without tokens: only written values, and no node goes back.
    NodeSession,
}

impl ConsistencyModel {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ConsistencyModel::Register => "register",
            ConsistencyModel::CasRegister => "cas-register",
            ConsistencyModel::Set => "set",
            ConsistencyModel::Scan => "scan",
            ConsistencyModel::Drops => "drops",
            ConsistencyModel::Append => "append",
            ConsistencyModel::Search => "search",
            ConsistencyModel::Session => "session",
            ConsistencyModel::NodeSession => "node-session",
        }
    }
}

/// Judges a history.
///
/// # Errors
/// A history that is not well formed, or holds operations that the model does not know.
pub fn check(history: &History, model: ConsistencyModel, limits: CheckLimits) -> Result<HistoryVerdict> {
    let ops = pair(history)?.ops;
    match model {
        ConsistencyModel::Register => register::check(&ops, false, limits),
        ConsistencyModel::CasRegister => register::check(&ops, true, limits),
        ConsistencyModel::Set => set::check(&ops),
        ConsistencyModel::Scan => scan::check(&ops),
        ConsistencyModel::Drops => drops::check(&ops),
        ConsistencyModel::Append => elle::check(&ops),
        ConsistencyModel::Search => search::check(&ops, limits),
        ConsistencyModel::Session => session::check(&ops, session::Promise::default()),
        ConsistencyModel::NodeSession => {
            session::check(&ops, session::Promise { per_node: true, read_your_writes: false })
        }
    }
}

/// How long lies between two moments, for people; empty where the history has no times.
pub(crate) fn gap(earlier: Option<i64>, later: Option<i64>) -> String {
    let (Some(earlier), Some(later)) = (earlier, later) else { return String::new() };
    let nanos = (later - earlier).max(0) as f64;
    if nanos >= 1e9 {
        format!("{:.2} s ", nanos / 1e9)
    } else if nanos >= 1e6 {
        format!("{:.0} ms ", nanos / 1e6)
    } else {
        format!("{:.0} µs ", nanos / 1e3)
    }
}

/// ` at ALL`, where an operation says its level, and ` on node1` where it says its node.
pub(crate) fn circumstances(op: &HistoryOperation) -> String {
    let level = op.get("level").and_then(|level| level.name()).map(|level| format!(" at {}", level.to_uppercase()));
    let node = op.get("node").and_then(|node| node.name()).map(|node| format!(" on {node}"));
    format!("{}{}", level.unwrap_or_default(), node.unwrap_or_default())
}

/// The positions of the events of an operation.
pub(crate) fn events_of<'a>(ops: impl IntoIterator<Item = &'a HistoryOperation>) -> Vec<usize> {
    let mut events: Vec<usize> = ops.into_iter().flat_map(|op| [Some(op.events.0), op.events.1]).flatten().collect();
    events.sort_unstable();
    events.dedup();
    events
}
