//! The way in for the requests of peers: which replica one is for, and whether it is for this node at all.
//!
//! Comes in: the bytes of an envelope. Goes out: the bytes of a reply. A request of another cluster, for another node,
//! from a node's earlier life or for a group that is not open here is refused, and so is all while the disk hangs.
//! What the request asks is the replica's matter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Host;
use crate::events::{EventKind, Recorder, VoteReason};
use crate::lease::promise::LONGEST_PROMISE;
use crate::network::AnswerRequests;
use crate::network::wire::{PeerRefusal, PeerReply, PeerRequest, ReplyEnvelope, RequestEnvelope, decode, encode};
use crate::replica::open_replica::OpenReplica;

impl AnswerRequests for Host {
    async fn answer_request(&self, request: Bytes) -> Bytes {
        self.handle(request).await
    }
}

impl Host {
    /// Answers one request of a peer.
    pub async fn handle(&self, request: Bytes) -> Bytes {
        let reply = self.reply(&request).await.unwrap_or_else(PeerReply::Refused);
        encode(&ReplyEnvelope { life: self.0.lives.own(), reply })
    }

    async fn reply(&self, request: &[u8]) -> Result<PeerReply, PeerRefusal> {
        let envelope: RequestEnvelope = decode(request)?;
        let from = envelope.from;
        let replica = self.find_replica(&envelope)?;
        let lease = Duration::from_millis(envelope.lease_ms.into());
        if lease > LONGEST_PROMISE {
            return Err(PeerRefusal::Unreadable);
        }
        let reply = replica.answer(envelope.request, lease).await;
        self.0.faults.delay_to(from).await;
        if self.0.faults.loses_to(from) { Err(PeerRefusal::Cut) } else { Ok(reply) }
    }

    fn find_replica(&self, envelope: &RequestEnvelope) -> Result<Arc<dyn OpenReplica>, PeerRefusal> {
        let identity = self.0.identity;
        if envelope.cluster != identity.cluster {
            return Err(PeerRefusal::OtherCluster);
        }
        if envelope.to != identity.node {
            return Err(PeerRefusal::OtherNode);
        }
        if self.0.faults.loses_from(envelope.from) {
            return Err(PeerRefusal::Cut);
        }
        self.0.lives.check(envelope)?;
        if self.0.hung_for().is_some() {
            return Err(PeerRefusal::Hung);
        }
        let groups = self.0.groups.read();
        let Some(open) = groups.get(&envelope.group) else {
            drop(groups);
            self.tell_of_silence(envelope);
            return Err(PeerRefusal::UnknownGroup);
        };
        Ok(open.clone())
    }

    /// A vote that is not given since this node has just restarted is worth telling.
    fn tell_of_silence(&self, envelope: &RequestEnvelope) {
        let (rpc, pre) = match &envelope.request {
            PeerRequest::Vote(rpc) => (rpc, false),
            PeerRequest::PreVote(rpc) => (rpc, true),
            _ => return,
        };
        if Instant::now() < self.0.silent_until {
            let (candidate, reason) = (envelope.from, VoteReason::SilentAfterRestart);
            let recorder = Recorder::new(self.0.events.clone(), envelope.group);
            recorder.tell(rpc.vote.leader_id.term, || EventKind::VoteRefused { candidate, pre, reason });
        }
    }
}
