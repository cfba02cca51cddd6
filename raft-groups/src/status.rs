//! What a replica knows of itself and its group at this moment.
//!
//! These are plain values, which go on the wire as well: the role, the read modes, and all that one replica can say
//! of its group. `replica/status.rs` gathers them; nothing here asks anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{GroupId, NodeId};

/// The part that a replica has in its group at this moment.
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
    /// The state that this replica has applied, however old it is.
    Follower,
    /// The leader's applied state, under a lease that a majority has renewed. It costs no round trip. It is
    /// linearizable while the clocks of the nodes run at about the same rate (Ongaro's thesis, § 6.4.1).
    Lease,
    /// Everything that was committed before the read began; a majority confirms the leader for it (Ongaro's thesis,
    /// § 6.4). Any voter or learner can serve it.
    Linearizable,
}

/// What a read knows of the applied state that it may now look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPoint {
    /// This replica's part in the group.
    pub role: Role,
    /// The term this replica is in.
    pub term: u64,
    /// The state reflects at least this log index.
    pub index: u64,
    /// The age of the state: it holds everything that was committed this long ago, give or take the way of one
    /// message. `None` if the age is not known since this replica started.
    pub leader_contact: Option<Duration>,
}

/// One replica's view of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This replica's part in the group, as it believes. A leader that no majority has answered for a while keeps
    /// the role, and has no `leader`.
    pub role: Role,
    /// The term this replica is in.
    pub term: u64,
    /// The leader of that term, if recent messages show that there is one.
    pub leader: Option<NodeId>,
    /// Index of the last log entry here (0: none).
    pub last_log: u64,
    /// Index of the last entry known here to be committed.
    pub committed: u64,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// Index of the last entry in the newest snapshot (0: none).
    pub snapshot: u64,
    /// Index of the last entry purged from the log here (0: none).
    pub purged: u64,
    /// Members with a vote.
    pub voters: BTreeSet<NodeId>,
    /// Members without a vote.
    pub learners: BTreeSet<NodeId>,
    /// `true` if the voters are being changed: until that ends, every decision needs a majority of the old voters
    /// and a majority of the new ones (Ongaro's thesis, § 4.3).
    pub joint: bool,
    /// The age of the applied state: it holds everything that was committed this long ago. On the leader it is the
    /// time since a majority last answered. `None` if it is not known.
    pub leader_contact: Option<Duration>,
    /// `true` if this replica lacks many of the entries that it knows to be committed, or is taking in a snapshot.
    pub catching_up: bool,
    /// On the leader: the last log index that each member is known to hold. Empty on other replicas.
    pub matched: BTreeMap<NodeId, u64>,
    /// On the leader: members that have not answered for longer than the longest election timeout. Empty on other
    /// replicas.
    pub silent: BTreeSet<NodeId>,
    /// Log index of the membership, if that membership is committed; `None` while a change of it is under way.
    pub members_at: Option<u64>,
    /// Why this replica no longer takes part, or takes no part while its disk hangs; with what the operator can do.
    pub stopped: Option<String>,
    /// Digests of the applied state, keyed by log index, the present one included. At equal index they are equal on
    /// all replicas.
    pub digests: BTreeMap<u64, u64>,
}

impl GroupStatus {
    /// Returns `true` if this replica leads its group and a majority has answered it lately.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader && self.leader.is_some()
    }
}
