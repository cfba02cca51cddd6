//! Registers of unique values, decided without search (Gibbons and Korach, *Testing shared memories*, 1997).
//!
//! A value's *cluster* is its write and the reads of it. Its zone lies between the earliest end and the latest call in the
//! cluster: *forward* if that end is before that call (the register must hold the value all that time), else *backward*. A
//! history is linearizable if and only if no read ends before its write is called, no two forward zones overlap and no
//! backward zone lies inside a forward one. O(n log n). Pure.

use std::collections::HashMap;

use super::register::operation::{NIL, RegisterOperation, Value};
use super::wgl::TimedOperation;
use crate::judge::history::ops::NEVER;

/// Why no order exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A read shows a value that nobody wrote.
    Unwritten(usize),
    /// A read ends before the write of its value is called.
    Future(usize),
    /// The register must hold both values at one time.
    Both(Value, Value),
    /// All that touches the second value lies within the time in which the register must hold the first.
    Inside(Value, Value),
}

/// Whether the zones decide these operations: every write has a value of its own, and nothing is compared.
pub fn applies(ops: &[TimedOperation<RegisterOperation>]) -> bool {
    let mut written = std::collections::HashSet::new();
    ops.iter().all(|timed| match timed.op {
        RegisterOperation::Write(value) => value != NIL && written.insert(value),
        RegisterOperation::Read(_) => true,
        RegisterOperation::Cas { .. } => false,
    })
}

struct ValueCluster {
    value: Value,
    written: bool,
    call: u64,
    first_end: u64,
    last_call: u64,
    early_read: Option<(u64, usize)>,
}

/// The first conflict found, if there is one. The operations must be such that [`applies`].
pub fn conflict(ops: &[TimedOperation<RegisterOperation>]) -> Option<Conflict> {
    let mut numbers: HashMap<Value, usize> = HashMap::with_capacity(ops.len() / 2);
    let mut clusters: Vec<ValueCluster> = Vec::new();
    let mut cluster = |value: Value| -> usize {
        *numbers.entry(value).or_insert_with(|| {
            let written = value == NIL;
            // What the register holds at first was written before everything.
            let end = if written { 0 } else { NEVER };
            clusters.push(ValueCluster { value, written, call: 0, first_end: end, last_call: 0, early_read: None });
            clusters.len() - 1
        })
    };
    let touched: Vec<usize> = ops
        .iter()
        .map(|timed| match timed.op {
            RegisterOperation::Write(value) | RegisterOperation::Read(Some(value)) => cluster(value),
            _ => usize::MAX,
        })
        .collect();
    for (index, timed) in ops.iter().enumerate().filter(|(index, _)| touched[*index] != usize::MAX) {
        let cluster = &mut clusters[touched[index]];
        if let RegisterOperation::Write(_) = timed.op {
            (cluster.written, cluster.call) = (true, timed.call);
        } else if cluster.early_read.is_none_or(|(end, _)| timed.ret < end) {
            cluster.early_read = Some((timed.ret, index));
        }
        cluster.first_end = cluster.first_end.min(timed.ret);
        cluster.last_call = cluster.last_call.max(timed.call);
    }
    // A write that nobody knows the end of and nobody read may never have been.
    clusters.retain(|cluster| cluster.early_read.is_some() || cluster.first_end != NEVER || cluster.value == NIL);
    let misread = clusters.iter().find_map(|cluster| {
        let (end, read) = cluster.early_read?;
        if !cluster.written {
            Some(Conflict::Unwritten(read))
        } else {
            (end < cluster.call).then_some(Conflict::Future(read))
        }
    });
    misread.or_else(|| overlap(&clusters))
}

fn overlap(clusters: &[ValueCluster]) -> Option<Conflict> {
    // The initial value's zone is forward from the beginning of time even where nobody read it: nothing can lie before.
    let mut forward: Vec<(u64, u64, Value)> = clusters
        .iter()
        .filter(|cluster| cluster.first_end < cluster.last_call)
        .map(|cluster| (cluster.first_end, cluster.last_call, cluster.value))
        .collect();
    forward.sort_unstable();
    if let Some(pair) = forward.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        return Some(Conflict::Both(pair[0].2, pair[1].2));
    }
    clusters.iter().filter(|cluster| cluster.first_end >= cluster.last_call).find_map(|cluster| {
        let before = forward.partition_point(|(start, ..)| *start <= cluster.last_call);
        let (_, end, value) = *forward.get(before.checked_sub(1)?)?;
        (cluster.first_end < end).then_some(Conflict::Inside(value, cluster.value))
    })
}
