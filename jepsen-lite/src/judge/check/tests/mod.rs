//! The judges are judged: anomalies beside their nearest legal neighbours, second opinions on random histories, anomalies
//! planted in right ones, and changes that must not change a verdict.

mod differential;
mod fixtures;
mod metamorphic;
mod planted;
mod recorded;

use super::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use crate::judge::history::History;

/// The verdict on a history in EDN.
fn judge(model: ConsistencyModel, text: &str) -> HistoryVerdict {
    verdict(model, &History::parse(text).unwrap())
}

fn verdict(model: ConsistencyModel, history: &History) -> HistoryVerdict {
    check(history, model, CheckLimits::default()).unwrap()
}

/// The class and cause of an illegal history.
fn illegal(verdict: &HistoryVerdict) -> (&str, &str) {
    match verdict {
        HistoryVerdict::Illegal(violation) => (&violation.class, &violation.cause),
        other => panic!("not illegal: {other:?}"),
    }
}
