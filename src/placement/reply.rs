//! What the map's machine answers.

use bytes::Bytes;
use raft_groups::NodeId;
use serde::{Deserialize, Serialize};

use super::codec::{MetaCodecError, decode, encode};
use super::{BadName, CollectionEntry, NodeEntry};
use crate::engine::{CollectionId, Refusal};

/// What became of a [`MetaCommand`](super::MetaCommand).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MetaReply {
    /// The map is formed.
    Formed,
    /// The map had been formed before, and stays as it was.
    AlreadyFormed,
    /// The map is not formed yet, so it cannot hold anything.
    NotFormed,
    /// The collection is new.
    Created {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// The collection existed with the same settings.
    Exists {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// A collection of that name exists with other settings.
    Conflict {
        /// Its entry.
        entry: CollectionEntry,
    },
    /// The name cannot be used.
    BadName(BadName),
    /// The collection is gone from the map.
    Dropped {
        /// The entry it had.
        entry: CollectionEntry,
    },
    /// A collection that had this name is still being taken out of the shards: tell them, then ask again.
    Leaving {
        /// Its number.
        id: CollectionId,
    },
    /// The map knows that every shard has been told.
    Gone,
    /// The map has no such collection or node.
    NotFound,
    /// The address is recorded.
    AddressSet,
    /// An operation has begun, or runs already.
    Begun {
        /// Its number.
        operation: u64,
        /// The node it is about.
        node: Option<NodeId>,
    },
    /// An operation has ended, now or before.
    Ended {
        /// Its number.
        operation: u64,
    },
    /// The node is what it was asked to be.
    NodeKnown {
        /// The node.
        node: NodeId,
        /// What is still under way with it.
        operation: Option<u64>,
    },
    /// Another node, or an earlier life of this one, has the name, the incarnation or the address; or the node is in a
    /// state that does not allow it.
    NodeConflict {
        /// That node.
        node: NodeId,
        /// Its entry.
        entry: NodeEntry,
    },
    /// It is the last node that holds data.
    LastNode {
        /// The node.
        node: NodeId,
    },
    /// The labels are set.
    Labelled,
    /// The rules of the map do not allow it.
    Refused {
        /// Why, with the way out.
        reason: String,
    },
    /// The decision has taken effect.
    Planned,
    /// The placement is settled.
    Confirmed,
    /// The map has changed since; look again.
    Stale,
    /// The payload schema is as asked.
    SchemaSet {
        /// The collection's entry with it.
        entry: CollectionEntry,
    },
    /// The payload schema cannot be as asked.
    BadSchema(Refusal),
    /// The change came later than it may: what came of an earlier copy of it may be forgotten.
    Expired,
    /// As many changes as can be are remembered, and none is forgotten early. Nothing was changed.
    TooManyChanges {
        /// The limit.
        limit: u64,
    },
    /// The command's bytes are of this version, and are not a command.
    Undecodable {
        /// What is wrong with them.
        reason: String,
    },
    /// Deciding what the command does failed inside Quiver. It is the same on every replica, and nothing was changed.
    Undecided,
    /// The timings are as asked.
    TimingsSet,
    /// The node that says so was started again since: it runs on an older copy of its directory, or its message is late.
    OlderLife {
        /// The newest start that is known.
        newest: u64,
    },
}

impl MetaReply {
    /// The bytes of a machine's reply.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a machine's reply.
    ///
    /// # Errors
    /// Where the bytes are cut, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaCodecError> {
        decode("reply", bytes)
    }
}
