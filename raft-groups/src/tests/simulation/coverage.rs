//! What must have happened in at least one of all runs. A fault that never took place tests nothing.

use std::collections::BTreeMap;

/// Each of these must be seen in at least one run.
pub const EXPECTED: [&str; 30] = [
    "an election",
    "a snapshot installed",
    "a log purged",
    "a log truncated",
    "states compared",
    "a lease read served",
    "a lease read refused",
    "a linearizable read refused",
    "a follower read served",
    "a write of unknown fate",
    "a comparison that failed",
    "an unsynced write lost",
    "a message lost",
    "a request repeated",
    "a node stopped by its disk",
    "a full disk freed",
    "a flipped bit refused",
    "a torn tail refused",
    "a hung disk",
    "a slow network",
    "a write to a second group",
    "an older copy refused",
    "other settings",
    "a member added",
    "a member removed",
    "an erased replica back",
    "leadership handed over",
    "a flapping link",
    "a ring of cuts",
    "a bridge",
];

/// How often each of the expected things happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// Counts `times` more occurrences of `what`.
    pub fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// Counts one more occurrence of `what`.
    pub fn saw(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.add(what, *times));
    }

    /// Returns how often `what` happened.
    pub fn times(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Returns what was expected and never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED.into_iter().filter(|what| self.times(what) == 0).collect()
    }
}
