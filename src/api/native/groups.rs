//! What a process says of itself to who has just found it, and of the groups that it has replicas of.

use crate::api::events::LogPosition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrontPage {
    /// `Quiver`.
    pub title: String,
    /// Version of the binary.
    pub version: String,
    /// Paths of pages by what they are.
    pub links: BTreeMap<String, String>,
}

/// `GET /quiver/v1/groups/{group}/log`: the end of a replica's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaLog {
    /// The group.
    pub group: u64,
    /// The newest entries, oldest first.
    pub entries: Vec<EntryRow>,
    /// Index it knows to be committed.
    pub committed: u64,
    /// Index it has applied.
    pub applied: u64,
    /// Index of the last snapshot; 0 before the first.
    pub snapshot: u64,
    /// Index up to which the log has been purged; 0 where nothing was.
    pub purged: u64,
    /// Its vote; `null` before the first.
    pub vote: Option<VoteRow>,
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryRow {
    /// Its place.
    #[serde(flatten)]
    pub place: LogPosition,
    /// `blank`, `membership` or `command`.
    pub kind: String,
}

/// A replica's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteRow {
    /// In this term.
    pub term: u64,
    /// For this node.
    #[serde(rename = "for")]
    pub candidate: String,
    /// Whether the node is known to have been elected.
    pub committed: bool,
}

/// 200 to the nudges of tests and lessons: stand for election, step down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupNudge {
    /// The group.
    pub group: u64,
    /// `campaigns` or `steps_down`.
    pub state: String,
    /// The node that was asked to stand in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}
