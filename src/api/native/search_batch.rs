//! Many searches in one request on the wire.

use super::search::{default_limit, limit};
use crate::api::options::request;
use crate::api::reading::null_is_absent;
use crate::api::word_schema::WordSchema;
use crate::api::{Consistency, Evidence, Explain, Hit, PointId, SearchParams, WithPayload, WithVector};
use crate::model::limits::{MAX_LIMIT, MAX_SEARCHES, MAX_VECTOR_SIZE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

request! {
    /// `POST /quiver/v1/search/batch`: searches of one collection, at one level, against the same state of each shard or
    /// later ones.
    pub struct SearchBatch {
        /// The collection's name.
        pub collection: String,
        /// The searches.
        #[schemars(length(min = 1, max = MAX_SEARCHES), extend("x-limit" = "max_searches"))]
        pub searches: Vec<SearchItem>,
        ..read,
        /// Tell how each shard searched.
        #[serde(default, deserialize_with = "null_is_absent")]
        #[schemars(with = "Option<bool>")]
        pub explain: bool,
    }
}

/// One search of a [`SearchBatch`]: exactly one of `vector` and `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchItem {
    /// Find what is near this vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_VECTOR_SIZE))]
    pub vector: Option<Vec<f32>>,
    /// Find what is near this point, which is left out of the results itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PointId>,
    /// Name of the vector to compare with; absent means the default vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Results wanted.
    #[serde(default = "default_limit", deserialize_with = "limit")]
    #[schemars(with = "Option<usize>", range(min = 1, max = MAX_LIMIT), extend("x-limit" = "max_limit"))]
    pub limit: usize,
    /// Best results to skip.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<usize>", range(max = MAX_LIMIT), extend("x-limit" = "max_limit"))]
    pub offset: usize,
    /// Only points that pass, in Qdrant's grammar, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub filter: Option<Value>,
    /// Only results at least this near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_threshold: Option<f32>,
    /// Payload to return.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<WithPayload>")]
    pub with_payload: WithPayload,
    /// Vectors to return.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<WithVector>")]
    pub with_vector: WithVector,
    /// Knobs.
    #[serde(default, deserialize_with = "null_is_absent")]
    #[schemars(with = "Option<SearchParams>")]
    pub params: SearchParams,
}

/// The results of one search of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hits {
    /// Best first; ties by id.
    pub results: Vec<Hit>,
    /// How each shard searched, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<Explain>>,
}

/// 200 to `POST /quiver/v1/search/batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchSearched {
    /// The results of each search, in the request's order.
    pub searches: Vec<Hits>,
    /// The level the answer was read at.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered, one row for each shard: every search saw that state or a later one.
    pub shards: Vec<Evidence>,
    /// Shards that did not answer, where `allow_partial` let them be missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<u32>,
}
