//! Points on the wire: upsert, delete, get.

use crate::api::options::request;
use crate::api::reading::null_is_absent;
use crate::api::word_schema::WordSchema;
use crate::api::{Consistency, Evidence, PayloadText, VectorValue, WithPayload, WithVector};
use crate::model::PointId;
use crate::model::limits::MAX_BATCH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

request! {
    /// `POST /vectors`.
    pub struct Upsert {
        /// The collection's name.
        pub collection: String,
        /// The points, each replacing the point of its id as a whole.
        #[schemars(length(min = 1, max = MAX_BATCH), extend("x-limit" = "max_batch"))]
        pub vectors: Vec<PointInput>,
        ..write,
    }
}

/// One point to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointInput {
    /// Its identity.
    pub id: PointId,
    /// Its vector or named vectors.
    pub vector: VectorValue,
    /// Its payload; `null` or absent means an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// Write only if the point's version is this; 0 means it must not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u64>,
}

/// 200 to `POST /vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upserted {
    /// `completed`.
    pub status: String,
    /// Points written.
    pub upserted: u64,
    /// In the request's order.
    pub results: Vec<WriteResult>,
    /// Opaque: pass it as `after` to read this write at any level.
    pub token: String,
    /// Who took the write, one row for each shard, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Evidence>,
}

/// Where one point went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteResult {
    /// The point.
    pub id: PointId,
    /// Its shard.
    pub shard: u32,
    /// Its new version: the shard's log index.
    pub version: u64,
}

request! {
    /// `DELETE /vectors`: exactly one of `ids` and `filter`.
    ///
    /// By `ids` a shard's part is one change. By `filter` it is not: each shard deletes the points that matched when it began
    /// and were not written since, in slices. Readers may see some gone and others not yet; what is written meanwhile is
    /// spared. After an unknown outcome, or past the deadline, some are gone: the same request under the same `request_id`
    /// goes on from there, and `deleted` counts every point once.
    #[derive(Default)]
    pub struct Delete {
        /// The collection's name.
        pub collection: String,
        /// The points by id; unknown ids are no error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(min = 1, max = MAX_BATCH), extend("x-limit" = "max_batch"))]
        pub ids: Option<Vec<PointId>>,
        /// The points by filter, in Qdrant's grammar, as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Map<String, Value>>")]
        pub filter: Option<Value>,
        /// Says that a filter which every point passes is meant so: without it that is refused, since clients build such
        /// filters from empty lists by mistake.
        #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_is_absent")]
        #[schemars(with = "Option<bool>")]
        pub all: bool,
        ..write,
    }
}

/// 200 to `DELETE /vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// `completed`.
    pub status: String,
    /// Points that existed and are gone.
    pub deleted: u64,
    /// Opaque: pass it as `after` to read this write at any level.
    pub token: String,
    /// Who took the write, one row for each shard, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Evidence>,
}

request! {
    /// The query string of `GET /vectors/{collection}/{id}`.
    #[derive(Default, Eq)]
    pub struct GetOptions {
        ..read_one,
        /// Whether to return the payload; absent means yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub with_payload: Option<bool>,
        /// Whether to return the vector; absent means yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub with_vector: Option<bool>,
    }
}

request! {
    /// The query string of `DELETE /vectors/{collection}/{id}`.
    #[derive(Default, Eq)]
    pub struct DeleteOptions {
        ..write,
    }
}

impl GetOptions {
    /// Payload and vector to return.
    pub fn selection(&self) -> (WithPayload, WithVector) {
        (WithPayload::All(self.with_payload.unwrap_or(true)), WithVector::All(self.with_vector.unwrap_or(true)))
    }
}

/// 200 to `GET /vectors/{collection}/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
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
    /// The level the answer was read at.
    #[schemars(with = "WordSchema<Consistency>")]
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered: one row.
    pub shards: Vec<Evidence>,
}
