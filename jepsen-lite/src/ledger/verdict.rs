//! The rule that judges one read of one key. Pure: no clock, no I/O.

use super::report::{Problem, Trouble};
use super::{Fate, LedgerOperation, LedgerState, ShownPoint, WriteKind};

/// Judges what a read of `key` that took the moments `window` showed.
pub(super) fn judge(
    state: &LedgerState,
    size: usize,
    key: u64,
    window: (u64, u64),
    seen: Option<&ShownPoint>,
) -> Option<Problem> {
    let (started, ended) = window;
    let empty = Vec::new();
    let ops: Vec<&LedgerOperation> =
        state.by_key.get(&key).unwrap_or(&empty).iter().map(|index| &state.ops[*index]).collect();
    // The acknowledged operation, over before the read began, that was asked for last: whatever was over before *it*
    // was asked for is gone.
    let over = |op: &&&LedgerOperation| op.acknowledged() && op.finished.is_some_and(|finished| finished < started);
    let barrier = ops.iter().filter(over).max_by_key(|op| op.invoked).copied();
    let current = |op: &LedgerOperation| barrier.is_none_or(|barrier| op.last_effect() >= barrier.invoked);
    let problem = |trouble| Some(Problem { key, trouble, window });

    let Some(seen) = seen else {
        let barrier = barrier?;
        let removed = |op: &&LedgerOperation| {
            op.kind == WriteKind::Delete && op.fate != Fate::Fail && op.invoked < ended && current(op)
        };
        return if ops.iter().any(removed) {
            None
        } else {
            problem(Trouble::Lost { write: barrier.clone(), shown: None })
        };
    };

    let origin = seen.write().and_then(|write| Some((write, &state.ops[*state.by_write.get(&write)?])));
    let Some((write, op)) = origin.filter(|(_, op)| op.key == key && op.invoked < ended) else {
        return problem(Trouble::Invented { payload: seen.payload.clone() });
    };
    if let Some(part) = seen.torn(key, write, size) {
        return problem(Trouble::HalfWritten { write, part });
    }
    if op.fate == Fate::Fail {
        return problem(Trouble::Refused { write: op.clone() });
    }
    if let Some(barrier) = barrier.filter(|_| !current(op)) {
        let (write, shown) = (barrier.clone(), Some(op.clone()));
        return problem(if barrier.kind == WriteKind::Delete {
            Trouble::Resurrected { delete: write, shown: op.clone() }
        } else {
            Trouble::Lost { write, shown }
        });
    }
    versions(&ops, op, started, seen).and_then(problem)
}

/// Versions order the writes of a key more finely than time does.
fn versions(ops: &[&LedgerOperation], op: &LedgerOperation, started: u64, seen: &ShownPoint) -> Option<Trouble> {
    let shown = seen.version?;
    if let Fate::Ok(Some(answered)) = op.fate
        && answered != shown
    {
        return Some(Trouble::OtherVersion { write: op.clone(), shown });
    }
    let later = |other: &&&LedgerOperation| {
        matches!(other.fate, Fate::Ok(Some(version)) if version > shown)
            && other.finished.is_some_and(|finished| finished < started)
    };
    let later = ops.iter().find(later)?;
    Some(match later.kind {
        WriteKind::Put(_) => Trouble::Lost { write: (*later).clone(), shown: Some(op.clone()) },
        WriteKind::Delete => Trouble::Resurrected { delete: (*later).clone(), shown: op.clone() },
    })
}
