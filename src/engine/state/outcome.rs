//! What came of a request, as it is remembered: the reply without what the command says itself.
//!
//! Only what cannot be told from the command is kept: a request of the same fingerprint carries the same ids in the
//! same order. Refusals for a version are kept too: a client that was told "no" must not see a late copy of its write
//! succeed.

use serde::{Deserialize, Serialize};

use crate::engine::commands::command::Command;
use crate::engine::commands::entry::MadeBy;
use crate::engine::commands::reply::{Progress, Refusal, Reply};
use crate::model::PointId;

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) enum RequestOutcome {
    Upserted {
        version: u64,
    },
    Deleted {
        count: u64,
        version: u64,
    },
    // Boxed: it is rare, and there are many outcomes.
    VersionMismatch(Box<Mismatch>),
    /// A deletion that has begun and not ended.
    Deleting(Progress),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Mismatch {
    position: u64,
    id: PointId,
    expected: u64,
    current: u64,
}

/// What is kept of a request, also as its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Kept {
    /// The last moment of the shard's time at which it is remembered.
    pub(in crate::engine) until_ms: u64,
    pub(in crate::engine) made_by: MadeBy,
    pub(in crate::engine) fingerprint: u128,
    pub(in crate::engine) outcome: RequestOutcome,
}

/// What was kept of a request before requests were remembered by time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredRequest {
    pub(super) sequence: u64,
    pub(super) fingerprint: u128,
    pub(super) outcome: RequestOutcome,
}

impl RequestOutcome {
    /// What `reply` leaves behind; nothing for an answer that may be another one tomorrow.
    pub(in crate::engine) fn of(reply: &Reply, version: u64) -> Option<Self> {
        match reply {
            Reply::Upserted(_) => Some(Self::Upserted { version }),
            Reply::Deleted { count, version } => Some(Self::Deleted { count: *count, version: *version }),
            Reply::Refused(Refusal::VersionMismatch { position, id, expected, current }) => {
                let (position, id, expected, current) = (*position as u64, *id, *expected, *current);
                Some(Self::VersionMismatch(Box::new(Mismatch { position, id, expected, current })))
            }
            Reply::Deleting { begin, count, from } => {
                let (begin, count, from) = (*begin, *count, *from);
                Some(Self::Deleting(Progress { begin, count, from }))
            }
            Reply::Created | Reply::Dropped | Reply::SchemaSet | Reply::Refused(_) => None,
        }
    }

    /// The reply that was given to `command`.
    pub(in crate::engine) fn reply(&self, command: &Command) -> Reply {
        // A request of this fingerprint carries the same ids; another kind of command means another request.
        match self {
            Self::Upserted { version } => match command {
                Command::Upsert { points, .. } => {
                    Reply::Upserted(points.iter().map(|point| (point.id, *version)).collect())
                }
                _ => Reply::Refused(Refusal::RequestReused),
            },
            Self::Deleted { count, version } => Reply::Deleted { count: *count, version: *version },
            Self::Deleting(progress) => match command {
                Command::BeginDeletion { .. } => Reply::from(*progress),
                _ => Reply::Refused(Refusal::RequestReused),
            },
            Self::VersionMismatch(mismatch) => {
                let Mismatch { position, id, expected, current } = **mismatch;
                Reply::Refused(Refusal::VersionMismatch { position: position as usize, id, expected, current })
            }
        }
    }
}
