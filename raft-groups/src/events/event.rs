//! The kinds of events. How they look to people and programs outside is decided above.
//!
//! An event is told where it happens, by a [`Recorder`](super::Recorder); here it is a plain value.

use std::collections::BTreeSet;

use super::vote_reason::VoteReason;
use crate::{GroupId, GroupStatus, NodeId, ReadMode};

/// One thing that happened in a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number among this node's events since the process started, from 1 on. Where recording was off there is a
    /// gap.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: f64,
    /// The group.
    pub group: GroupId,
    /// The term it belongs to: that of the message where there is one, else the replica's.
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
    /// It asks for a vote, or in a pre-vote whether one would be given; `last_log` is term and index.
    VoteAsked { to: NodeId, pre: bool, last_log: (u64, u64) },
    /// It was answered. A candidate can only conclude the reason; the voter knows it.
    VoteAnswered { from: NodeId, pre: bool, reason: Option<VoteReason> },
    /// It grants its vote.
    VoteGranted { candidate: NodeId, pre: bool },
    /// It refuses its vote.
    VoteRefused { candidate: NodeId, pre: bool, reason: VoteReason },
    /// It sends `count` entries after `prev` (none: a heartbeat), and how far it has committed.
    AppendSent { to: NodeId, prev: u64, count: usize, commit: u64 },
    /// A follower holds the log up to `matched`.
    AppendAcked { from: NodeId, matched: u64 },
    /// A follower did not take it.
    AppendRefused { from: NodeId, reason: &'static str },
    /// A message had no answer; `what` it was and why, each in a word.
    MessageLost { to: NodeId, what: &'static str, reason: &'static str },
    /// Entries stand in the log here.
    Appended { first: u64, last: u64, entry_term: u64 },
    /// Entries from `from` on are removed: another leader's take their place.
    Truncated { from: u64 },
    /// Entries up to `upto` are removed: a snapshot holds what they did.
    Purged { upto: u64 },
    /// It knows the log to be committed so far.
    Committed { index: u64 },
    /// Its machine has applied the log so far.
    Applied { index: u64 },
    /// A follower has installed the snapshot sent to it.
    SnapshotSent { to: NodeId, index: u64 },
    /// It has installed a snapshot.
    SnapshotInstalled { index: u64 },
    /// The members it goes by have changed: an entry of its log says so.
    Membership { voters: BTreeSet<NodeId>, learners: BTreeSet<NodeId>, joint: bool, index: u64 },
    /// It leads from now on.
    Elected,
    /// It leads no more.
    SteppedDown { leader: Option<NodeId> },
    /// Its lease holds from now on, and `ms` after each answer of a majority.
    LeaseGranted { ms: u64 },
    /// Its lease has run out.
    LeaseExpired { ms: u64 },
    /// A read was served at an index, or refused.
    Read { mode: ReadMode, outcome: Result<u64, String> },
}
