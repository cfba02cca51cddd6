//! All groups of one node: one log store, one state store, one sync thread, one way in for peer requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::network::Transport;
use crate::storage::Disk;
use crate::{Group, GroupId, Machine, NodeId, OpenError};

/// Who this node is, in every peer request: a request of another cluster or another life of a node is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, chosen when it is formed.
    pub cluster: [u8; 16],
    /// This node's number in it.
    pub node: NodeId,
    /// Chosen when the node's data directory was made.
    pub incarnation: [u8; 16],
}

/// Timing and size limits of Raft; milliseconds and entries.
#[derive(Debug, Clone)]
pub struct RaftSettings {
    /// How often a leader that has nothing to send proves it is alive.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower campaigns.
    pub election_min: Duration,
    /// Longest silence after which a follower campaigns; also the length of the promise a follower makes to its leader.
    pub election_max: Duration,
    /// A snapshot point is taken and the log purged after this many entries.
    pub snapshot_after: u64,
    /// This many entries stay in the log behind a snapshot point, for followers that lag a little.
    pub keep_entries: u64,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(150), election_min: Duration::from_millis(600), election_max: Duration::from_millis(1200), snapshot_after: 5000, keep_entries: 2000 }
    }
}

/// A node's groups; clones share them.
#[derive(Clone)]
pub struct Host {}

impl Host {
    /// Starts the stores' sync thread. Waits one election timeout first where the disk is not empty.
    pub async fn open(identity: Identity, settings: RaftSettings, disk: Disk, transport: Arc<dyn Transport>) -> Result<Host, OpenError> { let _ = (identity, settings, disk, transport); unimplemented!() }
    /// Opens this node's replica of `id`, new or stored.
    pub async fn open_group<M: Machine>(&self, id: GroupId) -> Result<Group<M>, OpenError> { let _ = id; unimplemented!() }
    /// Answers one request of a peer.
    pub async fn handle(&self, request: Bytes) -> Bytes { let _ = request; unimplemented!() }
    /// Bytes on disk of logs and state.
    pub fn disk_bytes(&self) -> u64 { unimplemented!() }
    /// Stops all groups and closes the stores.
    pub async fn stop(&self) {}
}
