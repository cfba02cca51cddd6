//! What the stored log of a group says when it is opened: every record is looked at, and nothing is guessed.
//!
//! Comes in: the log store. Goes out: the last entry and one that is committed for certain, or `InvalidData` where a
//! record fails its check, an entry is missing, or damage was noted before.

use std::io;
use std::ops::ControlFlow;

use openraft::EntryPayload;

use super::cached_tail::after;
use crate::GroupId;
use crate::consensus::types::{LogEntry, LogId};
use crate::format::AsForm;
use crate::storage::keys::{LogKey, entry_index};
use crate::storage::record::{read, unseal};
use crate::storage::store::KeyValueStore;

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
    store: &dyn KeyValueStore,
    group: GroupId,
    purged: Option<LogId>,
) -> io::Result<RecoveredEntries> {
    // Entries must come in order and without gaps, from the first that was not purged on.
    let mut next = after(purged);
    let (mut found, mut membership, mut damage) = (RecoveredEntries::default(), None, None);
    let mut visit = |key: &[u8], record: &[u8]| {
        match (entry_index(key), unseal::<AsForm<LogEntry>>(key, record)) {
            // A purge records its end before it deletes; a crash between leaves entries that are gone already.
            (Some(index), _) if index < next && found.last.is_none() => {}
            (Some(index), Ok(AsForm(entry))) if index == next && entry.log_id.index == next => {
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
    store.scan(&LogKey::Entry(0).for_group(group), &LogKey::Entry(u64::MAX).for_group(group), &mut visit)?;
    damage.map_or(Ok(found), Err)
}

/// Refuses a replica of which damage was noted in an earlier life.
///
/// # Errors
/// `InvalidData` where there was.
pub fn check_no_damage_noted(store: &dyn KeyValueStore, group: GroupId) -> io::Result<()> {
    let noted: Option<String> = read(store, group, LogKey::Damage)?;
    noted.map_or(Ok(()), |found| Err(io::Error::new(io::ErrorKind::InvalidData, found)))
}

/// The error for an entry that must be in the log and is not.
pub fn missing_entry(group: GroupId, index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of {group} has no entry {index}"))
}
