//! Reads the stored log of a group when it is opened. Every record is checked, and nothing is guessed.
//!
//! Comes in: the log store. Goes out: the last entry and one that is certainly committed, or `InvalidData` if a
//! record fails its check or an entry is missing.

use std::io;
use std::ops::ControlFlow;

use openraft::EntryPayload;

use super::known_log::next_index;
use super::log_store::{LogStore, StoredEntry};
use crate::GroupId;
use crate::consensus::types::LogId;

/// What the entries of a stored log show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveredEntries {
    /// The last entry.
    pub last: Option<LogId>,
    /// A membership that is certainly committed, as the log itself shows. A leader proposes a membership only once
    /// the one before it is committed (Ongaro's thesis, § 4.1). So of the memberships in the log all but the last
    /// are committed.
    pub committed: Option<LogId>,
}

/// Reads and checks every stored entry of `group` after `purged`.
///
/// # Errors
/// `InvalidData` if a record fails its check or an entry is missing. `Unsupported` if a later release wrote a
/// record.
pub fn read_stored_entries(
    store: &dyn LogStore,
    group: GroupId,
    purged: Option<LogId>,
) -> io::Result<RecoveredEntries> {
    // Entries must come in order and without gaps, from the first one that is not purged.
    let mut next = next_index(purged);
    let (mut found, mut membership, mut damage) = (RecoveredEntries::default(), None, None);
    let mut visit = |stored: &StoredEntry<'_>| {
        match (stored.index, stored.unseal()) {
            // A purge is recorded before its entries are removed. A crash in between leaves some of them.
            (index, _) if index < next && found.last.is_none() => {}
            (index, Ok(entry)) if index == next && entry.log_id.index == next => {
                next += 1;
                found.last = Some(entry.log_id);
                if matches!(entry.payload, EntryPayload::Membership(_)) {
                    found.committed = membership.replace(entry.log_id).or(found.committed);
                }
            }
            (_, Err(error)) => damage = Some(error),
            (_, Ok(_)) => damage = Some(missing_entry(group, next)),
        }
        if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // Damage anywhere ends the scan. A torn end is damage too: acknowledged entries may have been there.
    store.scan(0..u64::MAX, &mut visit)?;
    damage.map_or(Ok(found), Err)
}

/// Returns the error for an entry that must be in the log and is not.
pub fn missing_entry(group: GroupId, index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of {group} has no entry {index}"))
}
