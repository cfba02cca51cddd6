//! Which parts of a point an answer brings: of its payload, of its vectors.
//!
//! Each reads `true`, `false` or an array, of paths into the payload or of names of vectors; a payload also Qdrant's `{"include": […]}` or `{"exclude": […]}`.

use serde::de::{self, MapAccess, SeqAccess, Visitor, value};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Which of a payload to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithPayload {
    /// All or nothing.
    All(bool),
    /// Only what these paths lead to.
    Fields(Vec<String>),
    /// All but what these paths lead to.
    Except(Vec<String>),
}

impl Default for WithPayload {
    fn default() -> Self {
        Self::All(true)
    }
}

impl Serialize for WithPayload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(all) => all.serialize(serializer),
            Self::Fields(names) => names.serialize(serializer),
            Self::Except(names) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("exclude", names)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for WithPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectorVisitor { objects: true }).map(|selected| match selected {
            Selected::All(all) => Self::All(all),
            Selected::Names(names) => Self::Fields(names),
            Selected::Except(names) => Self::Except(names),
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
        match deserializer.deserialize_any(SelectorVisitor { objects: false })? {
            Selected::All(all) => Ok(Self::All(all)),
            Selected::Names(names) => Ok(Self::Names(names)),
            Selected::Except(_) => Err(de::Error::custom("vectors cannot be excluded by name: name those wanted")),
        }
    }
}

enum Selected {
    All(bool),
    Names(Vec<String>),
    Except(Vec<String>),
}

struct SelectorVisitor {
    objects: bool,
}

impl<'de> Visitor<'de> for SelectorVisitor {
    type Value = Selected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.objects {
            "true, false, an array of paths, {\"include\": [paths]} or {\"exclude\": [paths]}"
        } else {
            "true, false or an array of names"
        })
    }

    fn visit_bool<E: de::Error>(self, all: bool) -> Result<Selected, E> {
        Ok(Selected::All(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Selected, A::Error> {
        Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(Selected::Names)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selected, A::Error> {
        if !self.objects {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        // One of the two members, by its name.
        let selected = match map.next_key::<String>()?.as_deref() {
            Some("include") => Selected::Names(map.next_value()?),
            Some("exclude") => Selected::Except(map.next_value()?),
            Some(other) => return Err(de::Error::unknown_field(other, &["include", "exclude"])),
            None => return Err(de::Error::custom("expected `include` or `exclude`")),
        };
        // And no other.
        match map.next_key::<String>()? {
            None => Ok(selected),
            Some(_) => Err(de::Error::custom("expected one of `include` and `exclude`, not more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_comes_back() {
        for text in ["true", "false", r#"["a","b"]"#, r#"{"exclude":["a"]}"#] {
            let read: WithPayload = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        assert_eq!(
            serde_json::from_str::<WithPayload>(r#"{"include":["a"]}"#).unwrap(),
            WithPayload::Fields(vec!["a".into()])
        );
        for bad in ["1", "{}", r#"{"only":["a"]}"#, r#"{"include":["a"],"exclude":[]}"#, r#"["a",1]"#] {
            assert!(serde_json::from_str::<WithPayload>(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<WithVector>(r#"{"exclude":["a"]}"#).is_err());
    }
}
