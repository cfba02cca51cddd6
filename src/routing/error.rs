//! Why a request failed, by what its sender may do next and what is known of its effect.

use crate::model::Committed;

use super::WrittenPoint;
use crate::engine::Refusal;
use crate::placement::{BadName, CollectionEntry, NodeName, ShardId};

/// Why a request failed. A shard of `None` is the meta group, which holds the cluster map.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// There is no such collection; the map was read afresh to be sure.
    #[error("collection `{name}` doesn't exist")]
    CollectionNotFound {
        /// The name asked for.
        name: String,
    },
    /// The collection is not the one that the request was decided for: it was dropped and made anew. Nothing was changed.
    #[error("collection `{name}` was dropped and made anew, and this request was for the one before: send it again")]
    CollectionReplaced {
        /// Its name.
        name: String,
    },
    /// The collection exists with other settings.
    #[error("collection `{name}` exists with other settings")]
    CollectionExists {
        /// Its name.
        name: String,
        /// Its settings; boxed, since every error would be as large.
        entry: Box<CollectionEntry>,
    },
    /// The name cannot be used.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// A shard looked at the request and refused it; positions in it are those of the client's request.
    #[error("{refusal}")]
    Refused {
        /// What the shard says.
        refusal: Refusal,
    },
    /// A group has no leader, or none that can be reached. Retry later.
    #[error("{} has no leader that can be reached{}", group(.shard), missing_text(.missing))]
    NoLeader {
        /// The shard.
        shard: Option<ShardId>,
        /// Its nodes that did not answer.
        missing: Vec<NodeName>,
    },
    /// No majority of a group confirmed the read in time. Retry later, or at a lower level.
    #[error("{} has no quorum: {reason}{}", group(.shard), missing_text(.missing))]
    NoQuorum {
        /// The shard.
        shard: Option<ShardId>,
        /// What was waited for.
        reason: String,
        /// Its nodes that did not answer.
        missing: Vec<NodeName>,
    },
    /// No replica of a shard that can be reached is as fresh as asked.
    #[error("the freshest replica of shard {shard} that can be reached last heard its leader {} ago, more than the {bound_ms} ms allowed", staleness_text(.staleness_ms))]
    Stale {
        /// The shard.
        shard: ShardId,
        /// The least staleness met, in milliseconds; `None` if no replica has heard a leader since it started.
        staleness_ms: Option<u64>,
        /// The bound asked for.
        bound_ms: u64,
    },
    /// The read is to come after a write that the shard's log does not have, and never will. Drop the token.
    #[error("`after` names what shard {shard} does not hold: {reason}")]
    TokenLapsed {
        /// The shard.
        shard: ShardId,
        /// How it is known.
        reason: String,
    },
    /// The answer would carry more than an answer may. Ask for less.
    #[error("the payloads and vectors of this answer take more than {} MiB: ask for fewer points at once, or for less of each by `with_payload` and `with_vector`", .limit >> 20)]
    AnswerTooLarge {
        /// Bytes that an answer may carry.
        limit: u64,
    },
    /// The fate of a write to one shard is unknown. Retry only under the same request id.
    #[error("the outcome of the write to {} is unknown: {reason}", group(.shard))]
    Unknown {
        /// The shard.
        shard: Option<ShardId>,
        /// What was lost.
        reason: String,
    },
    /// The write is committed, but not every voter has applied it in time.
    #[error("the write is committed, but was not applied everywhere in time{}", missing_text(.missing))]
    NotEverywhere {
        /// The nodes that have not.
        missing: Vec<NodeName>,
    },
    /// Some shards carried out their part of a write and some did not.
    #[error("{} of the shards failed, the others carried out their part; first: {}", .failed.len(), first_text(.failed))]
    PartialWrite {
        /// Points that were written; empty for a deletion.
        done: Vec<WrittenPoint>,
        /// The shards that carried out their part.
        done_shards: Vec<ShardId>,
        /// The shards that did not, or may not have, and why.
        failed: Vec<(ShardId, Box<RouteError>)>,
    },
    /// Time ran out.
    #[error("the deadline passed: {reason}")]
    Deadline {
        /// What is known of the effect.
        committed: Committed,
        /// What was waited for.
        reason: String,
    },
    /// More requests wait than a limit allows. Retry after a pause.
    #[error("overloaded: {limit}")]
    Overloaded {
        /// The limit that was met.
        limit: String,
    },
    /// A replica has stopped and no other could take over.
    #[error("{} cannot serve: {reason}", group(.shard))]
    Stopped {
        /// The shard.
        shard: Option<ShardId>,
        /// Why, with the way out.
        reason: String,
    },
    /// This node does not belong to a formed cluster yet.
    #[error("this node is starting: it has no cluster map yet")]
    NotFormed,
    /// A node of another cluster answered: an address in the map leads to the wrong place.
    #[error("node {node} belongs to another cluster")]
    WrongCluster {
        /// The node that was meant.
        node: String,
    },
    /// A node that answers cannot read what it is asked, and no other could: nodes run different versions of Quiver, or
    /// one has a bug. The same request fails again until that is mended.
    #[error("node {node} cannot read this request: {reason}; nodes may run different versions of Quiver")]
    Unreadable {
        /// The node.
        node: String,
        /// What is wrong with the request, in its words.
        reason: String,
        /// What is known of the effect.
        committed: Committed,
    },
    /// Nodes disagree in a way that should not happen, such as two versions of Quiver.
    #[error("internal error: {reason}")]
    Internal {
        /// What was met.
        reason: String,
        /// What is known of the effect.
        committed: Committed,
    },
}

impl RouteError {
    /// What is known of the effect of the request.
    pub fn committed(&self) -> Committed {
        match self {
            Self::Unknown { .. } => Committed::Unknown,
            Self::NotEverywhere { .. } => Committed::Yes,
            // Some shards have written and others have not, so neither yes nor no is true of the whole.
            Self::PartialWrite { .. } => Committed::Unknown,
            Self::Deadline { committed, .. }
            | Self::Unreadable { committed, .. }
            | Self::Internal { committed, .. } => *committed,
            // Each of these says that nothing was changed.
            Self::CollectionNotFound { .. }
            | Self::CollectionReplaced { .. }
            | Self::CollectionExists { .. }
            | Self::BadName(_)
            | Self::Refused { .. }
            | Self::NoLeader { .. }
            | Self::NoQuorum { .. }
            | Self::Stale { .. }
            | Self::TokenLapsed { .. }
            | Self::AnswerTooLarge { .. }
            | Self::Overloaded { .. }
            | Self::Stopped { .. }
            | Self::NotFormed
            | Self::WrongCluster { .. } => Committed::No,
        }
    }
}

fn group(shard: &Option<ShardId>) -> String {
    match shard {
        Some(shard) => format!("shard {shard}"),
        None => "the cluster map".to_owned(),
    }
}

fn missing_text(missing: &[NodeName]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = missing.iter().map(NodeName::as_str).collect();
    format!(" (no answer from {})", names.join(", "))
}

fn staleness_text(staleness_ms: &Option<u64>) -> String {
    staleness_ms.map_or("an unknown time".to_owned(), |ms| format!("{ms} ms"))
}

fn first_text(failed: &[(ShardId, Box<RouteError>)]) -> String {
    failed.first().map_or(String::new(), |(shard, error)| format!("shard {shard}: {error}"))
}
