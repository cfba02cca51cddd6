//! The calling side: sends a request to one replica on another node, and says why there is no answer.
//!
//! Comes in: a [`PeerRequest`]. Goes out: its [`PeerReply`]. The envelope names cluster, nodes, lives and group, so
//! no other node's answer is taken for it. The faults of tests apply here, and a lost message is recorded as an
//! event. This file must not know what an answer means to consensus.

use std::sync::Arc;
use std::time::Duration;

use super::faults::Faults;
use super::lives::Lives;
use super::throttle::Throttle;
use super::transport::{Lane, Transport, Unreachable};
use super::wire::{PeerRefusal, PeerReply, PeerRequest, ReplyEnvelope, RequestEnvelope, decode, encode};
use crate::events::{EventKind, Recorder};
use crate::lease::promise::LeaderPromise;
use crate::storage::state::GroupState;
use crate::{GroupId, Identity, NodeId};

/// The slowest link, in bytes a second, that does not count as dead. A deadline allows for the data at this rate.
const SLOWEST_LINK: u64 = 4 << 20;

/// Calls replicas of one group on other nodes.
#[derive(Clone)]
pub struct PeerClient {
    pub identity: Identity,
    /// The newest life that was seen of each node.
    pub lives: Arc<Lives>,
    pub group: GroupId,
    pub events: Recorder,
    pub transport: Arc<dyn Transport>,
    pub faults: Faults,
    /// The promise that this replica asks of its followers when it leads, in milliseconds.
    pub lease_ms: u32,
    /// What this replica itself has promised.
    pub promise: LeaderPromise,
    /// How long a follower may take to store entries or a chunk of a snapshot, beside the time for their size.
    pub patience: Duration,
    /// How many entries before the newest snapshot a follower may lack and still be sent entries.
    pub backlog: u64,
    /// This replica's own state.
    pub state: GroupState,
    /// Bounds the snapshots that this node sends.
    pub throttle: Arc<Throttle>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerCallError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("node {0} refused: {1}")]
    Refused(NodeId, PeerRefusal),
    #[error("node {0} answered something else than it was asked")]
    Nonsense(NodeId),
}

impl PeerCallError {
    /// Returns what went wrong, without the other node's number: people know nodes by name.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreachable(error) => error.reason.clone(),
            Self::Refused(_, refusal) => refusal.to_string(),
            Self::Nonsense(_) => "it answered something else than it was asked".to_owned(),
        }
    }

    /// Returns the reason in a word.
    fn reason_name(&self) -> &'static str {
        match self {
            Self::Refused(_, PeerRefusal::Cut) => "cut",
            // The transports give only text, so this is the one place that looks into it. Only events use the word.
            Self::Unreachable(error) if ["in time", "timed out"].iter().any(|late| error.reason.contains(late)) => {
                "timeout"
            }
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_, PeerRefusal::UnknownGroup | PeerRefusal::NoMember) => "not_ready",
            Self::Refused(..) | Self::Nonsense(_) => "refused",
        }
    }
}

impl PeerClient {
    /// Sends `request` to `target`, and waits at most `deadline` plus the time for its size. A failure is recorded
    /// as an event.
    ///
    /// # Errors
    /// [`PeerCallError`]. Unless the node refused, the request may have been carried out.
    pub async fn call(
        &self,
        target: NodeId,
        lane: Lane,
        request: PeerRequest,
        deadline: Duration,
    ) -> Result<PeerReply, PeerCallError> {
        let (what, term) = (request.kind_name(), request.term());
        let reply = self.call_unseen(target, lane, request, deadline).await;
        if let Err(error) = &reply {
            self.events.tell(term, || EventKind::MessageLost { to: target, what, reason: error.reason_name() });
        }
        reply
    }

    /// Sends a request and checks what comes back, without an event.
    async fn call_unseen(
        &self,
        target: NodeId,
        lane: Lane,
        request: PeerRequest,
        deadline: Duration,
    ) -> Result<PeerReply, PeerCallError> {
        // The way to the node, as a fault test has it.
        if self.faults.loses_to(target) {
            return Err(PeerCallError::Refused(target, PeerRefusal::Cut));
        }
        self.faults.delay_to(target).await;
        let Identity { cluster, node, .. } = self.identity;
        let (group, lease_ms) = (self.group, self.lease_ms);
        let (life, known) = (self.lives.own(), self.lives.newest_of(target));
        let envelope =
            encode(&RequestEnvelope { cluster, from: node, to: target, life, known, group, lease_ms, request });
        let deadline = deadline + Duration::from_millis(envelope.len() as u64 * 1000 / SLOWEST_LINK);
        let reply = self.transport.call(target, lane, envelope, deadline).await?;
        // The way back: the node has carried the request out all the same.
        if self.faults.loses_from(target) {
            return Err(PeerCallError::Refused(target, PeerRefusal::Cut));
        }
        // An answer from an earlier life of the node does not count: that is an older copy of its directory.
        let Ok(ReplyEnvelope { life, reply }) = decode(&reply) else { return Err(PeerCallError::Nonsense(target)) };
        if !self.lives.admit(target, life) {
            return Err(PeerCallError::Refused(target, PeerRefusal::OlderLife { yours: false }));
        }
        // The refusal may show that this node was started again since this process began.
        match reply {
            PeerReply::Refused(PeerRefusal::OlderLife { yours }) => {
                if yours {
                    self.lives.note_overtaken();
                }
                Err(PeerCallError::Refused(target, PeerRefusal::OlderLife { yours }))
            }
            PeerReply::Refused(refusal) => Err(PeerCallError::Refused(target, refusal)),
            reply => Ok(reply),
        }
    }
}
