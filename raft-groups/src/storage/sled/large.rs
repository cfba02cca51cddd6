//! Large writes: whole or absent after a crash, though sled is given a small batch at a time.
//!
//! While sled takes a batch it stops all readers and writers of the process, and a power loss in a batch of megabytes
//! can damage its files. So a large write goes in steps:
//!
//! 1. The parts of large values that are new: nobody sees them before their pairs.
//! 2. What must be there as one. If that is more than [`LARGE`], a redo record of it comes first, part by part and
//!    then its head; from the head on the write is decided. What the record says follows, in steps; then the head is
//!    removed.
//! 3. The removal of parts that belong to no pair any more.
//!
//! A step is as large as the store's [budget](super::sync_budget) allows without a sync. An opening carries a decided
//! write to its end, and removes parts that belong to no pair.

use std::io;

use super::layout::{
    Edit, Edits, StoredValue, invalid, parted, parts_of, read_stored, redo_key, redo_part_key, weight,
};
use super::{SledStore, from_sled};
use crate::mutants::{Mutant, is_planted};
use crate::storage::record::{seal, unseal};

/// Most that must be there as one and goes without a redo record, as [`weight`] counts. It is more than the budget
/// allows, for a record writes everything twice: only changes of a machine's state come to so much, and a state that a
/// power loss has damaged is made anew. An append to a log and its purge are nothing but new parts, pairs and parts
/// removed.
const LARGE: usize = 1 << 20;

impl SledStore {
    pub(super) fn write_large(&self, Edits { ahead, now, behind }: Edits) -> io::Result<()> {
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

    /// Carries a large write to its end that was decided before a crash. Returns whether there was one.
    ///
    /// # Errors
    /// `InvalidData` where its record is damaged, `Unsupported` where a later release wrote it.
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
        self.apply_in_steps(edits)?;
        self.apply(vec![(redo_key(), None)])?;
        self.apply_in_steps((0..count).map(|part| (redo_part_key(part), None)).collect())
    }

    /// Removes the parts of a redo record whose head was never written, or is removed.
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
