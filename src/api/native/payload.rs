//! The payload of an answer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A payload in an answer: a text until it is printed, for as trees the payloads of one answer take many times their
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadText(Box<str>);

impl PayloadText {
    /// A payload of this text, which nobody has looked at yet.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The payload as JSON.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The members; none where the text is no JSON object.
    pub fn members(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Serialize for PayloadText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = serde_json::from_str::<Map<String, Value>>(&self.0);
        let none = |error| serde::ser::Error::custom(format!("a shard sent a payload that is none: {error}"));
        members.map_err(none)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PayloadText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        serde_json::to_string(&members).map(Self::new).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_object_on_the_wire() {
        let payload = PayloadText::new(r#"{"a":[1,{"b":1.5}],"c":null}"#);
        let wire = serde_json::to_string(&payload).unwrap();
        assert_eq!(wire, payload.text());
        assert_eq!(serde_json::from_str::<PayloadText>(&wire).unwrap(), payload);
        assert_eq!(payload.members().len(), 2);
        assert!(serde_json::to_string(&PayloadText::new("[1]")).is_err());
        assert!(serde_json::from_str::<PayloadText>("[1]").is_err());
    }
}
