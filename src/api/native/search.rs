//! Reads on the wire: search, scroll and count, and the evidence that answers carry.

use crate::api::options::request;
use crate::api::reading::null_is_absent;
use crate::api::word_schema::WordSchema;
use crate::api::{Consistency, PayloadText, PointId, VectorValue, WithPayload, WithVector};
use crate::model::limits::{DEFAULT_LIMIT, MAX_LIMIT, MAX_VECTOR_SIZE};
use crate::model::{Role, SearchParams, Way};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub(super) fn default_limit() -> usize {
    DEFAULT_LIMIT
}

/// Reads a limit; `null` means the default, as absence does.
pub(in crate::api) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Option::deserialize(deserializer).map(|limit| limit.unwrap_or(DEFAULT_LIMIT))
}

/// Who answered for a shard, and from what state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The shard.
    pub shard: u32,
    /// The node that answered.
    pub served_by: String,
    /// Its role then.
    #[schemars(with = "WordSchema<Role>")]
    pub role: Role,
    /// Its term then.
    pub term: u64,
    /// The log index its state had applied at least.
    pub index: u64,
    /// How old the state may be, in milliseconds: absent where it was current (QUORUM and ALL), `null` where nobody
    /// knows (a replica that has not heard its leader yet).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staleness_ms: Option<Option<u64>>,
}

/// How a shard searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// The shard.
    pub shard: u32,
    /// Which way it went.
    #[schemars(with = "WordSchema<Way>")]
    pub way: Way,
    /// Vectors and codes it compared.
    pub compared: u64,
    /// Payloads it tested the filter on.
    pub filtered: u64,
    /// How many points the payload indexes left to search among; absent where they were of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u64>,
    /// The payload indexes that it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<String>,
}

request! {
    /// `POST /search`: exactly one of `vector` and `id`.
    pub struct Search {
        /// The collection's name.
        pub collection: String,
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
        ..read,
        /// Tell how each shard searched.
        #[serde(default, deserialize_with = "null_is_absent")]
        #[schemars(with = "Option<bool>")]
        pub explain: bool,
    }
}

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The point.
    pub id: PointId,
    /// Its score under the collection's distance.
    pub score: f32,
    /// Log index of its last change.
    pub version: u64,
    /// Its payload, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadText>,
    /// Its vectors, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorValue>,
    /// Its shard.
    pub shard: u32,
}

/// 200 to `POST /search`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Searched {
    /// Best first; ties by id.
    pub results: Vec<Hit>,
    /// The level the answer was read at.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered, one row for each shard.
    pub shards: Vec<Evidence>,
    /// Shards that did not answer, where `allow_partial` let them be missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<u32>,
    /// How each shard searched, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<Explain>>,
}

request! {
    /// `POST /quiver/v1/scroll`: points in the order of their ids.
    pub struct Scroll {
        /// The collection's name.
        pub collection: String,
        /// Points on a page.
        #[serde(default = "default_limit", deserialize_with = "limit")]
        #[schemars(with = "Option<usize>", range(min = 1, max = MAX_LIMIT), extend("x-limit" = "max_limit"))]
        pub limit: usize,
        /// First id of the page: a previous page's `next`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub offset: Option<PointId>,
        /// Only points that pass, in Qdrant's grammar, as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Map<String, Value>>")]
        pub filter: Option<Value>,
        /// Payload to return.
        #[serde(default, deserialize_with = "null_is_absent")]
        #[schemars(with = "Option<WithPayload>")]
        pub with_payload: WithPayload,
        /// Vectors to return.
        #[serde(default, deserialize_with = "null_is_absent")]
        #[schemars(with = "Option<WithVector>")]
        pub with_vector: WithVector,
        ..read,
    }
}

/// One stored point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The point.
    pub id: PointId,
    /// Log index of its last change.
    pub version: u64,
    /// Its payload, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadText>,
    /// Its vectors, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorValue>,
    /// Its shard.
    pub shard: u32,
}

/// 200 to `POST /quiver/v1/scroll`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scrolled {
    /// By id.
    pub points: Vec<Record>,
    /// Where the next page starts; `null` on the last one.
    pub next: Option<PointId>,
    /// The level the answer was read at.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered, one row for each shard.
    pub shards: Vec<Evidence>,
    /// Shards that did not answer, where `allow_partial` let them be missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<u32>,
}

request! {
    /// `POST /quiver/v1/count`.
    #[derive(Default)]
    pub struct Count {
        /// The collection's name.
        pub collection: String,
        /// Only points that pass, in Qdrant's grammar, as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Map<String, Value>>")]
        pub filter: Option<Value>,
        ..read,
    }
}

/// 200 to `POST /quiver/v1/count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// Points that pass.
    pub count: u64,
    /// The level the answer was read at.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered, one row for each shard.
    pub shards: Vec<Evidence>,
    /// Shards that did not answer, where `allow_partial` let them be missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_shards: Vec<u32>,
}
