//! What was asked of the store, what it acknowledged, and whether what it shows can be explained by that.
//!
//! Every write has an id of its own, and vector and payload are functions of it ([`content`]), so a point that is read
//! proves which write it came from and that its parts belong together. The checks are exact for single keys with unique
//! writes: a value may be seen unless a later write was acknowledged before the read began ([`Ledger::judge`]). A write
//! of unknown fate may take effect at any later time, or never. Order is a counter, not a clock: it cannot go back and
//! has no ties. Only a claim about time ("at most 30 ms stale") is judged by the clock, through [`Ledger::moment_at`].

mod content;
mod report;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;

pub use content::{ShownPoint, content};
pub use report::{LedgerReport, Problem, Trouble};

/// What an operation does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum WriteKind {
    /// Puts the content of this write there.
    Put(u64),
    /// Removes the key.
    Delete,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Fate {
    /// No answer yet.
    Pending,
    /// Acknowledged, with the version the store gave it, where it told.
    Ok(Option<u64>),
    /// Certainly not applied.
    Fail,
    /// May have been applied, may yet be.
    Unknown,
}

/// One write or delete.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerOperation {
    /// The id of the point.
    pub key: u64,
    /// What it does.
    pub kind: WriteKind,
    /// When it was asked for.
    pub invoked: u64,
    /// When its fate was known.
    pub finished: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// The error, if any.
    pub note: String,
}

impl LedgerOperation {
    /// The last moment at which it may have taken effect.
    fn last_effect(&self) -> u64 {
        match self.fate {
            Fate::Ok(_) => self.finished.unwrap_or(u64::MAX),
            _ => u64::MAX,
        }
    }

    fn acknowledged(&self) -> bool {
        matches!(self.fate, Fate::Ok(_))
    }
}

/// The handle of an operation under way.
#[derive(Debug)]
pub struct Ticket {
    index: usize,
    /// The write's id; 0 for a delete.
    pub write: u64,
}

#[derive(Debug, Default)]
struct LedgerState {
    ops: Vec<LedgerOperation>,
    by_key: BTreeMap<u64, Vec<usize>>,
    by_write: BTreeMap<u64, usize>,
    /// When each operation finished: by the clock, and the moment.
    finishes: Vec<(Instant, u64)>,
}

/// The record, shared by all writers and readers of a run.
#[derive(Debug)]
pub struct Ledger {
    size: usize,
    clock: AtomicU64,
    state: Mutex<LedgerState>,
}

impl Ledger {
    /// An empty record of points with vectors of `size` components.
    pub fn new(size: usize) -> Self {
        Self { size, clock: AtomicU64::new(1), state: Mutex::default() }
    }

    /// The size of the vectors.
    pub fn size(&self) -> usize {
        self.size
    }

    /// This moment; every call is later than all before it.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().expect("nothing under the lock panics")
    }

    /// Records that a write to `key` is about to be asked for.
    pub fn begin_put(&self, key: u64) -> Ticket {
        let mut state = self.lock();
        let write = state.by_write.len() as u64 + 1;
        self.begin(&mut state, key, WriteKind::Put(write))
    }

    /// Records that `key` is about to be deleted.
    pub fn begin_delete(&self, key: u64) -> Ticket {
        self.begin(&mut self.lock(), key, WriteKind::Delete)
    }

    fn begin(&self, state: &mut LedgerState, key: u64, kind: WriteKind) -> Ticket {
        let index = state.ops.len();
        state.by_key.entry(key).or_default().push(index);
        let write = match kind {
            WriteKind::Put(write) => write,
            WriteKind::Delete => 0,
        };
        if write > 0 {
            state.by_write.insert(write, index);
        }
        let (invoked, note) = (self.now(), String::new());
        state.ops.push(LedgerOperation { key, kind, invoked, finished: None, fate: Fate::Pending, note });
        Ticket { index, write }
    }

    /// Records what became of an operation.
    pub fn finish(&self, ticket: Ticket, fate: Fate, note: &str) {
        let mut state = self.lock();
        let op = &mut state.ops[ticket.index];
        op.finished = Some(self.now());
        op.fate = fate;
        op.note = note.to_owned();
        let finish = (Instant::now(), self.now());
        state.finishes.push(finish);
    }

    /// A moment after everything that had finished by `instant`, and before everything that finished later.
    pub fn moment_at(&self, instant: Instant) -> u64 {
        let state = self.lock();
        let later = state.finishes.partition_point(|(finish, _)| *finish <= instant);
        later.checked_sub(1).map_or(0, |last| state.finishes[last].1)
    }

    /// How many operations were acknowledged, refused, and left unknown.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.lock();
        let count = |wanted: fn(&LedgerOperation) -> bool| state.ops.iter().filter(|op| wanted(op)).count();
        (
            count(LedgerOperation::acknowledged),
            count(|op| op.fate == Fate::Fail),
            count(|op| !op.acknowledged() && op.fate != Fate::Fail),
        )
    }

    /// All keys that were ever written.
    pub fn keys(&self) -> Vec<u64> {
        self.lock().by_key.keys().copied().collect()
    }

    /// Judges one key as read between two moments; `None` is a key that was not there.
    pub fn judge(&self, key: u64, started: u64, ended: u64, seen: Option<&ShownPoint>) -> Option<Problem> {
        let state = self.lock();
        verdict::judge(&state, self.size, key, (started, ended), seen)
    }

    /// Judges everything a complete read that began at `started` showed: each acknowledged write there or overwritten,
    /// nothing invented, no half-written point.
    pub fn check(&self, started: u64, shown: &BTreeMap<u64, ShownPoint>) -> LedgerReport {
        let ended = self.now();
        let mut keys = self.keys();
        keys.extend(shown.keys());
        keys.sort_unstable();
        keys.dedup();
        let problems = keys.iter().filter_map(|key| self.judge(*key, started, ended, shown.get(key))).collect();
        let (acknowledged, refused, unknown) = self.counts();
        LedgerReport { acknowledged, refused, unknown, keys: keys.len(), problems }
    }

    /// Writes the history, one JSON object a line.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for op in &self.lock().ops {
            writeln!(file, "{}", serde_json::to_string(op)?)?;
        }
        file.flush()
    }
}
