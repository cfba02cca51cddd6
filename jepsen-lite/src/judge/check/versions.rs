//! Versions of a register's writes: they order them more finely than time does.
//!
//! A write may be acknowledged with a `:version`, and a read may say the one that it was shown. The value of an acknowledged
//! write is shown with that write's version, for a write is applied once. And a read is shown no version below that of a write
//! that was acknowledged before the read began. An operation without a version is not judged here. O(n log n). Pure.

use std::collections::HashMap;

use super::register::operation::{NIL, RegisterOperation, Value};
use super::wgl::TimedOperation;
use super::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::HistoryOperation;

/// A write that was acknowledged with a version.
struct VersionedWrite<'a> {
    op: &'a HistoryOperation,
    value: Value,
    version: i64,
}

/// Judges the operations on one register of `ops`; `values` are the texts of the values.
pub fn check(
    ops: &[HistoryOperation],
    key: &str,
    timed: &[TimedOperation<RegisterOperation>],
    values: &[String],
) -> HistoryVerdict {
    let mut writes: Vec<VersionedWrite> = timed.iter().filter_map(|timed| versioned_write(ops, timed)).collect();
    writes.sort_by_key(|write| write.op.ret);
    // How many acknowledged a value: of a value that was written twice nobody knows which version is shown.
    let mut by_value: HashMap<Value, Vec<usize>> = HashMap::new();
    // For each write, which of it and those before it has the highest version.
    let mut highest: Vec<usize> = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        by_value.entry(write.value).or_default().push(index);
        let before = highest.last().copied().filter(|before| writes[*before].version > write.version);
        highest.push(before.unwrap_or(index));
    }

    let prefix = if key == "nil" { String::new() } else { format!("key {key}: ") };
    for timed in timed {
        let read = &ops[timed.source];
        let (RegisterOperation::Read(Some(value)), Some(shown)) = (timed.op, version(read)) else { continue };
        if value == NIL {
            continue;
        }
        let text = &values[value as usize];
        let told = format!("{prefix}process {} read {text} with version {shown}{}", read.process, circumstances(read));
        if let Some([only]) = by_value.get(&value).map(Vec::as_slice)
            && writes[*only].version != shown
        {
            let cause = format!("{told}, which was acknowledged as version {}", writes[*only].version);
            return HistoryVerdict::illegal("other version", cause, events_of([writes[*only].op, read]));
        }
        let past = writes.partition_point(|write| write.op.ret < timed.call);
        let newest = past.checked_sub(1).map(|last| &writes[highest[last]]);
        if let Some(newest) = newest.filter(|newest| newest.version > shown) {
            let (other, ago) = (&values[newest.value as usize], gap(newest.op.returned_at, read.called_at));
            let cause =
                format!("{told} although {other} was acknowledged as version {} {ago}before it began", newest.version);
            return HistoryVerdict::illegal("stale read", cause, events_of([newest.op, read]));
        }
    }
    HistoryVerdict::Ok
}

fn version(op: &HistoryOperation) -> Option<i64> {
    op.get("version").and_then(Edn::int)
}

/// A delete is none: what it removed has no version any more, and the index that it tells may be that of a repeated request.
fn versioned_write<'a>(
    ops: &'a [HistoryOperation],
    timed: &TimedOperation<RegisterOperation>,
) -> Option<VersionedWrite<'a>> {
    let op = &ops[timed.source];
    let value = match timed.op {
        RegisterOperation::Write(value) | RegisterOperation::Cas { to: value, done: Some(true), .. } => value,
        _ => return None,
    };
    (value != NIL && op.ok()).then(|| Some(VersionedWrite { op, value, version: version(op)? })).flatten()
}
