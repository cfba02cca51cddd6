//! A replica's votes: whether it may vote at all, whether a promise binds it, and why a vote is refused.
//!
//! Comes in: a candidate's request, or its pre-vote (Ongaro's thesis, § 9.6). Goes out: openraft's answer, or a
//! refusal if this replica is no member by its own log, or has promised a leader not to depose it. Each answer is
//! recorded as an event, with its reason.

use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{VoteRequest, VoteResponse};
use openraft::{Instant as _, ServerState};

use super::Replica;
use crate::Machine;
use crate::consensus::types::{RaftTypes, Vote};
use crate::events::vote_reason::refusal;
use crate::events::{EventKind, VoteReason};
use crate::mutants::{Mutant, is_planted};
use crate::network::wire::{PeerRefusal, PeerReply};

impl<M: Machine> Replica<M> {
    /// Refuses a vote because a promise binds this replica.
    fn refuse_for_promise(&self, rpc: &VoteRequest<RaftTypes>, pre: bool) -> PeerReply {
        let (candidate, term) = (rpc.vote.leader_id.voted_for, rpc.vote.leader_id.term);
        let (vote, last, _) = self.log.summary();
        let vote = vote.unwrap_or_else(|| Vote::new(0, self.node()));
        self.peers.events.tell(term, || {
            let reason = refusal((&rpc.vote, rpc.last_log_id.as_ref()), (&vote, last.as_ref()), true, false);
            EventKind::VoteRefused { candidate, pre, reason }
        });
        PeerReply::Vote(VoteResponse::new(vote, last, false))
    }

    /// Votes. In a pre-vote it says how it would vote.
    pub(super) async fn vote(&self, rpc: VoteRequest<RaftTypes>, pre: bool) -> PeerReply {
        let (asked, events) = (rpc.clone(), &self.peers.events);
        let (candidate, term) = (rpc.vote.leader_id.voted_for, rpc.vote.leader_id.term);
        if !self.may_vote() {
            events.tell(term, || EventKind::VoteRefused { candidate, pre, reason: VoteReason::NoMember });
            return PeerReply::Refused(PeerRefusal::NoMember);
        }
        // An election that the leader itself asked for breaks no promise: that leader has given up its lease.
        let bound = || self.peers.promise.binds() && !asked.leadership_transfer;
        if bound() {
            return self.refuse_for_promise(&asked, pre);
        }
        let hears_leader = events.is_on() && self.hears_leader();
        let answered = if pre { self.raft.pre_vote(rpc).await } else { self.raft.vote(rpc).await };
        let Ok(answer) = answered else { return PeerReply::Refused(PeerRefusal::Stopped) };
        if answer.vote_granted && bound() {
            // A promise was made while this replica voted. A vote that is never sent elects nobody.
            return self.refuse_for_promise(&asked, pre);
        }
        events.tell(term, || match answer.vote_granted {
            true => EventKind::VoteGranted { candidate, pre },
            false => {
                let stands = ((&asked.vote, asked.last_log_id.as_ref()), (&answer.vote, answer.last_log_id.as_ref()));
                let reason = refusal(stands.0, stands.1, hears_leader, asked.leadership_transfer);
                EventKind::VoteRefused { candidate, pre, reason }
            }
        });
        PeerReply::Vote(answer)
    }

    /// Returns `true` if it may vote at all. A newcomer may not before its own log names it: see
    /// [`crate::storage::replica_record`].
    pub fn may_vote(&self) -> bool {
        self.founder || is_planted(Mutant::StrangersVote) || {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            membership.voter_ids().chain(membership.learner_ids()).any(|node| node == self.node())
        }
    }

    /// Returns `true` if a leader's lease binds this replica: it leads and a majority answers it, or it hears a
    /// leader.
    pub fn hears_leader(&self) -> bool {
        let promise = self.settings.election_max;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state == ServerState::Leader {
            return metrics.last_quorum_acked.as_ref().is_some_and(|acked| acked.elapsed() < promise);
        }
        let heard = || self.heard_leader.lock().is_some_and(|heard| heard.elapsed() < promise);
        metrics.vote.committed && (self.peers.promise.binds() || heard())
    }
}
