//! How a collection's vectors are indexed, on the wire.

use crate::api::Quantization;
use crate::api::reading::{null_is_absent, optional_word};
use crate::api::word_schema::WordSchema;
use crate::model::GraphParams;
use crate::model::limits::{MAX_EF_CONSTRUCT, MAX_LINKS, MIN_LINKS};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

use crate::model::words::json_words;

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

/// The settings of an index as an object.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "IndexSettings")]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct IndexObject {
    /// The kind.
    #[serde(rename = "type", default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<WordSchema<IndexKind>>")]
    kind: IndexKind,
    /// Links of a vector in the graph.
    #[serde(default)]
    #[schemars(range(min = MIN_LINKS, max = MAX_LINKS), extend("default" = GraphParams::default().m))]
    m: Option<usize>,
    /// How many near vectors a new one is compared with before its links are chosen; at least `m`.
    #[serde(default)]
    #[schemars(range(min = MIN_LINKS, max = MAX_EF_CONSTRUCT), extend("default" = GraphParams::default().ef_construct))]
    ef_construct: Option<usize>,
}

/// The member `quantization`: a word, or `null` for no codes. That it is absent is another thing: then the settings above
/// it say, and at last the distance.
pub(in crate::api) mod codes {
    use super::{Deserializer, Quantization, Serialize, Serializer, optional_word};

    pub fn serialize<S: Serializer>(codes: &Option<Quantization>, serializer: S) -> Result<S::Ok, S::Error> {
        codes.filter(|codes| *codes != Quantization::None).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quantization>, D::Error> {
        optional_word(deserializer).map(|codes| Some(codes.unwrap_or(Quantization::None)))
    }
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
