//! Why a vote was refused. openraft answers yes or no. The reason follows from what openraft compares, in this
//! order: the lease of a living leader, then the logs, then the votes.

use crate::consensus::types::{LogId, Vote};

/// Why a voter refuses its vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteReason {
    /// The candidate's term is lower than the voter's (Raft, § 5.1).
    TermBehind,
    /// The candidate's log lacks entries that the voter holds (Raft, § 5.4.1).
    LogBehind,
    /// The voter has voted for another candidate in this term (Raft, § 5.2).
    VotedForOther,
    /// The voter hears a leader, and has promised not to depose it (Ongaro's thesis, § 4.2.3).
    LeaderAlive,
    /// The voter does not know itself as a member yet.
    NoMember,
    /// The voter has just restarted and may have forgotten a promise, so it votes for nobody yet.
    SilentAfterRestart,
}

impl VoteReason {
    /// Returns the reason in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::TermBehind => "term_behind",
            Self::LogBehind => "log_behind",
            Self::VotedForOther => "voted_for_other",
            Self::LeaderAlive => "leader_alive",
            Self::NoMember => "no_member",
            Self::SilentAfterRestart => "silent_after_restart",
        }
    }
}

/// What a candidate asks with, and a voter answers with: its vote and its last log id.
pub(crate) type Stand<'a> = (&'a Vote, Option<&'a LogId>);

/// Returns why `voter` refused `candidate`. `hears_leader` says whether the voter is known to have heard a leader
/// when it was asked. `allowed` says that this leader itself asked for the election.
pub(crate) fn refusal(candidate: Stand<'_>, voter: Stand<'_>, hears_leader: bool, allowed: bool) -> VoteReason {
    let ((asked, asked_log), (own, own_log)) = (candidate, voter);
    // A lease binds a voter only while its vote is that of an elected leader. A voter that heard a leader may have
    // stood for election itself before it answered. Then its own vote is the reason. If neither the logs nor the
    // terms explain the refusal, only a lease is left.
    let nothing_else = asked_log >= own_log && asked.leader_id.term > own.leader_id.term;
    if own.committed && !allowed && (hears_leader || nothing_else) {
        VoteReason::LeaderAlive
    } else if asked_log < own_log {
        VoteReason::LogBehind
    } else if asked.leader_id.term < own.leader_id.term {
        VoteReason::TermBehind
    } else {
        VoteReason::VotedForOther
    }
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_std::LeaderId;

    use super::*;

    fn vote(term: u64, node: u64) -> Vote {
        Vote { leader_id: LeaderId { term, voted_for: node }, committed: false }
    }

    fn log(term: u64, index: u64) -> LogId {
        LogId { leader_id: LeaderId { term, voted_for: 1 }.into_committed(), index }
    }

    trait IntoCommitted {
        fn into_committed(self) -> crate::consensus::types::CommittedLeaderId;
    }

    impl IntoCommitted for LeaderId<u64, u64> {
        fn into_committed(self) -> crate::consensus::types::CommittedLeaderId {
            openraft::vote::RaftLeaderId::to_committed(&self)
        }
    }

    #[test]
    fn each_refusal_has_its_reason_and_the_first_that_applies_is_given() {
        let (short, long) = (log(2, 5), log(2, 6));
        let reason = |asked: (u64, u64), asked_log, own: (u64, u64), own_log, hears, allowed| {
            let (asked, own) = (vote(asked.0, asked.1), Vote { committed: hears, ..vote(own.0, own.1) });
            refusal((&asked, Some(asked_log)), (&own, Some(own_log)), hears, allowed)
        };
        assert_eq!(reason((3, 1), &long, (3, 2), &long, false, false), VoteReason::VotedForOther);
        assert_eq!(reason((3, 1), &long, (4, 2), &long, false, false), VoteReason::TermBehind);
        assert_eq!(reason((3, 1), &short, (4, 2), &long, false, false), VoteReason::LogBehind);
        assert_eq!(reason((9, 1), &long, (2, 2), &short, true, false), VoteReason::LeaderAlive);
        assert_eq!(reason((3, 1), &short, (2, 2), &long, true, true), VoteReason::LogBehind);
        // A newer term of the last entry counts more than a longer log.
        assert_eq!(reason((5, 1), &log(2, 9), (4, 2), &log(3, 1), false, false), VoteReason::LogBehind);
        // A candidate does not know whether the voter hears a leader.
        let bound = Vote { committed: true, ..vote(2, 2) };
        let refuses = |asked_log| refusal((&vote(3, 1), Some(asked_log)), (&bound, Some(&long)), false, false);
        assert_eq!(refuses(&long), VoteReason::LeaderAlive);
        assert_eq!(refuses(&short), VoteReason::LogBehind);
        // The voter heard a leader when it was asked, and campaigns itself by the time it answers.
        let both = refusal((&vote(3, 1), Some(&long)), (&vote(3, 2), Some(&long)), true, false);
        assert_eq!(both, VoteReason::VotedForOther);
        // An empty log is behind every other.
        let none = refusal((&vote(3, 1), None), (&vote(2, 2), Some(&short)), false, false);
        assert_eq!(none, VoteReason::LogBehind);
    }
}
