//! Which parts of a point an answer carries: all, nothing, or parts by name.

use serde::de::{self, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Which of a payload to return: `true`, `false`, or the names of its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum WithPayload {
    /// All or nothing.
    All(bool),
    /// These members only.
    Fields(Vec<String>),
}

impl Default for WithPayload {
    fn default() -> Self {
        Self::All(true)
    }
}

impl<'de> Deserialize<'de> for WithPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(SelectorVisitor)
            .map(|selected| match selected {
                Selected::All(all) => Self::All(all),
                Selected::Names(names) => Self::Fields(names),
            })
    }
}

/// Which vectors to return: `true`, `false`, or their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum WithVector {
    /// All or nothing.
    All(bool),
    /// These only.
    Names(Vec<String>),
}

impl Default for WithVector {
    fn default() -> Self {
        Self::All(false)
    }
}

impl<'de> Deserialize<'de> for WithVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(SelectorVisitor)
            .map(|selected| match selected {
                Selected::All(all) => Self::All(all),
                Selected::Names(names) => Self::Names(names),
            })
    }
}

enum Selected {
    All(bool),
    Names(Vec<String>),
}

struct SelectorVisitor;

impl<'de> Visitor<'de> for SelectorVisitor {
    type Value = Selected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or an array of names")
    }

    fn visit_bool<E: de::Error>(self, all: bool) -> Result<Selected, E> {
        Ok(Selected::All(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Selected, A::Error> {
        Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(Selected::Names)
    }
}
