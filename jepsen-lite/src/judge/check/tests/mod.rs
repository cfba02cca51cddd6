//! The judges are judged: anomalies beside their nearest legal neighbours, second opinions on random histories, anomalies
//! planted in right ones, and changes that must not change a verdict.

mod differential;
mod fixtures;
mod metamorphic;
mod planted;
mod recorded;

use super::{Limits, Model, Verdict, check};
use crate::judge::history::History;

/// The verdict on a history in EDN.
fn judge(model: Model, text: &str) -> Verdict {
    verdict(model, &History::parse(text).unwrap())
}

fn verdict(model: Model, history: &History) -> Verdict {
    check(history, model, Limits::default()).unwrap()
}

/// The class and cause of an illegal history.
fn illegal(verdict: &Verdict) -> (&str, &str) {
    match verdict {
        Verdict::Illegal(violation) => (&violation.class, &violation.cause),
        other => panic!("not illegal: {other:?}"),
    }
}
