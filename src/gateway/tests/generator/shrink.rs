//! The shortest story that still fails: whole runs of steps are left out first, then points and searches.

use super::steps::{Act, Case, Step};
use super::world::play;

type Failure = (String, Vec<String>);

/// How often a case is tried again.
const TRIES: usize = 400;

/// The smallest case that is found to fail, and how it fails. The case must fail.
pub(super) fn shrunk(mut case: Case) -> (Case, Failure) {
    let mut failure = play(&case).err().unwrap_or_default();
    let mut tries = 0;
    let mut improved = true;
    while std::mem::take(&mut improved) && tries < TRIES {
        for smaller in smaller(&case) {
            tries += 1;
            if let Err(fails) = play(&smaller) {
                (case, failure, improved) = (smaller, fails, true);
                break;
            }
        }
    }
    (case, failure)
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let count = case.steps.len();
    let mut span = count.div_ceil(2);
    while span > 0 {
        for from in (0..count).step_by(span) {
            let kept = case.steps.iter().enumerate().filter(|(place, _)| !(from..from + span).contains(place));
            found.push(Case { steps: kept.map(|(_, step)| step.clone()).collect(), ..case.clone() });
        }
        span /= 2;
    }
    for (place, step) in case.steps.iter().enumerate() {
        for act in simpler(&step.act) {
            let mut steps = case.steps.clone();
            steps[place] = Step { act, ..step.clone() };
            found.push(Case { steps, ..case.clone() });
        }
    }
    if case.shards > 1 {
        found.push(Case { shards: 1, ..case.clone() });
    }
    found
}

fn simpler(act: &Act) -> Vec<Act> {
    match act {
        Act::Upsert(points, binary) => without_one(points).map(|points| Act::Upsert(points, *binary)).collect(),
        Act::DeleteIds(ids) => without_one(ids).map(Act::DeleteIds).collect(),
        Act::Search(searches) => without_one(searches).map(Act::Search).collect(),
        _ => Vec::new(),
    }
}

/// The list without each of its items, as long as one is left.
fn without_one<T: Clone>(items: &[T]) -> impl Iterator<Item = Vec<T>> {
    let places = if items.len() > 1 { items.len() } else { 0 };
    (0..places)
        .map(|place| items.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, item)| item.clone()).collect())
}
