//! How a collection's vectors are indexed, on the wire.

use crate::api::reading::null_is_absent;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

use crate::model::words::json_words;

/// The short codes by which an index is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// One byte a component.
    Int8,
    /// One bit a component.
    Binary,
}

json_words!(Quantization, "quantization", ["int8" => Int8, "binary" => Binary]);

/// A kind of index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// A graph, where there are enough vectors for one.
    #[default]
    Hnsw,
    /// None: a search looks at every vector.
    Exact,
}

json_words!(IndexKind, "kind of index", ["hnsw" => Hnsw, "exact" => Exact]);

/// Settings of an index: an object, or the kind alone as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Index {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: IndexKind,
    /// Links of a vector in the graph; absent means 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub m: Option<usize>,
    /// How many near vectors a new one is compared with before its links are chosen; absent means 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ef_construct: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexObject {
    #[serde(rename = "type", default, deserialize_with = "null_is_absent")]
    kind: IndexKind,
    #[serde(default)]
    m: Option<usize>,
    #[serde(default)]
    ef_construct: Option<usize>,
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindOrObject)
    }
}

struct KindOrObject;

impl<'de> Visitor<'de> for KindOrObject {
    type Value = Index;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"hnsw\", \"exact\", or an object with type, m, ef_construct")
    }

    fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<Index, E> {
        let kind = kind.parse().map_err(E::custom)?;
        Ok(Index { kind, ..Index::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Index, A::Error> {
        let IndexObject { kind, m, ef_construct } = IndexObject::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Index { kind, m, ef_construct })
    }
}
