//! Collections on the wire: creating, listing, dropping.

use super::index::codes;
use crate::api::reading::{null_is_absent, optional_word};
use crate::api::schema::FieldSchema;
use crate::api::word_schema::WordSchema;
use crate::api::{Distance, FieldType, Index, Level, Quantization, VectorSettings, Vectors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::model::limits::{DEFAULT_VECTOR_SIZE, MAX_VECTOR_SIZE};
use crate::model::names::NAME_PATTERN;
use crate::model::words::json_words;

/// `POST /collections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCollection {
    /// The collection's name.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Components of the default vector; absent means [`DEFAULT_VECTOR_SIZE`], unless `vectors` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_VECTOR_SIZE), extend("default" = DEFAULT_VECTOR_SIZE))]
    pub vector_size: Option<usize>,
    /// Distance of the default vector; absent means cosine, unless `vectors` is given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_word")]
    #[schemars(with = "Option<WordSchema<Distance>>")]
    pub distance: Option<Distance>,
    /// Named vectors, or one in Qdrant's form, instead of `vector_size` and `distance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<Vectors>,
    /// The level of requests to this collection that name none; absent means QUORUM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_level: Option<Level>,
    /// The codes by which the index is walked: `null` for none; absent means bytes where the distance has any.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "codes")]
    #[schemars(with = "Option<WordSchema<Quantization>>")]
    pub quantization: Option<Quantization>,
    /// The index; absent means a graph of the usual settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
}

impl CreateCollection {
    /// The vectors this request asks for, by name; the default vector's name is the empty string.
    ///
    /// # Errors
    /// Says what is contradictory: `vectors` beside `vector_size` or `distance`, or an empty `vectors`.
    pub fn params(&self) -> Result<BTreeMap<String, VectorSettings>, String> {
        match &self.vectors {
            // The settings of the one vector stand in one place, here or there.
            Some(_) if self.vector_size.is_some() || self.distance.is_some() => {
                Err("`vectors` says size and distance of each vector: leave out `vector_size` and `distance`".into())
            }
            Some(Vectors::Named(vectors)) if vectors.is_empty() => {
                Err("`vectors` is empty: name at least one vector, or leave it out".into())
            }
            // What a vector leaves open, the collection says.
            Some(Vectors::Named(vectors)) => {
                Ok(vectors.iter().map(|(name, params)| (name.clone(), self.filled(*params))).collect())
            }
            Some(Vectors::One(params)) => Ok(BTreeMap::from([(String::new(), self.filled(*params))])),
            // One vector without a name, as this body says.
            None => {
                let (size, distance) = (self.vector_size.unwrap_or(DEFAULT_VECTOR_SIZE), self.distance);
                let (index, quantization) = (self.index, self.quantization);
                let params = VectorSettings { size, distance: distance.unwrap_or_default(), index, quantization };
                Ok(BTreeMap::from([(String::new(), params)]))
            }
        }
    }

    /// A vector's settings; where it says nothing of its index, the collection's.
    fn filled(&self, params: VectorSettings) -> VectorSettings {
        let (index, quantization) = (params.index.or(self.index), params.quantization.or(self.quantization));
        VectorSettings { index, quantization, ..params }
    }
}

/// 201 (or 200 where the very same collection exists) to `POST /collections`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedCollection {
    /// The collection's name.
    pub name: String,
    /// False where it existed with the same settings.
    pub created: bool,
    /// Shards that hold it.
    pub shards: u32,
    /// What the user should know, though it is no error.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Qdrant's envelope, which `GET /collections` and `DELETE /collections/{name}` share with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope<T> {
    /// The answer.
    pub result: T,
    /// `ok`.
    pub status: String,
    /// Seconds it took.
    pub time: f64,
}

/// The result of `GET /collections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionRows {
    /// By name.
    pub collections: Vec<CollectionRow>,
}

/// One collection in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionRow {
    /// The collection's name.
    pub name: String,
    /// Components of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_size: Option<usize>,
    /// Distance of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_word")]
    #[schemars(with = "Option<WordSchema<Distance>>")]
    pub distance: Option<Distance>,
    /// Index of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// Codes of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "codes")]
    #[schemars(with = "Option<WordSchema<Quantization>>")]
    pub quantization: Option<Quantization>,
    /// Named vectors, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, VectorSettings>,
    /// Points, each counted once.
    pub points: u64,
    /// The indexed payload fields by their paths, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payload_schema: BTreeMap<String, FieldInfo>,
}

/// One indexed payload field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldInfo {
    /// What it is indexed as.
    #[schemars(with = "WordSchema<FieldType>")]
    pub data_type: FieldType,
    /// Points that have such a value there, each counted once.
    pub points: u64,
}

/// `PUT /collections/{name}/index`, as in Qdrant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFieldIndex {
    /// The field's path, such as `lang`, `author.name` or `tags[].id`.
    pub field_name: String,
    /// A type, such as `"keyword"`, or an object with a `type` and options; the gateway reads it, so that it can say
    /// which of Qdrant's it does not support.
    #[serde(default)]
    #[schemars(with = "FieldSchema", !default)]
    pub field_schema: Value,
}

/// The query string of a change of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexOptions {
    /// Whether to answer only when every shard has carried it out.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<bool>")]
    pub wait: bool,
    /// All three mean the order of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WordSchema<WriteOrdering>>")]
    pub ordering: Option<WriteOrdering>,
}

/// Qdrant's orders of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteOrdering {
    /// The log's.
    Weak,
    /// The log's.
    Medium,
    /// The log's.
    Strong,
}

json_words!(WriteOrdering, "ordering", ["weak" => Weak, "medium" => Medium, "strong" => Strong]);

/// The result of a change of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateResult {
    /// Grows with every such change of the collection: the version of its payload schema.
    pub operation_id: u64,
    /// `completed`: every shard has it. `acknowledged`: it is certain, and some shards have yet to carry it out.
    pub status: String,
    /// Of an index that was dropped: whether there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existed: Option<bool>,
    /// What the user should know, though it is no error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The result of `GET /collections/{name}`, with Qdrant's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionInfo {
    /// `green` while every shard has a leader, else `red`.
    pub status: String,
    /// Points, each counted once.
    pub points_count: u64,
    /// Its settings.
    pub config: CollectionConfigInfo,
    /// The indexed payload fields by their paths.
    pub payload_schema: BTreeMap<String, FieldInfo>,
}

/// The settings in a [`CollectionInfo`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionConfigInfo {
    /// Vectors and placement.
    pub params: CollectionParams,
    /// Each vector by name, the one without a name under `""`, with its index and its codes.
    #[serde(default)]
    pub vectors: BTreeMap<String, VectorSettings>,
}

/// Vectors and placement of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionParams {
    /// Size and distance of the default vector, or of each named one by name; distances with a capital, as in Qdrant.
    pub vectors: Value,
    /// Shards that hold it.
    pub shard_number: u32,
    /// Replicas of each shard.
    pub replication_factor: u32,
    /// The level of requests that name none.
    pub consistency_level: String,
}
