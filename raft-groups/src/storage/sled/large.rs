//! Large writes: whole or absent after a crash, though sled is given a small batch at a time.
//!
//! While sled takes a batch it stops all readers and writers of the process, and a power loss in a batch of megabytes
//! can damage its files. So a large write goes in steps:
//!
//! 1. The parts of large values that are new: nobody sees them before their pairs.
//! 2. If what is left is more than [`LARGE`]: a redo record of it, part by part and then its head. From the head on the write
//!    is decided.
//! 3. What the record says, in steps; the last step removes the head.
//!
//! An opening carries a decided write to its end, and removes parts that belong to no pair.

use std::io;

use super::super::record::{seal, unseal};
use super::super::syncer::WRITE_WEIGHT;
use super::layout::{
    Edit, Stored, pair_key, part_of, parted, parts_of, read_stored, redo_key, redo_part_key, weight, weight_of,
};
use super::{SledStore, from_sled};
use crate::mutants::{Mutant, is_planted};

/// Most that is given to sled as one batch beside the parts of new values, as [`weight`] counts. It is more than
/// [`WRITE_WEIGHT`], for a redo record writes everything twice: hundreds of power losses in batches of up to 1.6 MB damaged
/// nothing. An append to a log is nothing but new values.
const LARGE: usize = 1 << 20;

impl SledStore {
    /// Carries out `edits` as one; `ahead` are parts of new values among them.
    pub(super) fn write_large(&self, ahead: Vec<Edit>, edits: Vec<Edit>) -> io::Result<()> {
        self.apply_in_steps(ahead)?;
        if weight(&edits) <= LARGE {
            return self.apply(edits);
        }
        if is_planted(Mutant::TearsLargeWrites) {
            return self.apply_in_steps(edits);
        }
        let (parts, count) = parts_of(&seal(&redo_key(), &edits), redo_part_key);
        self.apply_in_steps(parts)?;
        self.apply(vec![(redo_key(), Some(parted(count)))])?;
        self.redo(edits, count)
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
        let Stored::Parts(count) = read_stored(&head)? else { return Err(super::layout::invalid("redo record")) };
        let record = self.read_parts(count, redo_part_key)?;
        self.redo(unseal(&redo_key(), &record)?, count)?;
        Ok(true)
    }

    fn redo(&self, edits: Vec<Edit>, count: u32) -> io::Result<()> {
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
        let (mut step, mut gathered) = (Vec::new(), 0);
        for edit in edits {
            gathered += weight_of(&edit);
            step.push(edit);
            if gathered >= WRITE_WEIGHT {
                self.apply(std::mem::take(&mut step))?;
                gathered = 0;
            }
        }
        self.apply(step)
    }
}

/// Reads all of sled's tree once, and returns the keys of parts that belong to no value.
pub fn find_orphans(db: &sled::Db) -> sled::Result<Vec<Vec<u8>>> {
    let mut orphans = Vec::new();
    let (mut of, mut count) = (Vec::new(), 0);
    for pair in db.iter() {
        let (tree_key, _) = pair?;
        let Some((key, part)) = part_of(&tree_key) else { continue };
        if of != key || part == 0 {
            of = key.to_vec();
            count = match db.get(pair_key(key))?.as_deref().map(read_stored) {
                Some(Ok(Stored::Parts(count))) => count,
                // One that cannot be read is found where it is asked for.
                Some(Err(_)) => u32::MAX,
                Some(Ok(Stored::Whole(_))) | None => 0,
            };
        }
        if part >= count {
            orphans.push(tree_key.to_vec());
        }
    }
    Ok(orphans)
}
