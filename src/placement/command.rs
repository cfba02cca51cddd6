//! What goes into the meta group's log. Must not know what a command does to the map.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_groups::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::codec::{MetaCodecError, decode, encode, is_newer};
use super::{Change, ClusterMap, NodeEntry, RaftTimings, ShardId};
use crate::engine::{CollectionConfig, CollectionId, FieldType, RequestId};
use crate::model::Consistency;

/// A change of the cluster map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MetaCommand {
    /// The first map. Has no effect on a map that is formed.
    Form {
        /// The map to start with.
        map: ClusterMap,
    },
    /// Adds a collection.
    CreateCollection {
        /// Its name, unique in the cluster.
        name: String,
        /// Its vectors.
        config: CollectionConfig,
        /// The consistency of requests that name none.
        default_consistency: Consistency,
    },
    /// Removes a collection. Of earlier releases; [`TakeOutCollection`](Self::TakeOutCollection) took its place.
    DropCollection {
        /// Its name.
        name: String,
        /// The collection that is meant: a retry must not remove a later one of the same name.
        id: CollectionId,
    },
    /// Records where a node listens now. Of earlier releases; [`Announce`](Self::Announce) took its place.
    SetAddress {
        /// The node.
        node: NodeId,
        /// Host that clients reach it at.
        host: String,
        /// Port of its HTTP API.
        port: u16,
        /// `host:port` that its peers reach it at.
        peer_addr: String,
    },
    /// Takes a node that waits to be adopted.
    AddNode {
        /// What it says of itself; its state is of no account.
        entry: NodeEntry,
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// Has a node hand over what it holds and leave.
    RemoveNode {
        /// The node.
        node: NodeId,
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// Has a node hand over what it holds and stay, or take replicas again.
    SetDraining {
        /// The node.
        node: NodeId,
        /// Which of the two.
        draining: bool,
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// Sets labels of a node; an empty value removes one.
    SetLabels {
        /// The node.
        node: NodeId,
        /// Labels by key.
        labels: BTreeMap<String, String>,
    },
    /// Moves one replica of a shard.
    MoveReplica {
        /// The shard.
        shard: ShardId,
        /// The node that holds it.
        from: NodeId,
        /// The node that is to hold it.
        to: NodeId,
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// Has another node lead a shard.
    TransferLeader {
        /// The shard.
        shard: ShardId,
        /// The node.
        to: NodeId,
    },
    /// Begins an operation that ends when nothing is left to balance.
    Rebalance {
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// Calls an operation off.
    Cancel {
        /// Its number.
        operation: u64,
        /// The time, for the operation's record.
        at_ms: u64,
    },
    /// The driver's decision; without effect on another map than the one it was made upon.
    Plan {
        /// Epoch of that map.
        epoch: u64,
        /// The time, for the operation's record.
        at_ms: u64,
        /// What was decided.
        change: Change,
    },
    /// A group's leader says where its replicas are.
    Confirm {
        /// The group.
        group: GroupId,
        /// Which plan it has carried out.
        planned: u64,
        /// Its members, all with a vote.
        members: BTreeSet<NodeId>,
        /// Log index of the membership in the group's log.
        at: u64,
    },
    /// Says whether a payload field is indexed, and as what.
    SetFieldIndex {
        /// The collection's name.
        name: String,
        /// The collection that is meant: a retry must not change a later one of the same name.
        id: CollectionId,
        /// The field's path.
        field: String,
        /// What it is indexed as; `None`: not any more.
        kind: Option<FieldType>,
    },
    /// A group that had lost its majority goes on with one member, by the operator's order.
    Recover {
        /// The group.
        group: GroupId,
        /// Its only member.
        node: NodeId,
        /// Log index of the membership in the group's log.
        at: u64,
    },
    /// Another change under a request id, by which a repetition is answered and not carried out again.
    Once {
        /// The id.
        request: RequestId,
        /// The change, encoded; none of this kind.
        change: Bytes,
    },
    /// The map's own group had lost its majority and goes on with one member, by the operator's order. What the lost ones
    /// gave out is not known: all numbers and the epoch go on far beyond it.
    RecoverMap {
        /// Its only member.
        node: NodeId,
        /// Log index of the membership in the group's log.
        at: u64,
    },
    /// Records where a node listens from one of its starts on.
    Announce {
        /// The node.
        node: NodeId,
        /// Host that clients reach it at.
        host: String,
        /// Port of its HTTP API.
        port: u16,
        /// `host:port` that its peers reach it at.
        peer_addr: String,
        /// The number of that start.
        life: u64,
    },
    /// Removes a collection. Its name is free once all shards have been told.
    TakeOutCollection {
        /// Its name.
        name: String,
        /// The collection that is meant: a retry must not remove a later one of the same name.
        id: CollectionId,
    },
    /// Says that every shard has been told of collections that were taken out.
    CollectionsGone {
        /// Their numbers.
        ids: Vec<CollectionId>,
    },
    /// Sets the timings of consensus. Nodes take them on when they start.
    SetTimings {
        /// All of them.
        timings: RaftTimings,
    },
}

impl MetaCommand {
    /// The bytes that go into the log.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Returns `true` if a newer release wrote these bytes, whatever they mean.
    pub fn is_newer(bytes: &[u8]) -> bool {
        is_newer(bytes)
    }

    /// Looks whether a command can be read, and the one inside it where it is a named one.
    ///
    /// # Errors
    /// As [`MetaCommand::decode`].
    pub fn check(bytes: &[u8]) -> Result<(), MetaCodecError> {
        match Self::decode(bytes)? {
            Self::Once { change, .. } => Self::decode(&change).map(drop),
            _ => Ok(()),
        }
    }

    /// Reads a command from the log.
    ///
    /// # Errors
    /// Where the bytes are cut, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaCodecError> {
        decode("command", bytes)
    }

    /// Returns `true` if carrying it out twice differs from once, so that it goes under a request id. All others name
    /// the state to reach, or the map that they were decided upon.
    pub fn must_be_once(&self) -> bool {
        match self {
            Self::CreateCollection { .. }
            | Self::DropCollection { .. }
            | Self::TakeOutCollection { .. }
            | Self::AddNode { .. }
            | Self::RemoveNode { .. }
            | Self::SetDraining { .. }
            | Self::SetLabels { .. }
            | Self::MoveReplica { .. }
            | Self::TransferLeader { .. }
            | Self::Rebalance { .. }
            | Self::Cancel { .. }
            | Self::SetAddress { .. }
            | Self::Announce { .. }
            | Self::SetTimings { .. }
            | Self::SetFieldIndex { .. } => true,
            Self::Form { .. }
            | Self::Plan { .. }
            | Self::Confirm { .. }
            | Self::CollectionsGone { .. }
            | Self::Recover { .. }
            | Self::RecoverMap { .. }
            | Self::Once { .. } => false,
        }
    }

    /// The name of the collection that this changes, if it changes one.
    pub fn collection(&self) -> Option<&str> {
        match self {
            Self::CreateCollection { name, .. }
            | Self::DropCollection { name, .. }
            | Self::TakeOutCollection { name, .. }
            | Self::SetFieldIndex { name, .. } => Some(name),
            Self::AddNode { .. }
            | Self::RemoveNode { .. }
            | Self::SetDraining { .. }
            | Self::SetLabels { .. }
            | Self::MoveReplica { .. }
            | Self::TransferLeader { .. }
            | Self::Rebalance { .. }
            | Self::Cancel { .. }
            | Self::SetAddress { .. }
            | Self::Announce { .. }
            | Self::SetTimings { .. }
            | Self::Form { .. }
            | Self::Plan { .. }
            | Self::Confirm { .. }
            | Self::CollectionsGone { .. }
            | Self::Recover { .. }
            | Self::RecoverMap { .. }
            | Self::Once { .. } => None,
        }
    }
}
