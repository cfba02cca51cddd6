//! What the stored log of a group says when it is opened: every record is looked at, and nothing is guessed.

use std::io;
use std::ops::ControlFlow;

use openraft::EntryPayload;

use super::keys::{LogKey, entry_index};
use super::log::hole;
use super::record::unseal;
use super::store::Store;
use super::tail::after;
use crate::GroupId;
use crate::format::AsForm;
use crate::types::{Entry, LogId};

/// The entries of a stored log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The last one.
    pub last: Option<LogId>,
    /// One that is committed for certain, as the log itself shows: a leader proposes a membership only once the one before
    /// it is committed (Ongaro's thesis, § 4.1), so of the memberships here all but the last are.
    pub committed: Option<LogId>,
}

/// Looks at every stored entry of `group` behind `purged`.
///
/// # Errors
/// `InvalidData` where a record fails its check or an entry is missing.
pub fn look(store: &dyn Store, group: GroupId, purged: Option<LogId>) -> io::Result<Found> {
    let mut next = after(purged);
    let (mut found, mut membership, mut damage) = (Found::default(), None, None);
    let mut visit = |key: &[u8], record: &[u8]| {
        match (entry_index(key), unseal::<AsForm<Entry>>(key, record)) {
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
            (_, Ok(_)) => damage = Some(hole(group, next)),
        }
        if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.scan(&LogKey::Entry(0).of(group), &LogKey::Entry(u64::MAX).of(group), &mut visit)?;
    damage.map_or(Ok(found), Err)
}
