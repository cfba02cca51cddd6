//! Names and numbers of the things in the cluster map.

use std::fmt;

use raft_groups::GroupId;
use serde::{Deserialize, Serialize};

use crate::model::names::name_fault;

/// The group whose machine holds the cluster map.
pub const META: GroupId = GroupId(0);

/// A range of the hash space and the points in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl ShardId {
    /// The Raft group that replicates this shard.
    pub fn group(self) -> GroupId {
        GroupId(u64::from(self.0) + 1)
    }

    /// The shard that `group` replicates; `None` for the meta group and numbers no shard can have.
    pub fn of_group(group: GroupId) -> Option<Self> {
        group.0.checked_sub(1).and_then(|shard| u32::try_from(shard).ok()).map(Self)
    }
}

/// What people call a group: a shard, or the cluster map.
pub fn group_name(group: GroupId) -> String {
    match ShardId::of_group(group) {
        Some(shard) => format!("shard {shard}"),
        None => "the cluster map".to_owned(),
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name an operator gave a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`BadName`] unless it is 1 to 255 characters of `[A-Za-z0-9_.-]` that do not start with a dot.
    pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
        let name = name.into();
        check("node name", &name)?;
        Ok(Self(name))
    }

    /// What to call a node that has left the map, so that its name is not known any more.
    pub fn departed(node: raft_groups::NodeId) -> Self {
        Self(format!("departed-{node}"))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for NodeName {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what} `{name}` {reason}")]
pub struct BadName {
    /// What was to be named.
    pub what: String,
    /// The name, cut where it is long.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Checks the name of a collection.
///
/// # Errors
/// [`BadName`] unless it is 1 to 255 characters of `[A-Za-z0-9_.-]` that do not start with a dot.
pub fn check_collection_name(name: &str) -> Result<(), BadName> {
    check("collection name", name)
}

fn check(what: &str, name: &str) -> Result<(), BadName> {
    let Some(reason) = name_fault(name) else { return Ok(()) };
    let name = name.chars().take(64).collect();
    Err(BadName { what: what.to_owned(), name, reason: reason.to_owned() })
}
