//! Linearizable registers, key by key: the pass over [`super::zones`] where every write has a value of its own, else the
//! search of [`super::wgl`]; and [`super::versions`], where operations say them.
//!
//! Operations are `read`, `write` (or `upsert`), `delete` and `cas`, with `:value v`, or `:value [key v]` where a history
//! has several registers (`cas`: `[from to]`, `[key [from to]]`). A delete writes *nothing*, which is also what a register
//! holds at first. A failed operation did not happen; a failed `cas` with `:error :mismatch` saw another value. Pure.

mod cause;
pub mod operation;

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};

pub use operation::{NIL, Register, RegisterOperation, Value};

use super::wgl::{self, LinearizationResult, TimedOperation};
use super::{CheckLimits, HistoryVerdict, versions, zones};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::{HistoryOperation, NEVER};

/// Whether an order exists, for the operations on one register, sorted by call.
pub fn linearizable(ops: &[TimedOperation<RegisterOperation>], limits: CheckLimits) -> Option<bool> {
    if zones::applies(ops) {
        return Some(zones::conflict(ops).is_none());
    }
    match wgl::search(&Register, &prune(ops), limits) {
        LinearizationResult::Order(_) => Some(true),
        LinearizationResult::Stuck { .. } => Some(false),
        LinearizationResult::Limit => None,
    }
}

/// Any value that nobody read and nobody compared with.
pub const UNSEEN: Value = Value::MAX;

/// The same question with less to search. All values that nobody read or compared with become one: no operation can tell
/// them apart. And where no comparison failed or stayed unknown, writes of unknown end of such values are left out: they
/// may never have been, and nothing can stand between them and the next write.
pub fn prune(ops: &[TimedOperation<RegisterOperation>]) -> Vec<TimedOperation<RegisterOperation>> {
    // Which values make a difference: what was read, and what was compared with.
    let mut seen = HashSet::from([NIL]);
    let mut compared = false;
    for timed in ops {
        match timed.op {
            RegisterOperation::Read(value) => seen.extend(value),
            RegisterOperation::Write(_) => {}
            RegisterOperation::Cas { from, done, .. } => {
                seen.insert(from);
                compared = compared || done != Some(true);
            }
        }
    }
    // All others become one value.
    let merged = |value: Value| if seen.contains(&value) { value } else { UNSEEN };
    let smaller = |timed: &TimedOperation<RegisterOperation>| {
        let op = match timed.op {
            RegisterOperation::Read(value) => RegisterOperation::Read(value),
            RegisterOperation::Write(value) => RegisterOperation::Write(merged(value)),
            RegisterOperation::Cas { from, to, done } => RegisterOperation::Cas { from, to: merged(to), done },
        };
        // What may never have been, and changes nothing for the others, goes.
        let needless = timed.ret == NEVER
            && (op == RegisterOperation::Read(None) || (!compared && op == RegisterOperation::Write(UNSEEN)));
        (!needless).then(|| TimedOperation { op, ..timed.clone() })
    };
    ops.iter().filter_map(smaller).collect()
}

/// The operations of a history by key, and what their numbers stand for.
#[derive(Debug, Default)]
pub struct Registers {
    /// The operations on each key, by call.
    pub keys: BTreeMap<String, Vec<TimedOperation<RegisterOperation>>>,
    /// The text of each value.
    pub values: Vec<String>,
}

impl Registers {
    /// Takes a history apart.
    ///
    /// # Errors
    /// Operations that are not a register's.
    pub fn new(ops: &[HistoryOperation], with_cas: bool) -> Result<Self> {
        let keyed = is_keyed(ops);
        let mut registers = Self { keys: BTreeMap::new(), values: vec!["nothing".to_owned()] };
        // Equal values get one number, in the order in which they are met; nothing has its own.
        let mut numbers: HashMap<String, Value> = HashMap::new();
        for (source, op) in ops.iter().enumerate() {
            let mut number = |value: &Edn| -> Value {
                if value.is_nil() {
                    return NIL;
                }
                let next = registers.values.len() as Value;
                *numbers.entry(value.to_string()).or_insert_with_key(|text| {
                    registers.values.push(text.clone());
                    next
                })
            };
            // What is known of each operation: a failed one did not happen, but for a comparison that saw another
            // value.
            let told = |value| split(value, keyed).with_context(|| format!("event {}", op.events.0));
            let ((key, input), (_, output)) = (told(&op.input)?, told(&op.output)?);
            let action = match op.f.as_str() {
                "read" => op.ok().then(|| RegisterOperation::Read(Some(number(output)))),
                "write" | "upsert" => (op.outcome != Type::Fail).then(|| RegisterOperation::Write(number(input))),
                "delete" => (op.outcome != Type::Fail).then_some(RegisterOperation::Write(NIL)),
                "cas" => {
                    ensure!(with_cas, "event {}: a `cas`; its model is cas-register", op.events.0);
                    compared(op, input, &mut number)?
                }
                other => bail!("event {}: a register knows no `{other}`", op.events.0),
            };
            // A key of failed operations alone is a key, too.
            let timed = action.map(|action| TimedOperation { call: op.call, ret: op.ret, op: action, source });
            registers.keys.entry(key.to_string()).or_default().extend(timed);
        }
        Ok(registers)
    }
}

fn compared(
    op: &HistoryOperation,
    input: &Edn,
    number: &mut impl FnMut(&Edn) -> Value,
) -> Result<Option<RegisterOperation>> {
    let Some([from, to]) = input.items() else { bail!("event {}: a `cas` is of `[from to]`", op.events.0) };
    let mismatch = op.get("error").and_then(Edn::name) == Some("mismatch");
    let done = match op.outcome {
        Type::Ok => Some(true),
        Type::Fail if mismatch => Some(false),
        Type::Fail => return Ok(None),
        _ => None,
    };
    Ok(Some(RegisterOperation::Cas { from: number(from), to: number(to), done }))
}

/// Whether values are `[key value]`. What is written says so; a value of two items in a history of one register is only
/// possible where nothing else is written.
fn is_keyed(ops: &[HistoryOperation]) -> bool {
    let pair = |value: &Edn| value.items().is_some_and(|items| items.len() == 2);
    ops.iter().any(|op| match op.f.as_str() {
        "cas" => op.input.items().is_some_and(|items| items.len() == 2 && pair(&items[1])),
        _ => pair(&op.input),
    })
}

fn split(value: &Edn, keyed: bool) -> Result<(&Edn, &Edn)> {
    if !keyed {
        return Ok((&Edn::Nil, value));
    }
    match value.items() {
        Some([key, value]) => Ok((key, value)),
        _ => bail!("`{value}` is no `[key value]`, as the other values are"),
    }
}

/// Judges all registers of a history; the first illegal key is told.
///
/// # Errors
/// Operations that are not a register's.
pub fn check(ops: &[HistoryOperation], with_cas: bool, limits: CheckLimits) -> Result<HistoryVerdict> {
    let registers = Registers::new(ops, with_cas)?;
    let mut verdict = HistoryVerdict::Ok;
    for (key, timed) in &registers.keys {
        let case = cause::Case::new(ops, key, timed, &registers.values);
        // With many unknown outcomes the search may be long where a proof by two operations is short.
        let proof = || if zones::applies(timed) { None } else { case.of_one_read() };
        verdict = verdict.and(|| {
            proof().unwrap_or_else(|| match linearizable(timed, limits) {
                Some(true) => HistoryVerdict::Ok,
                Some(false) => case.explain(limits),
                None => {
                    let of = if key == "nil" { String::new() } else { format!(" on key {key}") };
                    HistoryVerdict::Unknown(format!(
                        "the {} operations{of} needed more than the search may cost",
                        timed.len()
                    ))
                }
            })
        });
        verdict = verdict.and(|| versions::check(ops, key, timed, &registers.values));
    }
    Ok(verdict)
}
