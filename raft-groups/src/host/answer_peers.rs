//! Receives the requests of peers, and finds the replica that each one is for.
//!
//! Comes in: the bytes of an envelope. Goes out: the bytes of a reply. A request is refused if it comes from another
//! cluster or from a node's earlier life, or if it is for another node or a group that is not open here. While the
//! disk hangs every request is refused. The replica alone knows what a request asks.

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
    /// Answers one request of a peer: `request` is an encoded envelope, and so is the reply. A refusal is a reply
    /// too.
    pub async fn handle(&self, request: Bytes) -> Bytes {
        let reply = self.reply(&request).await.unwrap_or_else(PeerReply::Refused);
        encode(&ReplyEnvelope { life: self.0.lives.own(), reply })
    }

    async fn reply(&self, request: &[u8]) -> Result<PeerReply, PeerRefusal> {
        let envelope: RequestEnvelope = decode(request)?;
        let from = envelope.from;
        let replica = self.find_replica(&envelope)?;
        let lease = Duration::from_millis(envelope.lease_ms.into());
        // No restart waits for a longer promise, so nobody may be bound by one.
        if lease > LONGEST_PROMISE {
            return Err(PeerRefusal::Unreadable);
        }
        let reply = replica.answer(envelope.request, lease).await;
        // The way back, as a fault test has it. The request is carried out even if its reply is lost.
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
        // Checked while the disk hangs too: a node that was overtaken must learn of it.
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

    /// Records as an event that this node gives no vote because it has just restarted.
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
