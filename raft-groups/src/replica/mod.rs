//! One running replica: openraft's handle, the machine, and what this crate knows beside them.
//!
//! [`crate::Group`] is its public interface. [`open_replica`] is what its node may ask of it, whatever its machine.
//! Each task has a file: [`answer`] and [`vote`] (its answers to peers), [`receive_snapshot`] (a leader's state is
//! received), [`read`] (reads in their three modes), [`heartbeat`] (its own heartbeats to followers), [`status`]
//! (what it says of itself).

mod answer;
pub(crate) mod confirmations;
pub(crate) mod heartbeat;
pub(crate) mod incoming_snapshot;
mod inspection;
pub(crate) mod open_replica;
mod read;
mod receive_snapshot;
mod status;
mod vote;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Raft, RaftMetrics};
use parking_lot::Mutex;

use self::confirmations::Confirmations;
use self::incoming_snapshot::IncomingSnapshot;
use crate::consensus::types::RaftTypes;
use crate::consensus::{fatal, watch};
use crate::lease::freshness::AppliedFreshness;
use crate::lease::promise::LongestPromise;
use crate::lease::suspend::SuspendWatch;
use crate::network::client::PeerClient;
use crate::storage::log::GroupLog;
use crate::storage::state::GroupState;
use crate::storage::state::applier::{AppliedState, Applier};
use crate::{Machine, NodeId, RaftSettings, ReadError};

/// Bytes of writes that may wait for their commit in one group. Beyond them a write is refused as busy.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A replica while it takes part in its group.
pub struct Replica<M: Machine> {
    pub raft: Raft<RaftTypes, Applier<M>>,
    pub applied: AppliedState<M>,
    pub state: GroupState,
    pub log: GroupLog,
    pub peers: PeerClient,
    pub settings: Arc<RaftSettings>,
    /// How fresh the state of a follower is. A leader has openraft's quorum time instead.
    pub freshness: Mutex<AppliedFreshness>,
    /// When a leader of the newest term was last heard. For one longest election timeout from then on, this replica
    /// votes for nobody else.
    pub heard_leader: Mutex<Option<tokio::time::Instant>>,
    /// Notices that the machine has slept. After that the lease no longer counts.
    pub suspension: SuspendWatch,
    /// The longest promise of the whole node.
    pub longest: Arc<LongestPromise>,
    pub confirmations: Confirmations,
    pub incoming: Mutex<Option<IncomingSnapshot>>,
    pub waiting_bytes: AtomicUsize,
    /// In earlier lives this node showed no state newer than this index.
    pub shown_before: u64,
    /// `true` if it may vote before its log says that it is a member.
    pub founder: bool,
}

/// Room that a write takes until it is committed or given up.
pub struct Admission<'a> {
    waiting: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let waiting = self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
        assert!(waiting >= self.bytes, "a write gives back more room than was taken");
    }
}

impl<M: Machine> Replica<M> {
    /// Returns the node that holds this replica.
    pub fn node(&self) -> NodeId {
        self.peers.identity.node
    }

    /// Returns the leader that this replica follows or is.
    pub fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow_watched().current_leader
    }

    /// Returns the term it is in.
    pub fn term(&self) -> u64 {
        self.raft.metrics().borrow_watched().current_term
    }

    /// Takes room for a write of `bytes`; `None` if [`MAX_WAITING_BYTES`] or more wait already. A single large write
    /// is admitted.
    pub fn admit(&self, bytes: usize) -> Option<Admission<'_>> {
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let admission = Admission { waiting: &self.waiting_bytes, bytes };
        (waiting < MAX_WAITING_BYTES).then_some(admission)
    }

    /// Returns why this replica no longer takes part, with what the operator can do; `None` while it takes part.
    pub fn stop_reason(&self) -> Option<String> {
        self.log.damage().map(str::to_owned).or_else(|| end_reason(&self.raft.metrics()))
    }

    /// Fails if this replica no longer takes part.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub fn check_running(&self) -> Result<(), ReadError> {
        self.stop_reason().map_or(Ok(()), |reason| Err(ReadError::Stopped { reason }))
    }

    /// Stops taking part. The data stays; after the return this replica writes nothing more.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = %self.peers.group, %error, "the group did not stop cleanly");
        }
        // openraft does not wait for its state machine. This crate does not wait for tasks that erase data or
        // receive a snapshot. All of these may still write, so both queues are closed. Then whoever erases this
        // replica or opens it again meets no late write.
        self.log.close();
        self.state.syncer().close();
    }
}

/// Returns why consensus has ended: by its last metrics, or because these have no sender any more.
fn end_reason(metrics: &watch::Receiver<RaftMetrics<RaftTypes>>) -> Option<String> {
    let way_out = "mend what failed and restart the node; the other replicas still hold the data";
    let said = metrics.borrow().running_state.as_ref().err().map(fatal::explain_end);
    // If consensus panicked, its metrics do not say so. They may still say that it leads.
    let silent = || metrics.has_ended().then(|| "consensus has ended and gave no reason, as after a panic".to_owned());
    said.or_else(silent).map(|reason| format!("{reason}; {way_out}"))
}
