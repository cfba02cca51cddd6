//! The vectors that a new collection is to have: one without a name, or several by name.
//!
//! Qdrant writes both under `vectors`: `{"size": 4, "distance": "Cosine"}` is one, `{"title": {"size": 4, …}}` are several.
//! Which is meant shows in the values: settings of one are numbers and words, settings of a named vector are an object.

use super::index::codes;
use crate::api::reading::{optional_word, word_or_default};
use crate::api::word_schema::WordSchema;
use crate::api::{Distance, Index, IndexKind, Quantization};
use crate::model::limits::MAX_VECTOR_SIZE;
use crate::model::words::Words;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Size and distance of one (named) vector of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorSettings {
    /// Components.
    #[schemars(range(min = 1, max = MAX_VECTOR_SIZE))]
    pub size: usize,
    /// How vectors are compared.
    #[serde(default, deserialize_with = "word_or_default")]
    #[schemars(with = "Option<WordSchema<Distance>>")]
    pub distance: Distance,
    /// How they are indexed; absent means as the collection says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// The codes beside them: `null` for none; absent means as the collection says.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "codes")]
    #[schemars(with = "Option<WordSchema<Quantization>>")]
    pub quantization: Option<Quantization>,
}

/// The member `vectors` of a new collection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Vectors {
    /// One vector without a name.
    One(VectorSettings),
    /// Vectors by name.
    Named(BTreeMap<String, VectorSettings>),
}

impl<'de> Deserialize<'de> for Vectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorsVisitor)
    }
}

struct VectorsVisitor;

/// The members of one vector without a name.
const SETTINGS: &[&str] = &["size", "distance", "index", "quantization"];

impl<'de> Visitor<'de> for VectorsVisitor {
    type Value = Vectors;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of vectors by name, or with the `size` and `distance` of one vector,")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vectors, A::Error> {
        let (mut named, mut one, mut is_one) = (BTreeMap::new(), Settings::default(), false);
        while let Some(name) = map.next_key::<String>()? {
            // After a `size` that is a number, this is one vector: any other name is a setting that there is not.
            if one.size.is_some() && !SETTINGS.contains(&name.as_str()) {
                return Err(A::Error::unknown_field(&name, SETTINGS));
            }
            // The value shows what the member is: a vector of this name, or a setting of the one vector.
            match map.next_value_seed(VectorsMember(&name))? {
                VectorsPart::Named(params) => {
                    named.insert(name, params);
                    continue;
                }
                VectorsPart::Size(size) => one.size = size,
                VectorsPart::Distance(distance) => one.distance = distance,
                VectorsPart::Index(index) => one.index = index,
                VectorsPart::Quantization(codes) => one.quantization = Some(codes),
            }
            is_one = true;
        }
        // Both at once mean nothing.
        if is_one && !named.is_empty() {
            let reason =
                "settings of one vector and vectors by name stand side by side: give each name its own settings";
            return Err(A::Error::custom(reason));
        }
        if !is_one {
            return Ok(Vectors::Named(named));
        }
        // One vector has a size at least.
        let Settings { size, distance, index, quantization, .. } = one;
        let size = size.ok_or_else(|| A::Error::missing_field("size"))?;
        Ok(Vectors::One(VectorSettings { size, distance: distance.unwrap_or_default(), index, quantization }))
    }
}

/// What one member of `vectors` says.
enum VectorsPart {
    Named(VectorSettings),
    Size(Option<usize>),
    Distance(Option<Distance>),
    Index(Option<Index>),
    Quantization(Quantization),
}

/// Reads the member of this name.
struct VectorsMember<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for VectorsMember<'_> {
    type Value = VectorsPart;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<VectorsPart, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VectorsMember<'_> {
    type Value = VectorsPart;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            "size" => "a whole number",
            "distance" => "a distance",
            "quantization" => "`int8`, `binary` or null",
            _ => "an object with `size` and `distance`",
        })
    }

    fn visit_u64<E: Error>(self, size: u64) -> Result<VectorsPart, E> {
        let size = usize::try_from(size).ok().filter(|_| self.0 == "size");
        size.map(|size| VectorsPart::Size(Some(size)))
            .ok_or_else(|| E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<VectorsPart, E> {
        let kind = |kind: IndexKind| VectorsPart::Index(Some(Index { kind, ..Index::default() }));
        // A word is a setting only under these names. Under any other, a vector's settings are wanted.
        let part = match self.0 {
            "distance" => Distance::of(word).map(|distance| VectorsPart::Distance(Some(distance))),
            "index" => word.parse().map(kind),
            "quantization" => Quantization::of(word).map(VectorsPart::Quantization),
            _ => return Err(E::invalid_type(Unexpected::Str(word), &self)),
        };
        part.map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<VectorsPart, E> {
        // `null` leaves a setting open. For the codes it means that there are none.
        match self.0 {
            "size" => Ok(VectorsPart::Size(None)),
            "distance" => Ok(VectorsPart::Distance(None)),
            "index" => Ok(VectorsPart::Index(None)),
            "quantization" => Ok(VectorsPart::Quantization(Quantization::None)),
            _ => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorsPart, A::Error> {
        let map = MapAccessDeserializer::new(map);
        // Only under the name `index` can an object be anything but a vector.
        if self.0 != "index" {
            return VectorSettings::deserialize(map).map(VectorsPart::Named);
        }
        // Settings of the index, or of a vector of that name.
        let Settings { size, distance, index, quantization, kind, m, ef_construct } = Settings::deserialize(map)?;
        let of_vector = size.is_some() || distance.is_some() || index.is_some() || quantization.is_some();
        let of_index = kind.is_some() || m.is_some() || ef_construct.is_some();
        // A vector has a size, and an index has none.
        match size {
            _ if of_vector && of_index => {
                Err(A::Error::custom("settings of a vector and of an index stand side by side"))
            }
            Some(size) => Ok(VectorsPart::Named(VectorSettings {
                size,
                distance: distance.unwrap_or_default(),
                index,
                quantization,
            })),
            None if of_vector => Err(A::Error::missing_field("size")),
            None => Ok(VectorsPart::Index(Some(Index { kind: kind.unwrap_or_default(), m, ef_construct }))),
        }
    }
}

/// Whatever stands in settings of a vector or of an index.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    size: Option<usize>,
    #[serde(deserialize_with = "optional_word")]
    distance: Option<Distance>,
    index: Option<Index>,
    #[serde(with = "codes")]
    quantization: Option<Quantization>,
    #[serde(rename = "type")]
    kind: Option<IndexKind>,
    m: Option<usize>,
    ef_construct: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vectors, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn one_vector_and_several_are_told_apart_by_their_values() {
        let one = VectorSettings { size: 4, distance: Distance::Euclid, index: None, quantization: None };
        for text in [r#"{"size":4,"distance":"L2"}"#, r#"{"distance":"Euclid","size":4}"#] {
            assert_eq!(read(text), Ok(Vectors::One(one)), "{text}");
        }
        let index = Index { m: Some(8), ..Index::default() };
        let whole = r#"{"index":{"type":"HNSW","m":8},"quantization":null,"size":4,"distance":null}"#;
        let expected = VectorSettings {
            distance: Distance::Cosine,
            index: Some(index),
            quantization: Some(Quantization::None),
            ..one
        };
        assert_eq!(read(whole), Ok(Vectors::One(expected)));
        for name in ["size", "distance", "index", "quantization", "title"] {
            let text = format!(r#"{{"{name}":{{"size":4,"distance":"L2"}}}}"#);
            assert_eq!(read(&text), Ok(Vectors::Named(BTreeMap::from([(name.to_owned(), one)]))), "{text}");
        }
        assert_eq!(read("{}"), Ok(Vectors::Named(BTreeMap::new())));
    }

    #[test]
    fn what_is_neither_is_refused_in_plain_words() {
        for (text, word) in [
            (r#"{"title":{"size":4},"size":4}"#, "side by side"),
            (r#"{"size":4,"title":{"size":4}}"#, "unknown field `title`"),
            (r#"{"size":4,"hnsw_config":{"m":8}}"#, "unknown field `hnsw_config`"),
            (r#"{"distance":"dot"}"#, "`size`"),
            (r#"{"size":4,"distance":"hamming"}"#, "`euclidean`"),
            (r#"{"title":4}"#, "an object with `size`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
