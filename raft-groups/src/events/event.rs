//! The kinds of events. The floors above decide how they look to people and programs.
//!
//! A [`Recorder`](super::Recorder) records an event where it happens; here it is a plain value.

use std::collections::BTreeSet;

use super::vote_reason::VoteReason;
use crate::{GroupId, GroupStatus, NodeId, ReadMode};

/// One thing that happened in a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number among this node's events since the process started, from 1. A pause of the recording leaves a gap.
    pub seq: u64,
    /// When it happened, in milliseconds since 1970 (UTC), by the node's clock.
    pub at_ms: f64,
    /// The group.
    pub group: GroupId,
    /// The term it belongs to: the term of the message if there is one, else the replica's.
    pub term: u64,
    /// What happened.
    pub what: EventKind,
}

/// What can happen in a replica. `to` and `from` are the other side of a message.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the members are what the variants' own lines say")]
pub enum EventKind {
    /// The replica's status is now this one.
    Status(Box<GroupStatus>),
    /// It asks for a vote. In a pre-vote it asks whether a vote would be granted. `last_log` is term and index.
    VoteAsked { to: NodeId, pre: bool, last_log: (u64, u64) },
    /// Its request for a vote was answered; `reason` is `None` if the vote is granted. A candidate infers the
    /// reason; only the voter knows it.
    VoteAnswered { from: NodeId, pre: bool, reason: Option<VoteReason> },
    /// It grants its vote.
    VoteGranted { candidate: NodeId, pre: bool },
    /// It refuses its vote.
    VoteRefused { candidate: NodeId, pre: bool, reason: VoteReason },
    /// It sends `count` entries after index `prev`, and its commit index. No entries: a heartbeat.
    AppendSent { to: NodeId, prev: u64, count: usize, commit: u64 },
    /// A follower holds the log up to `matched`.
    AppendAcked { from: NodeId, matched: u64 },
    /// A follower did not take entries.
    AppendRefused { from: NodeId, reason: &'static str },
    /// A message had no answer. `what` it was and the `reason` are one word each.
    MessageLost { to: NodeId, what: &'static str, reason: &'static str },
    /// Entries were put into the log here, durable or not yet.
    Appended { first: u64, last: u64, entry_term: u64 },
    /// Entries from `from` on were removed, to make place for another leader's.
    Truncated { from: u64 },
    /// Entries up to `upto` were removed; a snapshot holds their effect.
    Purged { upto: u64 },
    /// It knows that the log is committed up to `index`.
    Committed { index: u64 },
    /// Its machine has applied the log up to `index`.
    Applied { index: u64 },
    /// A follower has installed the snapshot sent to it.
    SnapshotSent { to: NodeId, index: u64 },
    /// It has installed a snapshot.
    SnapshotInstalled { index: u64 },
    /// An entry of its log has changed the membership that it uses.
    Membership { voters: BTreeSet<NodeId>, learners: BTreeSet<NodeId>, joint: bool, index: u64 },
    /// It leads from now on.
    Elected,
    /// It leads no more.
    SteppedDown { leader: Option<NodeId> },
    /// Its lease holds from now on. Each message that a majority answers extends it to `ms` after that message was
    /// sent.
    LeaseGranted { ms: u64 },
    /// Its lease of `ms` has run out.
    LeaseExpired { ms: u64 },
    /// A read was served at an index, or refused.
    Read { mode: ReadMode, outcome: Result<u64, String> },
}
