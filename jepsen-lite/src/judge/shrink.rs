//! Makes a failing history small: delta debugging (Zeller and Hildebrandt, 2002) over whole operations.
//!
//! First whole keys are dropped, then whole processes, then single operations, each time as many as still leave the history
//! illegal *in the same class*; otherwise a stale read would soon be "explained" by having dropped the write that it shows.
//! What comes out is illegal by itself. What the nemesis did is kept.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::judge::check::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use crate::judge::history::ops::pair;
use crate::judge::history::{History, HistoryProcess};

/// How often a history is judged again at most; what is small by then is what comes out.
const TRIES: usize = 3_000;

struct Shrinking<'a> {
    history: &'a History,
    model: ConsistencyModel,
    limits: CheckLimits,
    class: String,
    tries: usize,
    /// Which events are left.
    left: Vec<bool>,
}

/// The smallest illegal part that was found, with its verdict; `None` where the history is not illegal.
///
/// # Errors
/// A history that is not well formed, or holds operations that the model does not know.
pub fn shrink(
    history: &History,
    model: ConsistencyModel,
    limits: CheckLimits,
) -> Result<Option<(History, HistoryVerdict)>> {
    let HistoryVerdict::Illegal(violation) = check(history, model, limits)? else { return Ok(None) };
    let left = vec![true; history.events.len()];
    let mut shrinking = Shrinking { history, model, limits, class: violation.class, tries: 0, left };
    for group in [by_key, by_process, by_operation] {
        let units = group(&shrinking)?;
        shrinking.reduce(units);
    }
    let small = shrinking.part(&shrinking.left);
    let verdict = check(&small, model, limits)?;
    Ok(Some((small, verdict)))
}

type Units = Vec<Vec<usize>>;

fn grouped(
    shrinking: &Shrinking<'_>,
    key: impl Fn(usize, &crate::judge::history::ops::HistoryOperation) -> String,
) -> Result<Units> {
    let mut units: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, op) in pair(shrinking.history)?.ops.iter().enumerate() {
        let events = [Some(op.events.0), op.events.1].into_iter().flatten().filter(|event| shrinking.left[*event]);
        units.entry(key(number, op)).or_default().extend(events);
    }
    Ok(units.into_values().filter(|events| !events.is_empty()).collect())
}

fn by_key(shrinking: &Shrinking<'_>) -> Result<Units> {
    if !matches!(
        shrinking.model,
        ConsistencyModel::Register
            | ConsistencyModel::CasRegister
            | ConsistencyModel::Session
            | ConsistencyModel::NodeSession
    ) {
        return Ok(Vec::new());
    }
    grouped(shrinking, |_, op| match op.input.items() {
        Some([key, _]) => key.to_string(),
        _ => String::new(),
    })
}

fn by_process(shrinking: &Shrinking<'_>) -> Result<Units> {
    grouped(shrinking, |_, op| op.process.to_string())
}

fn by_operation(shrinking: &Shrinking<'_>) -> Result<Units> {
    grouped(shrinking, |number, _| format!("{number:012}"))
}

impl Shrinking<'_> {
    fn part(&self, left: &[bool]) -> History {
        let kept = self.history.events.iter().zip(left).filter(|(event, left)| **left || !is_client(&event.process));
        History { header: self.history.header.clone(), events: kept.map(|(event, _)| event.clone()).collect() }
    }

    /// Drops these units if the rest is still illegal in the same class.
    fn drop_if_still_illegal(&mut self, units: &[Vec<usize>]) -> bool {
        self.tries += 1;
        let mut left = self.left.clone();
        units.iter().flatten().for_each(|event| left[*event] = false);
        let verdict = check(&self.part(&left), self.model, self.limits);
        let still = matches!(&verdict, Ok(HistoryVerdict::Illegal(violation)) if violation.class == self.class);
        if still {
            self.left = left;
        }
        still
    }

    /// Drops chunks of units, of half of them at first and of one in the end.
    fn reduce(&mut self, mut units: Units) {
        let mut size = units.len().div_ceil(2);
        while size > 0 && !units.is_empty() {
            let (mut at, mut dropped) = (0, false);
            while at < units.len() && self.tries < TRIES {
                let end = (at + size).min(units.len());
                if self.drop_if_still_illegal(&units[at..end]) {
                    units.drain(at..end);
                    dropped = true;
                } else {
                    at = end;
                }
            }
            // At the size of one again and again, until nothing more goes.
            size = if size == 1 && (!dropped || self.tries >= TRIES) { 0 } else { size.div_ceil(2) };
        }
    }
}

fn is_client(process: &HistoryProcess) -> bool {
    matches!(process, HistoryProcess::Client(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::history::edn::Edn;
    use crate::judge::history::{HistoryEvent, Type};
    use crate::judge::synth::{Shape, registers};

    #[test]
    fn a_stale_read_among_hundreds_is_left_with_what_it_missed() {
        let shape = Shape { seed: 4, clients: 5, operations: 400, keys: 3, unknown_one_in: 10 };
        let mut history = registers(shape, false);
        let end = history.events.iter().filter_map(|event| event.time).max().unwrap();
        let value = |value| Edn::Vector(vec![Edn::Int(1), value]);
        let mut time = end;
        for (f, asked, shown) in [
            ("write", Edn::Int(-5), Edn::Int(-5)),
            ("write", Edn::Int(-7), Edn::Int(-7)),
            ("read", Edn::Nil, Edn::Int(-5)),
        ] {
            for (kind, shown) in [(Type::Invoke, asked), (Type::Ok, shown)] {
                time += 1;
                history.events.push(HistoryEvent::new(999, kind, f, value(shown)).at(time));
            }
        }
        history.events.push(HistoryEvent {
            process: HistoryProcess::Named("nemesis".into()),
            ..HistoryEvent::new(0, Type::Info, "kill", Edn::Nil).at(end)
        });
        let (small, verdict) = shrink(&history, ConsistencyModel::Register, CheckLimits::default()).unwrap().unwrap();
        assert_eq!(pair(&small).unwrap().ops.len(), 3, "{}", small.to_edn());
        assert_eq!(small.events.len(), 7, "the nemesis stays");
        let HistoryVerdict::Illegal(violation) = verdict else { panic!("{verdict:?}") };
        assert!(violation.cause.contains("read -5 although -7 was acknowledged"), "{}", violation.cause);
    }

    #[test]
    fn what_is_not_illegal_is_not_made_small() {
        let history = registers(Shape { seed: 4, clients: 5, operations: 40, keys: 3, unknown_one_in: 0 }, false);
        assert_eq!(shrink(&history, ConsistencyModel::Register, CheckLimits::default()).unwrap(), None);
    }
}
