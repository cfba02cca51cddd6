//! openraft's types, fixed once for every group: commands and replies are opaque bytes.
//!
//! This file alone decides what openraft's types are called in this crate. To everyone above, index 0 means "none":
//! see [`index_of`].

use std::fmt;

use bytes::Bytes;
use openraft::impls::EmptyNode;
use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::consensus::runtime::Runtime;

/// A machine's command as the log carries it. A clone shares the bytes: replication clones entries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandBytes(pub Bytes);

impl fmt::Debug for CommandBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandBytes({} B)", self.0.len())
    }
}

impl fmt::Display for CommandBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

openraft::declare_raft_types!(
    /// `leader_id_std` allows one leader a term, as Raft does. openraft's default allows two nodes to lead in one
    /// term, one after the other.
    pub RaftTypes:
        D = CommandBytes,
        R = Bytes,
        NodeId = NodeId,
        Node = EmptyNode,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>,
        AsyncRuntime = Runtime,
);

pub type LogId = openraft::alias::LogIdOf<RaftTypes>;
pub type Vote = openraft::alias::VoteOf<RaftTypes>;
pub type LogEntry = openraft::alias::EntryOf<RaftTypes>;
pub type StoredMembership = openraft::alias::StoredMembershipOf<RaftTypes>;
pub type CommittedLeaderId = openraft::alias::CommittedLeaderIdOf<RaftTypes>;
pub type Node = EmptyNode;
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<RaftTypes>;

/// Returns the index of a log id, 0 for none. openraft's first entry has index 0 and is the initial membership,
/// which no client can see. So 0 and "none" mean the same to everyone above.
pub fn index_of(log_id: &Option<LogId>) -> u64 {
    log_id.as_ref().map_or(0, |id| id.index)
}
