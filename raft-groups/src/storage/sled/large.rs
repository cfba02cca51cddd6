//! Large writes: whole or absent after a crash, although sled gets one small batch at a time.
//!
//! While sled takes a batch it stops all readers and writers of the process. And a power loss during a batch of
//! megabytes can damage its files. So a large write goes in steps:
//!
//! 1. New parts of large values. Nobody sees them before their pairs.
//! 2. The edits that must be atomic. If these weigh more than [`LARGE`], a redo record of them is written first: its
//!    parts, then its head. Once the head is written, the write is decided. Then the edits of the record follow in
//!    steps, and the head is removed.
//! 3. The removal of parts that no pair has any more.
//!
//! A step is as large as the store's [budget](super::sync_budget) allows without a sync. Opening the store finishes
//! a decided write, and removes parts that belong to no pair.

use std::io;

use super::layout::{
    Edit, Edits, StoredValue, invalid, parted, parts_of, read_stored, redo_key, redo_part_key, weight,
};
use super::{SledStore, from_sled};
use crate::mutants::{Mutant, is_planted};
use crate::storage::record::{seal, unseal};

/// Largest weight, as [`weight`] counts, of atomic edits without a redo record. It is more than the budget allows,
/// because a record writes everything twice. Only changes of a machine's state weigh so much, and a state that a
/// power loss has damaged is made anew. Appends to a log and purges weigh less: most of them is new parts or removed
/// parts.
const LARGE: usize = 1 << 20;

impl SledStore {
    pub(super) fn write_large(&self, Edits { ahead, now, behind }: Edits) -> io::Result<()> {
        // A crash before the atomic edits leaves parts without a pair, which the next opening removes.
        self.apply_in_steps(ahead)?;
        if weight(&now) <= LARGE {
            self.apply(now)?;
        } else if is_planted(Mutant::TearsLargeWrites) {
            self.apply_in_steps(now)?;
        } else {
            let (parts, count) = parts_of(&seal(&redo_key(), &now), redo_part_key);
            self.apply_in_steps(parts)?;
            self.apply(vec![(redo_key(), Some(parted(count)))])?;
            self.redo(now, count)?;
        }
        self.apply_in_steps(behind)
    }

    /// Finishes a large write that was decided before a crash. Returns `true` if there was one.
    ///
    /// # Errors
    /// `InvalidData` if its record is damaged, `Unsupported` if a later release wrote it.
    pub(super) fn finish_large_write(&self) -> io::Result<bool> {
        let Some(head) =
            self.db.get(redo_key()).map_err(from_sled)?.filter(|_| !is_planted(Mutant::ForgetsLargeWrites))
        else {
            self.remove_redo_parts()?;
            return Ok(false);
        };
        let StoredValue::Parts(count) = read_stored(&head)? else { return Err(invalid("redo record")) };
        let record = self.read_parts(count, redo_part_key)?;
        self.redo(unseal(&redo_key(), &record)?, count)?;
        Ok(true)
    }

    fn redo(&self, edits: Vec<Edit>, count: u32) -> io::Result<()> {
        assert!(count > 0, "a decided write without a record of it");
        // The edits may be repeated after a crash: each sets or removes a key, so repeating them changes nothing.
        // The head goes only after them.
        self.apply_in_steps(edits)?;
        self.apply(vec![(redo_key(), None)])?;
        self.apply_in_steps((0..count).map(|part| (redo_part_key(part), None)).collect())
    }

    /// Removes the parts of a redo record without a head. Its write was never decided, or is finished.
    fn remove_redo_parts(&self) -> io::Result<()> {
        let keys = self.db.scan_prefix(redo_key()).keys();
        let edits = keys.map(|key| Ok((key.map_err(from_sled)?.to_vec(), None)));
        self.apply_in_steps(edits.collect::<io::Result<_>>()?)
    }

    pub(super) fn apply_in_steps(&self, edits: Vec<Edit>) -> io::Result<()> {
        let (mut step, mut budget) = (Vec::new(), self.budget.lock().renewed());
        for edit in edits {
            if !step.is_empty() && budget.after([&edit]).is_used_up() {
                self.apply(std::mem::take(&mut step))?;
                budget = self.budget.lock().renewed();
            }
            budget.spend(&edit);
            step.push(edit);
        }
        self.apply(step)
    }
}
