//! What a replica knows of itself and its group at this moment.
//!
//! Plain values, on the wire as well: the role of the moment, the modes of a read, and all that one replica can say of
//! its group. What it says is gathered in `replica/status.rs`; nothing here asks anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{GroupId, NodeId};

/// The part a replica plays at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Appends to the group's log and answers lease reads.
    Leader,
    /// Votes, and copies the leader's log.
    Follower,
    /// Copies the leader's log, without a vote.
    Learner,
    /// Asks the others for their votes.
    Candidate,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::Candidate => "candidate",
        })
    }
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadMode {
    /// This replica's applied state, however old.
    Follower,
    /// The leader's applied state under a lease that a majority renewed: no round trip, linearizable while the clocks
    /// of the nodes run at about the same rate.
    Lease,
    /// Everything committed before the read began, confirmed by a majority for it. Any voter or learner can serve it.
    Linearizable,
}

/// The applied state that a read may now look at, and how it is known to be fresh enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPoint {
    /// This replica's part in the group.
    pub role: Role,
    /// The term this replica is in.
    pub term: u64,
    /// The state reflects at least this log index.
    pub index: u64,
    /// The state holds everything that was committed so long ago, but for a message's way; `None` if that is not known
    /// since this replica started.
    pub leader_contact: Option<Duration>,
}

/// One replica's view of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This replica's part in it, as it believes: a leader that no majority has answered of late is one, and `leader`
    /// is none.
    pub role: Role,
    /// The term this replica is in.
    pub term: u64,
    /// The leader of that term, where messages of late say that there is one.
    pub leader: Option<NodeId>,
    /// Index of the last log entry here (0: none).
    pub last_log: u64,
    /// Index of the last entry known here to be committed.
    pub committed: u64,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// Index the newest snapshot reflects (0: none).
    pub snapshot: u64,
    /// Index of the last entry purged from the log here.
    pub purged: u64,
    /// Members with a vote.
    pub voters: BTreeSet<NodeId>,
    /// Members without a vote.
    pub learners: BTreeSet<NodeId>,
    /// `true` if the voters are being changed: until that ends, majorities of the old and of the new ones are needed.
    pub joint: bool,
    /// The applied state holds everything that was committed so long ago; on the leader, when a majority last answered.
    pub leader_contact: Option<Duration>,
    /// `true` if this replica is known to miss committed entries, or is installing a snapshot.
    pub catching_up: bool,
    /// On the leader: the last log index each member is known to hold.
    pub matched: BTreeMap<NodeId, u64>,
    /// On the leader: members that have not answered for longer than the longest election timeout.
    pub silent: BTreeSet<NodeId>,
    /// Log index of the membership where it is committed; `None` while a change of it is under way.
    pub members_at: Option<u64>,
    /// Why this replica no longer takes part, or does not while its disk hangs, with the way out.
    pub stopped: Option<String>,
    /// Digests of its applied state by log index, the present one among them: equal on all replicas at equal index.
    pub digests: BTreeMap<u64, u64>,
}

impl GroupStatus {
    /// Returns `true` if this replica leads its group, and a majority has answered it of late.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader && self.leader.is_some()
    }
}
