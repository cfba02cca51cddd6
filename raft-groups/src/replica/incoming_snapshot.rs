//! A snapshot on its way in: how much of it is here, and what came of its installation.
//!
//! Plain bookkeeping; who fills it is in [`super::receive_snapshot`].

use openraft::raft::SnapshotResponse;

use crate::consensus::types::RaftTypes;
use crate::consensus::watch;
use crate::storage::state::StagedGeneration;

/// A snapshot that a leader sends, chunk by chunk. Invariant: the first `chunks` chunks are stored in the
/// generation of `staged`.
pub struct IncomingSnapshot {
    /// Its number, by which the leader names it.
    pub transfer: u64,
    /// Where its pairs are stored meanwhile.
    pub staged: StagedGeneration,
    /// Chunks taken so far.
    pub chunks: u64,
    /// There once all chunks are, and the leader has asked for it.
    pub installation: Option<Installation>,
}

/// The outcome of an installation, once there is one.
pub type Installation = watch::Receiver<Option<Result<SnapshotResponse<RaftTypes>, String>>>;

impl IncomingSnapshot {
    /// Returns `true` if it is not installed yet.
    pub fn is_under_way(&self) -> bool {
        self.installation.as_ref().is_none_or(|installation| installation.borrow().is_none())
    }
}
