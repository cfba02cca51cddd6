//! One running replica: openraft's handle, the machine it applies to, and what is known beside.
//!
//! [`crate::Group`] is its public face, [`open_replica`] what its node may ask of it whatever its machine. What it
//! does is in the file of the deed: [`answer`] and [`vote`] (its answers to peers), [`receive_snapshot`] (a leader's
//! state comes in), [`read`] (reads at their three degrees), [`heartbeat`] (its own to its followers), [`status`]
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

/// Bytes of writes that may wait for their commit in one group; more are refused as busy.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A replica while it takes part in its group.
pub struct Replica<M: Machine> {
    pub raft: Raft<RaftTypes, Applier<M>>,
    pub applied: AppliedState<M>,
    pub state: GroupState,
    pub log: GroupLog,
    pub peers: PeerClient,
    pub settings: Arc<RaftSettings>,
    /// What was heard of the leader; the leader itself knows its quorum.
    pub freshness: Mutex<AppliedFreshness>,
    /// When a leader was last heard, whatever it said. For the length of a promise from then on this replica votes for
    /// nobody else.
    pub heard_leader: Mutex<Option<tokio::time::Instant>>,
    /// Notices that the machine has slept, after which the lease no longer counts.
    pub suspension: SuspendWatch,
    /// What the whole node has promised at most.
    pub longest: Arc<LongestPromise>,
    pub confirmations: Confirmations,
    pub incoming: Mutex<Option<IncomingSnapshot>>,
    pub waiting_bytes: AtomicUsize,
    /// In earlier lives it may have shown the state as of this index, and no newer one.
    pub shown_before: u64,
    /// `true` if it may vote before its log says that it is a member.
    pub founder: bool,
}

/// Room taken by a write until it is committed or given up.
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
    /// The node this replica is on.
    pub fn node(&self) -> NodeId {
        self.peers.identity.node
    }

    /// The leader this replica follows or is.
    pub fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow_watched().current_leader
    }

    /// The term it is in.
    pub fn term(&self) -> u64 {
        self.raft.metrics().borrow_watched().current_term
    }

    /// Takes room for a write of `bytes`; `None` where too much waits already.
    pub fn admit(&self, bytes: usize) -> Option<Admission<'_>> {
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let admission = Admission { waiting: &self.waiting_bytes, bytes };
        (waiting < MAX_WAITING_BYTES).then_some(admission)
    }

    /// Why this replica no longer takes part, with the way out.
    pub fn stop_reason(&self) -> Option<String> {
        self.log.damage().map(str::to_owned).or_else(|| end_reason(&self.raft.metrics()))
    }

    /// An error if this replica no longer takes part.
    pub fn check_running(&self) -> Result<(), ReadError> {
        self.stop_reason().map_or(Ok(()), |reason| Err(ReadError::Stopped { reason }))
    }

    /// Stops taking part; the data stays, and nothing reaches it any more.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = %self.peers.group, %error, "the group did not stop cleanly");
        }
        // openraft does not wait for its state machine, nor does this crate for what it cleared away or received: any
        // of it may be long work, and whoever erases this replica or opens another must not meet what it still writes.
        self.log.close();
        self.state.syncer().close();
    }
}

/// Why consensus has ended, by its own last word or by its silence.
fn end_reason(metrics: &watch::Receiver<RaftMetrics<RaftTypes>>) -> Option<String> {
    let way_out = "mend what failed and restart the node; the other replicas still hold the data";
    let said = metrics.borrow().running_state.as_ref().err().map(fatal::explain_end);
    // Consensus that panicked says nothing more, not even that: its last words may be that it leads.
    let silent = || metrics.has_ended().then(|| "consensus has ended without a word, as after a panic".to_owned());
    said.or_else(silent).map(|reason| format!("{reason}; {way_out}"))
}
