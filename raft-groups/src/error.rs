//! The errors of this crate, sorted by what the caller may do next.
//!
//! There are three small enums: for a write, for a read and for opening. The variant of a failed write says what is
//! known of that write. Errors of the disk and of openraft are carried as text; no code decides by that text.

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// Why a write was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The write was certainly not appended. Ask `leader`; where it is unknown, ask any replica a little later.
    #[error("this replica does not lead its group; {}", leader_hint(.leader))]
    NotLeader {
        /// The leader that this replica follows, if it knows one.
        leader: Option<NodeId>,
    },
    /// The write was certainly not appended: as many writes wait here as the limit allows. Retry after a pause.
    #[error("too many writes wait for this group; retry after a pause")]
    Busy,
    /// The fate of the write is unknown: it may be committed now, later or never. Retry only under the same request
    /// id, so that it is carried out once (Ongaro's thesis, § 6.3).
    #[error("the fate of the write is unknown ({reason}); retry it only under the same request id")]
    Indeterminate {
        /// What was lost: the leadership, the reply, or time.
        reason: String,
    },
    /// The write was certainly not appended: this replica no longer takes part in its group.
    #[error("this replica has stopped: {reason}")]
    Stopped {
        /// Why, with the way out.
        reason: String,
    },
}

/// Why a read could not be served at the asked freshness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReadError {
    /// Only the leader can serve this mode: ask `leader`.
    #[error("this replica does not lead its group; {}", leader_hint(.leader))]
    NotLeader {
        /// The leader that this replica follows, if it knows one.
        leader: Option<NodeId>,
    },
    /// No majority confirmed the leader in time, so nothing fresh enough can be promised. Retry, or read at a lower
    /// level.
    #[error("no majority confirmed this leader ({reason}); retry, or read at a lower level")]
    NoQuorum {
        /// What was waited for.
        reason: String,
    },
    /// No leader has told this replica its commit index since the node restarted. So the state may be older than
    /// what this replica showed before the restart. Retry shortly, or ask another replica.
    #[error(
        "no leader has told this replica since its restart how far the log is committed; retry shortly, or ask another replica"
    )]
    Unsettled,
    /// The state did not reach the wanted index before the deadline.
    #[error("the replica did not reach the wanted log index in time; retry, or ask another replica")]
    Deadline,
    /// This replica no longer takes part in its group.
    #[error("this replica has stopped: {reason}")]
    Stopped {
        /// Why, with the way out.
        reason: String,
    },
}

/// Why a node's storage, or one replica in it, could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Stored data fails its checks. The replica stays closed, because it must not vote by data that may be wrong.
    #[error("{what} is damaged: {found}. {way_out}")]
    Damaged {
        /// Which store or replica.
        what: String,
        /// What was found.
        found: String,
        /// What the operator can do.
        way_out: String,
    },
    /// The disk answered with an error.
    #[error("cannot open {what}: {source}")]
    Io {
        /// Which store or replica.
        what: String,
        /// The disk's answer.
        source: std::io::Error,
    },
    /// The settings contradict each other.
    #[error("unusable Raft settings: {0}")]
    Settings(String),
}

fn leader_hint(leader: &Option<NodeId>) -> String {
    match leader {
        Some(node) => format!("node {node} does"),
        None => "no leader is known yet, retry shortly".to_owned(),
    }
}

/// The error of a damaged store.
pub(crate) fn damaged(what: String, found: &str) -> OpenError {
    let way_out = "It stays closed, so that it does not vote by data that may be wrong; the other nodes still hold the data. \
                   Keep the directory for inspection, and bring this node back as a new one with an empty directory";
    OpenError::Damaged { what, found: found.to_owned(), way_out: way_out.to_owned() }
}

/// The error of a damaged replica in a sound store.
pub(crate) fn damaged_replica(what: String, found: &str) -> OpenError {
    let way_out = "It stays closed, so that it does not vote by data that may be wrong; while a majority of the group's \
                   other replicas answers, it is removed from the group, erased, and made anew from theirs";
    OpenError::Damaged { what, found: found.to_owned(), way_out: way_out.to_owned() }
}
