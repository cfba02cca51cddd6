//! Collections on the wire: creating, listing, dropping.

use super::index::said;
use super::{Consistency, Index, Quantization};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Components of the default vector where a request names no size: that of the common small sentence embeddings.
pub const DEFAULT_VECTOR_SIZE: usize = 384;

/// How two vectors are compared. Qdrant's spelling (`Cosine`) is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// Cosine similarity: bigger is nearer.
    #[default]
    #[serde(alias = "Cosine")]
    Cosine,
    /// Inner product: bigger is nearer.
    #[serde(alias = "Dot")]
    Dot,
    /// Euclidean distance: smaller is nearer.
    #[serde(alias = "Euclid")]
    Euclid,
    /// Sum of absolute differences: smaller is nearer.
    #[serde(alias = "Manhattan")]
    Manhattan,
}

/// Size and distance of one (named) vector of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorParams {
    /// Components.
    pub size: usize,
    /// How vectors are compared.
    #[serde(default)]
    pub distance: Distance,
    /// How they are indexed; absent means as the collection says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// The codes beside them: `null` for none; absent means as the collection says.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub quantization: Option<Option<Quantization>>,
}

/// `POST /collections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCollection {
    /// The collection's name.
    pub name: String,
    /// Components of the default vector; absent means [`DEFAULT_VECTOR_SIZE`], unless `vectors` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_size: Option<usize>,
    /// Distance of the default vector; absent means cosine, unless `vectors` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// Named vectors, instead of `vector_size` and `distance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<BTreeMap<String, VectorParams>>,
    /// The level of requests to this collection that name none.
    #[serde(default)]
    pub consistency_level: Consistency,
    /// The codes by which the index is walked: `null` for none; absent means bytes where the distance has any.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub quantization: Option<Option<Quantization>>,
    /// The index; absent means a graph of the usual settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
}

impl CreateCollection {
    /// The vectors this request asks for, by name; the default vector's name is the empty string.
    ///
    /// # Errors
    /// Says what is contradictory: `vectors` beside `vector_size` or `distance`, or an empty `vectors`.
    pub fn params(&self) -> Result<BTreeMap<String, VectorParams>, String> {
        match &self.vectors {
            Some(_) if self.vector_size.is_some() || self.distance.is_some() => Err(
                "`vectors` gives each named vector its own size and distance: leave out `vector_size` and `distance`"
                    .into(),
            ),
            Some(vectors) if vectors.is_empty() => {
                Err("`vectors` is empty: name at least one vector, or leave it out".into())
            }
            Some(vectors) => {
                let filled = |params: &VectorParams| VectorParams {
                    index: params.index.or(self.index),
                    quantization: params.quantization.or(self.quantization),
                    ..*params
                };
                Ok(vectors.iter().map(|(name, params)| (name.clone(), filled(params))).collect())
            }
            None => {
                let (size, distance) = (self.vector_size.unwrap_or(DEFAULT_VECTOR_SIZE), self.distance);
                let (index, quantization) = (self.index, self.quantization);
                let params = VectorParams { size, distance: distance.unwrap_or_default(), index, quantization };
                Ok(BTreeMap::from([(String::new(), params)]))
            }
        }
    }
}

/// 201 (or 200 where the very same collection exists) to `POST /collections`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The answer.
    pub result: T,
    /// `ok`.
    pub status: String,
    /// Seconds it took.
    pub time: f64,
}

/// The result of `GET /collections`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectionRows {
    /// By name.
    pub collections: Vec<CollectionRow>,
}

/// One collection in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionRow {
    /// The collection's name.
    pub name: String,
    /// Components of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_size: Option<usize>,
    /// Distance of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// Index of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// Codes of the default vector; absent where all vectors are named.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub quantization: Option<Option<Quantization>>,
    /// Named vectors, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, VectorParams>,
    /// Points, each counted once.
    pub points: u64,
}
