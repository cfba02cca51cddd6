//! What the stored log of a group says when it is opened: every record is looked at, and nothing is guessed.
//!
//! Comes in: the log store. Goes out: the last entry and one that is committed for certain, or `InvalidData` where a
//! record fails its check or an entry is missing.

use std::io;
use std::ops::ControlFlow;

use openraft::EntryPayload;

use super::known_log::next_index;
use super::log_store::{LogStore, StoredEntry};
use crate::GroupId;
use crate::consensus::types::LogId;

/// The entries of a stored log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveredEntries {
    /// The last one.
    pub last: Option<LogId>,
    /// One that is committed for certain, as the log itself shows: a leader proposes a membership only once the one
    /// before it is committed (Ongaro's thesis, § 4.1), so of the memberships here all but the last are.
    pub committed: Option<LogId>,
}

/// Looks at every stored entry of `group` behind `purged`.
///
/// # Errors
/// `InvalidData` where a record fails its check or an entry is missing.
pub fn read_stored_entries(
    store: &dyn LogStore,
    group: GroupId,
    purged: Option<LogId>,
) -> io::Result<RecoveredEntries> {
    // Entries must come in order and without gaps, from the first that was not purged on.
    let mut next = next_index(purged);
    let (mut found, mut membership, mut damage) = (RecoveredEntries::default(), None, None);
    let mut visit = |stored: &StoredEntry<'_>| {
        match (stored.index, stored.unseal()) {
            // A purge records its end before it deletes; a crash between leaves entries that are gone already.
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
    // Damage anywhere ends the search: what lies behind it proves nothing.
    store.scan(0..u64::MAX, &mut visit)?;
    damage.map_or(Ok(found), Err)
}

/// The error for an entry that must be in the log and is not.
pub fn missing_entry(group: GroupId, index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of {group} has no entry {index}"))
}
