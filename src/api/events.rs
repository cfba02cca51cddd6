//! The event stream of a node, `GET /quiver/v1/events`: the kinds of events and their members.
//!
//! The gateway writes events by these types. Readers take an event as a [`NodeEvent`], or only its kind from [`kind`].
//! Nodes are names here. What the words of an event mean to Raft is `raft-groups`' business.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::word_schema::WordSchema;
use crate::model::{ReadMode, Role};

/// The event name of a message that says how many events were missed; its data is an [`EventGap`]. All other messages
/// have no event name, and a [`NodeEvent`] as their data.
pub const GAP: &str = "gap";

/// How many events of a node came and went before a slow reader took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventGap {
    /// So many.
    pub missed: u64,
}

/// One thing that happened in a replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeEvent {
    /// Its number among this node's events since the process started; where recording was off there is a gap.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at: f64,
    /// The node that tells it.
    pub node: String,
    /// The group: 0 is the cluster map, shard n is n + 1.
    pub group: u64,
    /// The term it belongs to: that of the message where there is one, else the replica's.
    pub term: u64,
    /// What happened, by its kind.
    #[serde(flatten)]
    pub facts: EventFacts,
}

/// Declares the kinds of events with their members, and the constants that name the kinds.
macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $constant:ident $word:literal {
        $($(#[$with:meta])* $member:ident: $type:ty),* $(,)?
    })+) => {
        /// What can happen in a replica; `to` and `from` are the other side of a message.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind")]
        #[allow(missing_docs, reason = "the members are what the variants' own lines say")]
        pub enum EventFacts {
            $($(#[$doc])* #[serde(rename = $word)] $kind { $($(#[$with])* $member: $type),* },)+
        }

        /// The kinds of events, as the member `kind` names them.
        pub mod kind {
            $($(#[$doc])* pub const $constant: &str = $word;)+

            /// All of them.
            pub const ALL: &[&str] = &[$($constant),+];
        }
    };
}

event_kinds! {
    /// The replica's status is now this one.
    Status = STATUS "status" {
        #[schemars(with = "WordSchema<Role>")]
        role: Role,
        leader: Option<String>,
        last_log: u64,
        committed: u64,
        applied: u64,
        snapshot: u64,
        purged: u64,
        voters: Vec<String>,
        learners: Vec<String>,
        joint: bool,
        silent: Vec<String>,
    }
    /// It asks for a vote, or in a pre-vote whether one would be given.
    VoteAsked = VOTE_ASKED "vote_asked" { to: String, pre: bool, last_log: LogPosition }
    /// It was answered. A candidate can only conclude the reason; the voter knows it.
    VoteAnswered = VOTE_ANSWERED "vote_answered" { from: String, pre: bool, granted: bool, reason: Option<String> }
    /// It grants its vote.
    VoteGranted = VOTE_GRANTED "vote_granted" { candidate: String, pre: bool }
    /// It refuses its vote.
    VoteRefused = VOTE_REFUSED "vote_refused" { candidate: String, pre: bool, reason: String }
    /// It sends `count` entries after `prev` (none: a heartbeat), and how far it has committed.
    AppendSent = APPEND_SENT "append_sent" { to: String, prev: u64, count: usize, commit: u64 }
    /// A follower holds the log up to `matched`.
    AppendAcked = APPEND_ACKED "append_acked" { from: String, matched: u64 }
    /// A follower did not take it.
    AppendRefused = APPEND_REFUSED "append_refused" { from: String, reason: String }
    /// A message had no answer; `what` it was and why, each in a word.
    MessageLost = MESSAGE_LOST "message_lost" { to: String, what: String, reason: String }
    /// Entries stand in the log here.
    Appended = APPENDED "appended" { first: u64, last: u64, entry_term: u64 }
    /// Entries from `from` on are removed: another leader's take their place.
    Truncated = TRUNCATED "truncated" { from: u64 }
    /// Entries up to `upto` are removed: a snapshot holds what they did.
    Purged = PURGED "purged" { upto: u64 }
    /// It knows the log to be committed so far.
    Committed = COMMITTED "committed" { index: u64 }
    /// Its machine has applied the log so far.
    Applied = APPLIED "applied" { index: u64 }
    /// A follower has installed the snapshot sent to it.
    SnapshotSent = SNAPSHOT_SENT "snapshot_sent" { to: String, index: u64 }
    /// It has installed a snapshot.
    SnapshotInstalled = SNAPSHOT_INSTALLED "snapshot_installed" { index: u64 }
    /// The members it goes by have changed: an entry of its log says so.
    Membership = MEMBERSHIP "membership" { voters: Vec<String>, learners: Vec<String>, joint: bool, index: u64 }
    /// It leads from now on.
    Elected = ELECTED "elected" {}
    /// It leads no more.
    SteppedDown = STEPPED_DOWN "stepped_down" { leader: Option<String> }
    /// Its lease holds from now on, and `ms` after each answer of a majority.
    LeaseGranted = LEASE_GRANTED "lease_granted" { ms: u64 }
    /// Its lease has run out.
    LeaseExpired = LEASE_EXPIRED "lease_expired" { ms: u64 }
    /// A read was served at an index (`outcome` is `ok`), or `refused` for a reason.
    Read = READ "read" {
        #[schemars(with = "WordSchema<ReadMode>")]
        mode: ReadMode,
        outcome: String,
        reason: Option<String>,
        index: Option<u64>,
    }
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPosition {
    /// The term of the entry.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_object_and_comes_back() {
        let facts = EventFacts::VoteRefused { candidate: "node2".into(), pre: true, reason: "leader_alive".into() };
        let event = NodeEvent { seq: 7, at: 1.5, node: "node1".into(), group: 1, term: 4, facts };
        let wire = json!({"seq": 7, "at": 1.5, "node": "node1", "group": 1, "term": 4, "kind": "vote_refused",
                          "candidate": "node2", "pre": true, "reason": "leader_alive"});
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
        assert_eq!(serde_json::from_value::<NodeEvent>(wire).unwrap(), event);
        let elected = serde_json::to_value(EventFacts::Elected {}).unwrap();
        assert_eq!(elected, json!({"kind": kind::ELECTED}));
    }
}
