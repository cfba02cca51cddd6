//! What a shard answers to a command.
//!
//! A refusal is an answer: the command was agreed upon, was looked at, and changed nothing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec::{CodecError, decode, encode};
use crate::engine::ids::CollectionId;
use crate::model::PointId;

/// First byte of an encoded reply.
const REPLY_FORMAT: u8 = 1;

/// The answer to one [`Command`](crate::engine::Command).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The collection is known to the shard now.
    Created,
    /// The collection is unknown to the shard now, and stays so.
    Dropped,
    /// Every point was written; its new version, in the command's order.
    Upserted(Vec<(PointId, u64)>),
    /// The selected points are gone.
    Deleted {
        /// How many of them existed.
        count: u64,
        /// Log index at which they went.
        version: u64,
    },
    /// Nothing was changed.
    Refused(Refusal),
    /// The shard has this payload schema now, or a newer one.
    SchemaSet,
    /// A deletion of what a filter means is under way.
    Deleting {
        /// Log index of its beginning.
        begin: u64,
        /// Points that are gone.
        count: u64,
        /// The first id that was not looked at yet; `None`: the very first.
        from: Option<PointId>,
    },
}

/// How far a [`Deletion`](crate::engine::Deletion) has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Log index of its beginning.
    pub begin: u64,
    /// Points that are gone.
    pub count: u64,
    /// The first id that was not looked at yet; `None`: the very first.
    pub from: Option<PointId>,
}

/// Why a command or a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// This shard does not know the collection (yet, or any more).
    #[error("collection {collection} is not known to this shard")]
    CollectionNotFound {
        /// The number asked for.
        collection: CollectionId,
    },
    /// The collection exists with other settings.
    #[error("collection {collection} exists with other settings")]
    CollectionDiffers {
        /// The number asked for.
        collection: CollectionId,
    },
    /// `if_version` named another version than the point has.
    #[error("item {position}: point {id} has version {current}, expected {expected}")]
    VersionMismatch {
        /// Place of the point in the command, from 0.
        position: usize,
        /// The point.
        id: PointId,
        /// What `if_version` said.
        expected: u64,
        /// The version now; 0 if the point does not exist.
        current: u64,
    },
    /// The request id was used before, for another write.
    #[error("the request id was used before for another write")]
    RequestReused,
    /// The input is wrong, and would be wrong tomorrow.
    #[error("{}{field}: {reason}", position.map(|position| format!("item {position}: ")).unwrap_or_default())]
    Invalid {
        /// Place of the item in a batch, from 0.
        position: Option<usize>,
        /// Which member of it.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The input is right, but asks for what is not implemented.
    #[error("{field}: {reason}")]
    NotSupported {
        /// Which member asks for it.
        field: String,
        /// What is not supported.
        reason: String,
    },
    /// The command's bytes are not a command this build knows.
    #[error("the command cannot be read: {reason}")]
    Undecodable {
        /// What is wrong with them.
        reason: String,
    },
    /// The collection was dropped from this shard, for good.
    #[error("collection {collection} was dropped from this shard")]
    CollectionDropped {
        /// The number asked for.
        collection: CollectionId,
    },
    /// The write came later than it may: what came of an earlier copy of it may be forgotten.
    #[error("the request came too late to be carried out once: send it again, as it is wanted now")]
    RequestExpired,
    /// The shard remembers as many request ids as it can, and forgets none early.
    #[error(
        "this shard remembers {limit} request ids of the last minutes and takes no new ones now: write more slowly, or in larger batches"
    )]
    TooManyRequestIds {
        /// The limit.
        limit: u64,
    },
    /// Deciding what the command does failed inside Quiver. It is the same on every replica, and nothing was changed.
    #[error("deciding this failed inside Quiver, which is a bug; nothing was changed, and the nodes' logs say more")]
    Undecided,
}

impl Refusal {
    /// Returns `true` if the same command is refused whenever it comes: because of what never changes, or of what is
    /// remembered of it. Any other refusal says nothing of the next copy.
    pub fn is_final(&self) -> bool {
        match self {
            Self::VersionMismatch { .. }
            | Self::RequestReused
            | Self::Invalid { .. }
            | Self::NotSupported { .. }
            | Self::CollectionDiffers { .. } => true,
            // These depend on what the shard, or this release, knows at the moment.
            Self::CollectionNotFound { .. }
            | Self::CollectionDropped { .. }
            | Self::RequestExpired
            | Self::TooManyRequestIds { .. }
            | Self::Undecodable { .. }
            | Self::Undecided => false,
        }
    }

    /// An [`Refusal::Invalid`] that is about no item of a batch.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { position: None, field: field.into(), reason: reason.into() }
    }

    /// The same refusal, with `place_of` applied to the place of the item that it names; `None` where it names none.
    #[must_use]
    pub fn with_position(self, place_of: impl FnOnce(Option<usize>) -> Option<usize>) -> Self {
        match self {
            Self::Invalid { position, field, reason } => Self::Invalid { position: place_of(position), field, reason },
            Self::VersionMismatch { position, id, expected, current } => {
                let position = place_of(Some(position)).unwrap_or(position);
                Self::VersionMismatch { position, id, expected, current }
            }
            other => other,
        }
    }

    /// An [`Refusal::Invalid`] about the item at `position`, from 0.
    pub fn invalid_at(position: usize, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { position: Some(position), field: field.into(), reason: reason.into() }
    }
}

impl Reply {
    /// The binary form.
    pub fn encode(&self) -> Bytes {
        encode(REPLY_FORMAT, self)
    }

    /// Reads the binary form back.
    ///
    /// # Errors
    /// An unknown format byte, a body that does not parse, or bytes left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(REPLY_FORMAT, bytes)
    }
}

impl From<Progress> for Reply {
    fn from(Progress { begin, count, from }: Progress) -> Self {
        Self::Deleting { begin, count, from }
    }
}
