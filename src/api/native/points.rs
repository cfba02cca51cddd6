//! Points on the wire: upsert, delete, get.

use crate::api::reading::{null_is_absent, uuid};
use crate::api::{Consistency, Evidence, Level, PayloadText, VectorValue, WithPayload, WithVector};
use crate::model::PointId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// `POST /vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsert {
    /// The collection's name.
    pub collection: String,
    /// The points, each replacing the point of its id as a whole.
    pub vectors: Vec<PointInput>,
    /// When to acknowledge; absent means the collection's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// Names this write, so that a retry within 15 minutes applies once and answers what the first answered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "uuid")]
    pub request_id: Option<Uuid>,
    /// Deadline, in milliseconds from arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// One point to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteResult {
    /// The point.
    pub id: PointId,
    /// Its shard.
    pub shard: u32,
    /// Its new version: the shard's log index.
    pub version: u64,
}

/// `DELETE /vectors`: exactly one of `ids` and `filter`.
///
/// By `ids` a shard's part is one change. By `filter` it is not: each shard deletes the points that matched when it began
/// and were not written since, in slices. Readers may see some gone and others not yet; what is written meanwhile is
/// spared. After an unknown outcome, or past the deadline, some are gone: the same request under the same `request_id`
/// goes on from there, and `deleted` counts every point once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The collection's name.
    pub collection: String,
    /// The points by id; unknown ids are no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<PointId>>,
    /// The points by filter, in Qdrant's grammar, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Says that a filter which every point passes is meant so: without it that is refused, since clients build such
    /// filters from empty lists by mistake.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_is_absent")]
    pub all: bool,
    /// When to acknowledge; absent means the collection's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// Names this write, so that a retry within 15 minutes applies once and answers what the first answered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "uuid")]
    pub request_id: Option<Uuid>,
    /// Deadline, in milliseconds from arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// 200 to `DELETE /vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// The query string of `GET /vectors/{collection}/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetOptions {
    /// Read level; absent means the collection's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// Token of a write this read must see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Refuse an answer that may be older than this, in milliseconds (level ONE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness_ms: Option<u64>,
    /// Deadline, in milliseconds from arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether to return the payload; absent means yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_payload: Option<bool>,
    /// Whether to return the vector; absent means yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_vector: Option<bool>,
}

/// The query string of `DELETE /vectors/{collection}/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteOptions {
    /// When to acknowledge; absent means the collection's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// Names this write, so that a retry within 15 minutes applies once and answers what the first answered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "uuid")]
    pub request_id: Option<Uuid>,
    /// Deadline, in milliseconds from arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl GetOptions {
    /// Payload and vector to return.
    pub fn selection(&self) -> (WithPayload, WithVector) {
        (WithPayload::All(self.with_payload.unwrap_or(true)), WithVector::All(self.with_vector.unwrap_or(true)))
    }
}

/// 200 to `GET /vectors/{collection}/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub consistency: Consistency,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// Who answered: one row.
    pub shards: Vec<Evidence>,
}
