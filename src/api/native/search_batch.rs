//! Many searches in one request on the wire.

use super::search::{default_limit, limit};
use crate::api::reading::null_is_absent;
use crate::api::{Consistency, Evidence, Explain, Hit, Level, PointId, SearchParams, WithPayload, WithVector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /quiver/v1/search/batch`: searches of one collection, at one level, against the same state of each shard or
/// later ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchBatch {
    /// The collection's name.
    pub collection: String,
    /// The searches.
    pub searches: Vec<SearchItem>,
    /// Read level; absent means the collection's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// Token of a write these reads must see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Refuse an answer that may be older than this, in milliseconds (level ONE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness_ms: Option<u64>,
    /// Deadline for all of them, in milliseconds from arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Accept an answer that misses shards, which it then names.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub allow_partial: bool,
    /// Tell how each shard searched.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub explain: bool,
}

/// One search of a [`SearchBatch`]: exactly one of `vector` and `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchItem {
    /// Find what is near this vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Find what is near this point, which is left out of the results itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PointId>,
    /// Name of the vector to compare with; absent means the default vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Results wanted.
    #[serde(default = "default_limit", deserialize_with = "limit")]
    pub limit: usize,
    /// Best results to skip.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub offset: usize,
    /// Only points that pass, in Qdrant's grammar, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Only results at least this near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_threshold: Option<f32>,
    /// Payload to return.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub with_payload: WithPayload,
    /// Vectors to return.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub with_vector: WithVector,
    /// Knobs.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub params: SearchParams,
}

/// The results of one search of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    /// Best first; ties by id.
    pub results: Vec<Hit>,
    /// How each shard searched, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<Explain>>,
}

/// 200 to `POST /quiver/v1/search/batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchSearched {
    /// The results of each search, in the request's order.
    pub searches: Vec<Hits>,
    /// The level the answer was read at.
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered, one row for each shard: every search saw that state or a later one.
    pub shards: Vec<Evidence>,
    /// Shards that did not answer, where `allow_partial` let them be missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<u32>,
}
