//! Numbers of things inside a shard: collections and requests.
//!
//! Each has one JSON form and one binary form. The binary form is what logs and records hold, so it never changes
//! without a new format byte there.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A collection's number: allocated by the cluster map, never used again after a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CollectionId(pub u64);

/// A write's name, chosen by whoever may have to repeat it; the same name makes the repetition harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub Uuid);

impl fmt::Display for CollectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}
