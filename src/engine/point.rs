//! A point as it is written and read: id, vectors, payload.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
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
        serde_json::to_string(&self.0).expect("JSON values have string keys and print into memory")
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_str(&self.to_text())
        }
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
    /// The vectors by name; [`DEFAULT_VECTOR`](super::DEFAULT_VECTOR) where the collection has one without a name. Of
    /// several named ones a point may lack some, but not all.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The payload; empty if there is none.
    pub payload: Payload,
    /// Write only if the point has this version now; 0 means that it must not exist.
    pub if_version: Option<u64>,
}

/// The members of a stored payload whose keys are `wanted`; the others are skipped unparsed.
pub(super) fn parse_payload(text: &str, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Members(wanted).deserialize(&mut reader).expect("the text was printed from a payload and its record has a checksum")
}

struct Members<F>(F);

impl<'de, F: Fn(&str) -> bool> DeserializeSeed<'de> for Members<F> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Members<F> {
    type Value = Map<String, Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if (self.0)(&key) {
                found.insert(key, members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_that_are_not_wanted_are_left_out() {
        let text = r#"{"a":1,"b\"":{"c":[1,2,{}]},"d":null}"#;
        assert_eq!(json!(parse_payload(text, |_| true)), json!({"a": 1, "b\"": {"c": [1, 2, {}]}, "d": null}));
        assert_eq!(json!(parse_payload(text, |key| key == "b\"")), json!({"b\"": {"c": [1, 2, {}]}}));
        assert_eq!(json!(parse_payload("{}", |_| true)), json!({}));
    }

    #[test]
    fn numbers_survive_the_binary_form() {
        let payload = json!({"a": 0.1, "b": 1e300, "c": u64::MAX, "d": -1, "e": 2.2250738585072014e-308, "f": 1.0});
        let payload = Payload(payload.as_object().unwrap().clone());
        let bytes = postcard::to_stdvec(&payload).unwrap();
        assert_eq!(postcard::from_bytes::<Payload>(&bytes).unwrap(), payload);
        assert_eq!(json!(parse_payload(&payload.to_text(), |_| true)), json!(payload));
    }
}
