//! The cause of an illegal register in one sentence.
//!
//! Tried in order: a value that nobody wrote, one read before it was written, one read although another was acknowledged
//! (or already read) after it, one that came back; and where none of these is to be found, how far the longest
//! explanation went. Each of the first is a proof by itself. Pure.

use std::collections::HashMap;

use super::{NIL, Register, RegisterOperation, Value, prune};
use crate::judge::check::wgl::{LinearizationResult, TimedOperation, search};
use crate::judge::check::zones::{Conflict, applies, conflict};
use crate::judge::check::{CheckLimits, HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::ops::{HistoryOperation, NEVER};

/// Above this many operations on one key the proofs by pairs are not looked for.
const PAIRS: usize = 5_000;

/// The operations on one register, and what their numbers stand for.
pub struct Case<'a> {
    ops: &'a [HistoryOperation],
    prefix: String,
    timed: &'a [TimedOperation<RegisterOperation>],
    values: &'a [String],
    /// When each value was first asked to be written.
    first_calls: HashMap<Value, u64>,
}

impl<'a> Case<'a> {
    /// The operations on one key of a history.
    pub fn new(
        ops: &'a [HistoryOperation],
        key: &str,
        timed: &'a [TimedOperation<RegisterOperation>],
        values: &'a [String],
    ) -> Self {
        let prefix = if key == "nil" { String::new() } else { format!("key {key}: ") };
        let mut first_calls = HashMap::new();
        for op in timed {
            if let Some(value) = written(op) {
                // They are sorted by call.
                first_calls.entry(value).or_insert(op.call);
            }
        }
        Self { ops, prefix, timed, values, first_calls }
    }

    /// Says why these operations, which are illegal, are.
    pub fn explain(&self, limits: CheckLimits) -> HistoryVerdict {
        self.of_one_read().or_else(|| self.of_zones()).unwrap_or_else(|| self.of_search(limits))
    }
}

fn written(op: &TimedOperation<RegisterOperation>) -> Option<Value> {
    match op.op {
        RegisterOperation::Write(value) | RegisterOperation::Cas { to: value, done: Some(true) | None, .. } => {
            Some(value)
        }
        _ => None,
    }
}

impl Case<'_> {
    fn op(&self, timed: &TimedOperation<RegisterOperation>) -> &HistoryOperation {
        &self.ops[timed.source]
    }

    fn name(&self, value: Value) -> &str {
        self.values.get(value as usize).map_or("a value that nobody read", String::as_str)
    }

    fn read(&self, read: &TimedOperation<RegisterOperation>, value: Value) -> String {
        let op = self.op(read);
        let verb = if matches!(read.op, RegisterOperation::Cas { .. }) { "compared with" } else { "read" };
        format!("{}process {} {verb} {}{}", self.prefix, op.process, self.name(value), circumstances(op))
    }

    fn illegal(
        &self,
        class: &str,
        cause: String,
        timed: &[&TimedOperation<RegisterOperation>],
    ) -> Option<HistoryVerdict> {
        Some(HistoryVerdict::illegal(class, cause, events_of(timed.iter().map(|timed| self.op(timed)))))
    }

    /// One read (or comparison) that no order can place: a proof by pairs of operations, without a search.
    pub fn of_one_read(&self) -> Option<HistoryVerdict> {
        if self.timed.len() > PAIRS {
            return None;
        }
        self.timed.iter().find_map(|read| {
            let value = match read.op {
                RegisterOperation::Read(Some(value)) | RegisterOperation::Cas { from: value, done: Some(true), .. } => {
                    value
                }
                _ => return None,
            };
            // Who can have written it: nobody, or only writes that are over.
            let writers: Vec<_> = self.timed.iter().filter(|op| written(op) == Some(value)).collect();
            self.unwritten(read, value, &writers).or_else(|| self.stale(read, value, &writers))
        })
    }

    fn unwritten(
        &self,
        read: &TimedOperation<RegisterOperation>,
        value: Value,
        writers: &[&TimedOperation<RegisterOperation>],
    ) -> Option<HistoryVerdict> {
        // A comparison that sets the value it compares with did not write it for itself.
        let first = writers.iter().filter(|writer| writer.source != read.source).min_by_key(|writer| writer.call);
        match first {
            _ if value == NIL => None,
            None => {
                let cause = format!("{}, which nobody wrote", self.read(read, value));
                self.illegal("unwritten value", cause, &[read])
            }
            Some(first) if read.ret < first.call => {
                let before = gap(self.op(read).returned_at, self.op(first).called_at);
                let cause = format!("{}, and its first write began only {before}later", self.read(read, value));
                self.illegal("future read", cause, &[read, first])
            }
            Some(_) => None,
        }
    }

    /// Every write of the value is followed by another value that was acknowledged, or read, before the read began.
    fn stale(
        &self,
        read: &TimedOperation<RegisterOperation>,
        value: Value,
        writers: &[&TimedOperation<RegisterOperation>],
    ) -> Option<HistoryVerdict> {
        let past = |op: &&TimedOperation<RegisterOperation>| op.ret < read.call;
        let newest = |after: u64| {
            let wrote =
                |op: &&TimedOperation<RegisterOperation>| written(op).is_some_and(|other| other != value) && done(op);
            self.timed.iter().filter(past).filter(wrote).filter(|op| op.call > after).max_by_key(|op| op.ret)
        };
        let last_end = writers.iter().map(|writer| writer.ret).max();
        let last_end = if value == NIL { last_end.max(Some(0)) } else { last_end }?;
        if last_end == NEVER {
            return None;
        }
        if let Some(newer) = newest(last_end) {
            return self.superseded(read, value, newer, "was acknowledged");
        }
        // A read of a value all of whose writes came later is as good as an acknowledgement.
        let shown = |op: &&TimedOperation<RegisterOperation>| match op.op {
            RegisterOperation::Read(Some(other)) if other != value && other != NIL => {
                self.first_calls.get(&other).is_none_or(|call| *call > last_end)
            }
            _ => false,
        };
        let newer = self.timed.iter().filter(past).filter(shown).max_by_key(|op| op.ret)?;
        self.superseded(read, value, newer, "was read")
    }

    fn superseded(
        &self,
        read: &TimedOperation<RegisterOperation>,
        value: Value,
        newer: &TimedOperation<RegisterOperation>,
        how: &str,
    ) -> Option<HistoryVerdict> {
        let other = match newer.op {
            RegisterOperation::Read(Some(other)) => other,
            _ => written(newer)?,
        };
        let ago = gap(self.op(newer).returned_at, self.op(read).called_at);
        // A delete is told as what it is, and not as the nothing that it leaves.
        let (what, other) = match other {
            NIL => ("a delete", String::new()),
            other => ("", self.name(other).to_owned()),
        };
        let cause = format!("{} although {what}{other} {how} {ago}before it began", self.read(read, value));
        let mut shown: Vec<&TimedOperation<RegisterOperation>> = vec![read, newer];
        shown.extend(self.timed.iter().filter(|op| written(op) == Some(value)));
        self.illegal("stale read", cause, &shown)
    }

    fn of_zones(&self) -> Option<HistoryVerdict> {
        if !applies(self.timed) {
            return None;
        }
        // The operations that read or wrote either value.
        let touching = |values: [Value; 2]| -> Vec<&TimedOperation<RegisterOperation>> {
            let touches = |op: &&TimedOperation<RegisterOperation>| match op.op {
                RegisterOperation::Read(Some(value)) | RegisterOperation::Write(value) => values.contains(&value),
                _ => false,
            };
            self.timed.iter().filter(touches).collect()
        };
        match conflict(self.timed)? {
            Conflict::Unwritten(read) | Conflict::Future(read) => {
                let read = &self.timed[read];
                let RegisterOperation::Read(Some(value)) = read.op else { return None };
                let cause = format!("{}, which nobody had begun to write", self.read(read, value));
                self.illegal("unwritten value", cause, &[read])
            }
            Conflict::Both(one, other) => {
                let (one_name, other_name) = (self.name(one), self.name(other));
                let cause = format!(
                    "{}each of {one_name} and {other_name} was read both before and after the other",
                    self.prefix
                );
                self.illegal("non-linearizable", cause, &touching([one, other]))
            }
            Conflict::Inside(outer, inner) => {
                let (outer_name, inner_name) = (self.name(outer), self.name(inner));
                let cause = format!("{}{outer_name} was there both before and after {inner_name} was", self.prefix);
                self.illegal("non-linearizable", cause, &touching([outer, inner]))
            }
        }
    }

    fn of_search(&self, limits: CheckLimits) -> HistoryVerdict {
        let timed = prune(self.timed);
        let LinearizationResult::Stuck { longest, state, blocked } = search(&Register, &timed, limits) else {
            return HistoryVerdict::Unknown(format!("{}illegal, and the search for a cause ran out", self.prefix));
        };
        let (source, holds) = (timed[blocked].source, self.name(state));
        // As it was, and not as it was made smaller.
        let blocked = self.timed.iter().find(|timed| timed.source == source).unwrap_or(&timed[blocked]);
        let did = match blocked.op {
            RegisterOperation::Read(value) => format!("read {}", self.name(value.unwrap_or(NIL))),
            RegisterOperation::Write(value) => format!("wrote {}", self.name(value)),
            RegisterOperation::Cas { from, to, done: Some(false) } => {
                format!("found no {} to set {}", self.name(from), self.name(to))
            }
            RegisterOperation::Cas { from, to, .. } => format!("set {} to {}", self.name(from), self.name(to)),
        };
        let op = self.op(blocked);
        let cause = format!(
            "{}no order explains it: after the longest explanation ({} of {} operations) the register holds {holds}, but process {} {did}{}",
            self.prefix,
            longest.len(),
            timed.len(),
            op.process,
            circumstances(op),
        );
        HistoryVerdict::illegal("non-linearizable", cause, events_of([op]))
    }
}

/// Whether it certainly took effect by its end.
fn done(op: &TimedOperation<RegisterOperation>) -> bool {
    op.ret != NEVER && !matches!(op.op, RegisterOperation::Cas { done: None | Some(false), .. })
}
