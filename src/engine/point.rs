//! A point as it is written and read: id, vectors, payload.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::ids::PointId;

/// The JSON object that travels with a point.
///
/// Binary forms hold it as one JSON text, since a format that does not describe itself cannot hold free JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payload(pub Map<String, Value>);

impl Payload {
    /// The payload as compact JSON, its keys in order: equal payloads have equal texts.
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        serializer.serialize_str(&serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Map::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// One point to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointWrite {
    /// The point's name; an existing point of that name is replaced whole.
    pub id: PointId,
    /// The vectors by name; [`DEFAULT_VECTOR`](super::DEFAULT_VECTOR) where the collection has one without a name.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The payload; empty if there is none.
    pub payload: Payload,
    /// Write only if the point has this version now; 0 means that it must not exist.
    pub if_version: Option<u64>,
}
