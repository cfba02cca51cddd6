//! What reads at ONE promise: only values that were written, and no session that goes back.
//!
//! A session is one process, or one node ([`Promise::per_node`]). The order of a key's values is that of the `:version` of
//! their writes and reads where they say one, else that of the writes in time where these do not overlap; where neither
//! is to be had the verdict is *unknown*. Operations are those of [`super::register`]. Pure.
//!
//! A read that shows nothing may say as its version how far the state was that it looked at, at least. A session that knew
//! of a value may be shown nothing only where a deletion may have come after that value; and a session that was shown
//! nothing is shown no value again that is older than the state which had none.

use std::collections::HashMap;

use anyhow::Result;

use super::register::{NIL, RegisterOperation, Registers, Value};
use super::wgl::TimedOperation;
use super::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

/// What is promised.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// A session is all that one node answers, not what one process asks.
    pub per_node: bool,
    /// A process also sees its own acknowledged writes (it passes the write's token).
    pub read_your_writes: bool,
}

impl Default for Promise {
    fn default() -> Self {
        Self { per_node: false, read_your_writes: true }
    }
}

struct SessionChecker<'a> {
    ops: &'a [HistoryOperation],
    key: &'a str,
    timed: &'a [TimedOperation<RegisterOperation>],
    values: &'a [String],
    order: HashMap<Value, i64>,
    promise: Promise,
}

/// Judges the sessions of a history.
///
/// # Errors
/// Operations that are not a register's.
pub fn check(ops: &[HistoryOperation], promise: Promise) -> Result<HistoryVerdict> {
    let registers = Registers::new(ops, true)?;
    let mut verdict = HistoryVerdict::Ok;
    for (key, timed) in &registers.keys {
        let mut judge = SessionChecker { ops, key, timed, values: &registers.values, order: HashMap::new(), promise };
        verdict = verdict.and(|| judge.written_only().unwrap_or_else(|| judge.sessions()));
    }
    Ok(verdict)
}

fn version(op: &HistoryOperation) -> Option<i64> {
    op.get("version").and_then(Edn::int)
}

fn sets(timed: &TimedOperation<RegisterOperation>) -> Option<Value> {
    match timed.op {
        RegisterOperation::Write(value) | RegisterOperation::Cas { to: value, done: Some(true) | None, .. } => {
            Some(value)
        }
        _ => None,
    }
}

fn shows(timed: &TimedOperation<RegisterOperation>) -> Option<Value> {
    if let RegisterOperation::Read(value) = timed.op { value } else { None }
}

impl<'a> SessionChecker<'a> {
    fn op(&self, timed: &TimedOperation<RegisterOperation>) -> &'a HistoryOperation {
        &self.ops[timed.source]
    }

    fn text(&self, timed: &TimedOperation<RegisterOperation>, value: Value) -> String {
        let prefix = if self.key == "nil" { String::new() } else { format!("key {}: ", self.key) };
        let op = self.op(timed);
        format!("{prefix}process {} read {}{}", op.process, self.values[value as usize], circumstances(op))
    }

    /// A read that shows what nobody had begun to write.
    fn written_only(&self) -> Option<HistoryVerdict> {
        // The first call that could have written each value; nothing is there from the beginning.
        let mut first: HashMap<Value, u64> = HashMap::from([(NIL, 0)]);
        for timed in self.timed {
            if let Some(value) = sets(timed) {
                first.entry(value).and_modify(|call| *call = timed.call.min(*call)).or_insert(timed.call);
            }
        }
        let wrong = |timed: &&TimedOperation<RegisterOperation>| {
            shows(timed).is_some_and(|value| first.get(&value).is_none_or(|call| timed.ret < *call))
        };
        let read = self.timed.iter().find(wrong)?;
        let cause = format!("{}, which nobody had begun to write", self.text(read, shows(read)?));
        Some(HistoryVerdict::illegal("unwritten value", cause, events_of([self.op(read)])))
    }

    /// The place of each value in the key's order. A value that was written twice has none of its own; where the history
    /// says versions, what showed it does.
    fn learn_order(&mut self) -> Result<(), String> {
        let writes: Vec<_> = self.timed.iter().filter(|timed| sets(timed).is_some()).collect();
        let times = |value: Value| writes.iter().filter(|timed| sets(timed) == Some(value)).count();
        let twice = writes.iter().filter_map(|timed| sets(timed)).find(|value| *value == NIL || times(*value) > 1);
        if twice != Some(NIL) {
            self.order.insert(NIL, -1);
        }
        if writes.iter().any(|timed| version(self.op(timed)).is_some()) {
            // What was written with unknown outcome has its version from who read it.
            for timed in self.timed {
                if let (Some(value), Some(version)) = (sets(timed).or(shows(timed)), version(self.op(timed)))
                    && value != NIL
                    && times(value) == 1
                {
                    self.order.insert(value, version);
                }
            }
            return Ok(());
        }
        if twice.is_some() {
            return Err(format!("key {}: a value is written twice, so what a read shows has no one place", self.key));
        }
        if let Some(pair) = writes.windows(2).find(|pair| pair[1].call < pair[0].ret) {
            let (one, other) = (self.op(pair[0]).events.0, self.op(pair[1]).events.0);
            return Err(format!(
                "key {}: the writes of events {one} and {other} overlap and say no version, so their order is not known",
                self.key
            ));
        }
        for (place, timed) in writes.iter().enumerate() {
            self.order.extend(sets(timed).map(|value| (value, place as i64)));
        }
        Ok(())
    }

    /// What sessions know something by: what they have read, and with that promise what they have written themselves.
    fn counting(&self) -> impl Iterator<Item = &'a TimedOperation<RegisterOperation>> {
        let own = |timed: &TimedOperation<RegisterOperation>| {
            self.promise.read_your_writes && sets(timed).is_some() && self.op(timed).ok()
        };
        self.timed.iter().filter(move |timed| shows(timed).is_some() || own(timed))
    }

    fn sessions(&mut self) -> HistoryVerdict {
        // Where all that counts says its version, it does not matter that a deletion has none.
        let needs_order = self.counting().any(|timed| version(self.op(timed)).is_none());
        if needs_order && let Err(why) = self.learn_order() {
            return HistoryVerdict::Unknown(why);
        }
        let mut sessions: HashMap<String, Vec<&TimedOperation<RegisterOperation>>> = HashMap::new();
        for timed in self.counting() {
            let op = self.op(timed);
            let node = op.get("node").map(Edn::to_string);
            let session = if self.promise.per_node { node } else { Some(op.process.to_string()) };
            let Some(session) = session else {
                return HistoryVerdict::Unknown(format!("event {} does not say which node answered", op.events.0));
            };
            sessions.entry(session).or_default().push(timed);
        }
        let mut sessions: Vec<_> = sessions.into_iter().collect();
        sessions.sort_by(|left, right| left.0.cmp(&right.0));
        sessions.iter().fold(HistoryVerdict::Ok, |verdict, (_, timed)| verdict.and(|| self.one_session(timed)))
    }

    /// Every read is at least as new as all that the session knew when it began.
    fn one_session(&self, session: &[&TimedOperation<RegisterOperation>]) -> HistoryVerdict {
        let known: Vec<(&TimedOperation<RegisterOperation>, Value)> =
            session.iter().filter_map(|timed| Some((*timed, shows(timed).or(sets(timed))?))).collect();
        let mut by_end: Vec<_> = known.iter().collect();
        by_end.sort_by_key(|(timed, _)| timed.ret);
        let (mut newest, mut next) = (None::<(i64, &TimedOperation<RegisterOperation>, Value)>, 0);
        for (read, value) in &known {
            while next < by_end.len() && by_end[next].0.ret < read.call {
                let (timed, value) = by_end[next];
                let Some(place) = self.place(timed, *value) else { return self.placeless(timed, *value) };
                if newest.is_none_or(|(newest, ..)| newest < place) {
                    newest = Some((place, timed, *value));
                }
                next += 1;
            }
            if shows(read).is_none() {
                continue;
            }
            let Some(place) = self.place(read, *value) else { return self.placeless(read, *value) };
            if let Some((newest, before, newer)) = newest {
                // What says how far its state was at least may have looked at a newer one.
                let is_bound = *value == NIL && version(self.op(read)).is_some();
                let back = if is_bound { newer != NIL && !self.may_be_deleted(read, newest) } else { place < newest };
                if back {
                    return self.went_back(read, *value, before, newer);
                }
            }
        }
        HistoryVerdict::Ok
    }

    /// Whether a deletion that had begun before `read` ended may have come after the version `since`.
    fn may_be_deleted(&self, read: &TimedOperation<RegisterOperation>, since: i64) -> bool {
        let deletes =
            self.timed.iter().filter(|timed| timed.op == RegisterOperation::Write(NIL) && timed.call < read.ret);
        deletes.into_iter().any(|timed| version(self.op(timed)).is_none_or(|version| version > since))
    }

    fn place(&self, timed: &TimedOperation<RegisterOperation>, value: Value) -> Option<i64> {
        version(self.op(timed)).or_else(|| self.order.get(&value).copied())
    }

    fn placeless(&self, timed: &TimedOperation<RegisterOperation>, value: Value) -> HistoryVerdict {
        HistoryVerdict::Unknown(format!("{}, whose version nobody says", self.text(timed, value)))
    }

    fn went_back(
        &self,
        read: &TimedOperation<RegisterOperation>,
        value: Value,
        before: &TimedOperation<RegisterOperation>,
        newer: Value,
    ) -> HistoryVerdict {
        let who = if self.promise.per_node { "that node had shown" } else { "it had read" };
        let (class, how) =
            if shows(before).is_some() { ("went back", who) } else { ("own write unseen", "it had written") };
        let ago = gap(self.op(before).returned_at, self.op(read).called_at);
        let cause = format!("{} although {how} {} {ago}before", self.text(read, value), self.values[newer as usize]);
        HistoryVerdict::illegal(class, cause, events_of([self.op(before), self.op(read)]))
    }
}
