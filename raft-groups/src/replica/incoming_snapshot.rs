//! A snapshot that is being received: how much of it is here, and the outcome of its installation.
//!
//! Plain data, which [`super::receive_snapshot`] fills in.

use openraft::raft::SnapshotResponse;

use crate::consensus::types::RaftTypes;
use crate::consensus::watch;
use crate::storage::state::StagedGeneration;

/// A snapshot that a leader sends in chunks. Invariant: the first `chunks` chunks are stored in the generation
/// `staged`.
pub struct IncomingSnapshot {
    /// The random number by which the leader names this transfer.
    pub transfer: u64,
    /// The generation in which its pairs are stored.
    pub staged: StagedGeneration,
    /// Chunks taken so far.
    pub chunks: u64,
    /// The installation, once all chunks are here and the leader has asked for it.
    pub installation: Option<Installation>,
}

/// A channel with the outcome of an installation; `None` until it has ended. A failure is told as text.
pub type Installation = watch::Receiver<Option<Result<SnapshotResponse<RaftTypes>, String>>>;

impl IncomingSnapshot {
    /// Returns `true` if its installation has not ended yet.
    pub fn is_under_way(&self) -> bool {
        self.installation.as_ref().is_none_or(|installation| installation.borrow().is_none())
    }
}
