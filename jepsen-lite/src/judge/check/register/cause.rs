//! The cause of an illegal register in one sentence.
//!
//! Tried in order: a value that nobody wrote, one read before it was written, one read although another was acknowledged
//! (or already read) after it, one that came back; and where none of these is to be found, how far the longest
//! explanation went. Each of the first is a proof by itself. Pure.

use super::{Action, NIL, Register, Value, prune};
use crate::judge::check::wgl::{Found, Timed, search};
use crate::judge::check::zones::{Conflict, applies, conflict};
use crate::judge::check::{Limits, Verdict, circumstances, events_of, gap};
use crate::judge::history::ops::{NEVER, Operation};

/// Above this many operations on one key the proofs by pairs are not looked for.
const PAIRS: usize = 5_000;

/// The operations on one register, and what their numbers stand for.
pub struct Case<'a> {
    ops: &'a [Operation],
    prefix: String,
    timed: &'a [Timed<Action>],
    values: &'a [String],
}

impl<'a> Case<'a> {
    /// The operations on one key of a history.
    pub fn new(ops: &'a [Operation], key: &str, timed: &'a [Timed<Action>], values: &'a [String]) -> Self {
        let prefix = if key == "nil" { String::new() } else { format!("key {key}: ") };
        Self { ops, prefix, timed, values }
    }

    /// Says why these operations, which are illegal, are.
    pub fn explain(&self, limits: Limits) -> Verdict {
        self.of_one_read().or_else(|| self.of_zones()).unwrap_or_else(|| self.of_search(limits))
    }
}

fn written(op: &Timed<Action>) -> Option<Value> {
    match op.op {
        Action::Write(value) | Action::Cas { to: value, done: Some(true) | None, .. } => Some(value),
        _ => None,
    }
}

impl Case<'_> {
    fn op(&self, timed: &Timed<Action>) -> &Operation {
        &self.ops[timed.source]
    }

    fn name(&self, value: Value) -> &str {
        self.values.get(value as usize).map_or("a value that nobody read", String::as_str)
    }

    fn read(&self, read: &Timed<Action>, value: Value) -> String {
        let op = self.op(read);
        let verb = if matches!(read.op, Action::Cas { .. }) { "compared with" } else { "read" };
        format!("{}process {} {verb} {}{}", self.prefix, op.process, self.name(value), circumstances(op))
    }

    fn illegal(&self, class: &str, cause: String, timed: &[&Timed<Action>]) -> Option<Verdict> {
        Some(Verdict::illegal(class, cause, events_of(timed.iter().map(|timed| self.op(timed)))))
    }

    /// One read (or comparison) that no order can place: a proof by pairs of operations, without a search.
    pub fn of_one_read(&self) -> Option<Verdict> {
        if self.timed.len() > PAIRS {
            return None;
        }
        self.timed.iter().find_map(|read| {
            let value = match read.op {
                Action::Read(Some(value)) | Action::Cas { from: value, done: Some(true), .. } => value,
                _ => return None,
            };
            let writers: Vec<_> = self.timed.iter().filter(|op| written(op) == Some(value)).collect();
            self.unwritten(read, value, &writers).or_else(|| self.stale(read, value, &writers))
        })
    }

    fn unwritten(&self, read: &Timed<Action>, value: Value, writers: &[&Timed<Action>]) -> Option<Verdict> {
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
    fn stale(&self, read: &Timed<Action>, value: Value, writers: &[&Timed<Action>]) -> Option<Verdict> {
        let past = |op: &&Timed<Action>| op.ret < read.call;
        let newest = |after: u64| {
            let wrote = |op: &&Timed<Action>| written(op).is_some_and(|other| other != value) && done(op);
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
        let shown = |op: &&Timed<Action>| match op.op {
            Action::Read(Some(other)) if other != value && other != NIL => {
                self.timed.iter().filter(|writer| written(writer) == Some(other)).all(|writer| writer.call > last_end)
            }
            _ => false,
        };
        let newer = self.timed.iter().filter(past).filter(shown).max_by_key(|op| op.ret)?;
        self.superseded(read, value, newer, "was read")
    }

    fn superseded(&self, read: &Timed<Action>, value: Value, newer: &Timed<Action>, how: &str) -> Option<Verdict> {
        let other = match newer.op {
            Action::Read(Some(other)) => other,
            _ => written(newer)?,
        };
        let ago = gap(self.op(newer).returned_at, self.op(read).called_at);
        let (what, other) = match other {
            NIL => ("a delete", String::new()),
            other => ("", self.name(other).to_owned()),
        };
        let cause = format!("{} although {what}{other} {how} {ago}before it began", self.read(read, value));
        let mut shown: Vec<&Timed<Action>> = vec![read, newer];
        shown.extend(self.timed.iter().filter(|op| written(op) == Some(value)));
        self.illegal("stale read", cause, &shown)
    }

    fn of_zones(&self) -> Option<Verdict> {
        if !applies(self.timed) {
            return None;
        }
        let touching = |values: [Value; 2]| -> Vec<&Timed<Action>> {
            let touches = |op: &&Timed<Action>| match op.op {
                Action::Read(Some(value)) | Action::Write(value) => values.contains(&value),
                _ => false,
            };
            self.timed.iter().filter(touches).collect()
        };
        match conflict(self.timed)? {
            Conflict::Unwritten(read) | Conflict::Future(read) => {
                let read = &self.timed[read];
                let Action::Read(Some(value)) = read.op else { return None };
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

    fn of_search(&self, limits: Limits) -> Verdict {
        let timed = prune(self.timed);
        let Found::Stuck { longest, state, blocked } = search(&Register, &timed, limits) else {
            return Verdict::Unknown(format!("{}illegal, and the search for a cause ran out", self.prefix));
        };
        let (source, holds) = (timed[blocked].source, self.name(state));
        // As it was, and not as it was made smaller.
        let blocked = self.timed.iter().find(|timed| timed.source == source).unwrap_or(&timed[blocked]);
        let did = match blocked.op {
            Action::Read(value) => format!("read {}", self.name(value.unwrap_or(NIL))),
            Action::Write(value) => format!("wrote {}", self.name(value)),
            Action::Cas { from, to, done: Some(false) } => {
                format!("found no {} to set {}", self.name(from), self.name(to))
            }
            Action::Cas { from, to, .. } => format!("set {} to {}", self.name(from), self.name(to)),
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
        Verdict::illegal("non-linearizable", cause, events_of([op]))
    }
}

/// Whether it certainly took effect by its end.
fn done(op: &Timed<Action>) -> bool {
    op.ret != NEVER && !matches!(op.op, Action::Cas { done: None | Some(false), .. })
}
