//! How a request says which consistency it wants: our words, Qdrant's, or its counts of replicas.
//!
//! What a count means depends on the replication factor, which this room does not know: the gateway resolves it.

use crate::api::Consistency;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A consistency as a request states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// By name, in any letter case; Qdrant's `majority` is `quorum`.
    Named(Consistency),
    /// By a number of replicas, as Qdrant's clients do.
    Replicas(u64),
}

impl From<Consistency> for Level {
    fn from(consistency: Consistency) -> Self {
        Self::Named(consistency)
    }
}

const EXPECTED: &str = "`one`, `quorum` (or `majority`), `all`, or a number of replicas";

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().map(Self::Replicas).ok();
        number
            .or_else(|| text.parse().map(Self::Named).ok())
            .ok_or_else(|| format!("`{}` is no consistency: say {EXPECTED}", text.chars().take(40).collect::<String>()))
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(consistency) => consistency.serialize(serializer),
            Self::Replicas(count) => serializer.serialize_u64(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LevelVisitor)
    }
}

struct LevelVisitor;

impl Visitor<'_> for LevelVisitor {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Level, E> {
        Ok(Level::Replicas(count))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Level, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_counts_are_read() {
        let read = |json: &str| serde_json::from_str::<Level>(json).ok();
        assert_eq!(read("\"QUORUM\""), Some(Consistency::Quorum.into()));
        assert_eq!(read("\"Majority\""), Some(Consistency::Quorum.into()));
        assert_eq!(read("\"all\""), Some(Consistency::All.into()));
        assert_eq!(read("1"), Some(Level::Replicas(1)));
        assert_eq!(read("\"2\""), Some(Level::Replicas(2)));
        for bad in ["\"some\"", "-1", "1.5", "true", "null", "[]"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
