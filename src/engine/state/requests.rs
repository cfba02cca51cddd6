//! Which requests a shard has carried out, so that a repeated one is answered and not carried out again.
//!
//! Only what cannot be told from the command is kept: a request of the same fingerprint carries the same ids in the
//! same order. Refusals for a version are kept too: a client that was told "no" must not see a late copy of its write
//! succeed.

use std::collections::BTreeMap;

use raft_groups::mutants::{Mutant, is_planted};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::record::StoredRequest;
use crate::engine::command::Command;
use crate::engine::ids::{PointId, RequestId};
use crate::engine::limits::MAX_REMEMBERED_REQUESTS;
use crate::engine::reply::{Refusal, Reply};

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) enum Outcome {
    Upserted { version: u64 },
    Deleted { count: u64, version: u64 },
    VersionMismatch { position: u64, id: PointId, expected: u64, current: u64 },
}

/// What is known of a request id.
#[derive(Debug, PartialEq)]
pub(in crate::engine) enum Remembered<'a> {
    /// It was used for this very command.
    Same(&'a Outcome),
    /// It was used for another.
    Reused,
}

/// The table of remembered requests. The oldest, by the order in which they were carried out, is forgotten first, so
/// that every replica forgets the same.
#[derive(Debug, Default)]
pub(in crate::engine) struct Requests {
    entries: BTreeMap<RequestId, Entry>,
    by_age: BTreeMap<u64, RequestId>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: u128,
    outcome: Outcome,
    hash: u64,
}

/// A command's fingerprint, from its encoded form.
pub(in crate::engine) fn fingerprint(command: &[u8]) -> u128 {
    xxh3_128(command)
}

impl Requests {
    pub(in crate::engine) fn look_up(&self, id: RequestId, fingerprint: u128) -> Option<Remembered<'_>> {
        let entry = self.entries.get(&id).filter(|_| !is_planted(Mutant::RepeatsRequests))?;
        Some(if entry.fingerprint == fingerprint { Remembered::Same(&entry.outcome) } else { Remembered::Reused })
    }

    /// The sequence number of the next request. It need not be stored: the newest is never forgotten.
    pub(super) fn next(&self) -> u64 {
        self.by_age.last_key_value().map_or(0, |(newest, _)| newest + 1)
    }

    /// Takes a request in; those forgotten for it, with their hashes.
    pub(super) fn insert(&mut self, id: RequestId, stored: StoredRequest, hash: u64) -> Vec<(RequestId, u64)> {
        self.by_age.insert(stored.sequence, id);
        self.entries.insert(id, Entry { fingerprint: stored.fingerprint, outcome: stored.outcome, hash });
        let mut forgotten = Vec::new();
        while self.by_age.len() > MAX_REMEMBERED_REQUESTS {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            forgotten.extend(self.entries.remove(&oldest).map(|entry| (oldest, entry.hash)));
        }
        forgotten
    }

    pub(in crate::engine) fn memory_bytes(&self) -> usize {
        // Both trees, their nodes about two thirds full.
        self.entries.len() * (size_of::<(RequestId, Entry)>() + size_of::<(u64, RequestId)>()) * 3 / 2
    }
}

impl Outcome {
    /// What `reply` leaves behind; nothing for an answer that may be another one tomorrow.
    pub(in crate::engine) fn of(reply: &Reply, version: u64) -> Option<Self> {
        match reply {
            Reply::Upserted(_) => Some(Self::Upserted { version }),
            Reply::Deleted { count, version } => Some(Self::Deleted { count: *count, version: *version }),
            Reply::Refused(Refusal::VersionMismatch { position, id, expected, current }) => {
                let (position, id, expected, current) = (*position as u64, *id, *expected, *current);
                Some(Self::VersionMismatch { position, id, expected, current })
            }
            Reply::Created | Reply::Dropped | Reply::SchemaSet | Reply::Refused(_) => None,
        }
    }

    /// The reply that was given to `command`.
    pub(in crate::engine) fn reply(&self, command: &Command) -> Reply {
        match *self {
            Self::Upserted { version } => match command {
                Command::Upsert { points, .. } => {
                    Reply::Upserted(points.iter().map(|point| (point.id, version)).collect())
                }
                _ => Reply::Refused(Refusal::RequestReused),
            },
            Self::Deleted { count, version } => Reply::Deleted { count, version },
            Self::VersionMismatch { position, id, expected, current } => {
                Reply::Refused(Refusal::VersionMismatch { position: position as usize, id, expected, current })
            }
        }
    }
}
