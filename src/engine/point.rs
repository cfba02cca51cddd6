//! A point as it is written and read: id, vectors, payload.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::ids::PointId;

/// The JSON object that travels with a point, as its text: it is printed once, where it comes in, and parsed where
/// somebody looks into it. As a tree it would be built and taken apart in each replica, for nothing.
///
/// The text may come from a peer or a log, so [`validate`](super::validate()) looks at it before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Box<str>);

impl Default for Payload {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl Payload {
    /// A payload of this text, which nobody has looked at yet.
    pub fn from_text(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The payload as JSON.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text by itself.
    pub(super) fn into_text(self) -> Box<str> {
        self.0
    }

    /// The members.
    ///
    /// # Errors
    /// Where the text is no JSON object.
    pub fn members(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// How deep arrays and objects go, the payload itself being the first.
    ///
    /// # Errors
    /// Where the text is no JSON object, or one that [`Payload::members`] could not hold.
    pub(super) fn depth(&self) -> Result<usize, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(&self.0);
        let depth = reader.deserialize_map(Depth)?;
        reader.end().map(|()| depth)
    }
}

/// Compact, its keys in order: equal members have equal texts.
impl From<&Map<String, Value>> for Payload {
    fn from(members: &Map<String, Value>) -> Self {
        let text = serde_json::to_string(members).expect("JSON values have string keys and print into memory");
        Self(text.into())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.members().map_err(serde::ser::Error::custom)?.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Map::deserialize(deserializer).map(|members| Self::from(&members));
        }
        Box::deserialize(deserializer).map(Self)
    }
}

/// Walks any JSON without keeping it; the depth of what it walked.
struct Depth;

impl<'de> Visitor<'de> for Depth {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut deepest = 0;
        while let Some(depth) = items.next_element_seed(Self)? {
            deepest = deepest.max(depth);
        }
        Ok(deepest + 1)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<usize, A::Error> {
        let mut deepest = 0;
        while members.next_key_seed(Self)?.is_some() {
            deepest = deepest.max(members.next_value_seed(Self)?);
        }
        Ok(deepest + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// One point to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointWrite {
    /// The point's name; an existing point of that name is replaced whole.
    pub id: PointId,
    /// The vectors by name; [`DEFAULT_VECTOR`](super::DEFAULT_VECTOR) where the collection has one without a name. Of
    /// several named ones a point may lack some, but not all.
    #[serde(with = "super::floats::named")]
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
        let payload = Payload::from(payload.as_object().unwrap());
        let bytes = postcard::to_stdvec(&payload).unwrap();
        assert_eq!(postcard::from_bytes::<Payload>(&bytes).unwrap(), payload);
        assert_eq!(json!(parse_payload(payload.text(), |_| true)), json!(payload));
    }

    #[test]
    fn a_text_is_as_deep_as_its_innermost_array_or_object() {
        for (text, depth) in
            [("{}", 1), (r#"{"a":1,"b":"[[["}"#, 1), (r#"{"a":[{},[[]]]}"#, 4), (r#"{"a":{"b":1e3}}"#, 2)]
        {
            assert_eq!(Payload::from_text(text).depth().unwrap(), depth, "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_found() {
        for bad in [
            "",
            "[]",
            "1",
            "{",
            "{}{}",
            r#"{"a":}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            r#"{a:1}"#,
            "{\"a\":\"\n\"}",
        ] {
            let payload = Payload::from_text(bad);
            assert!(payload.depth().is_err(), "{bad}");
            assert!(payload.members().is_err(), "{bad}");
        }
    }
}
