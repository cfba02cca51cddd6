//! The one error body: Qdrant's shape, enriched, so that every client can read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::Committed;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What happened.
    pub status: ErrorStatus,
    /// Seconds it took.
    pub time: f64,
}

/// What happened, for a person (`error`) and for a program (the rest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorStatus {
    /// One sentence that says what is wrong and, where there is one, the way out.
    pub error: String,
    /// A stable word, such as `collection_not_found`.
    pub code: String,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// The fate of the write; `no` for reads.
    pub committed: Committed,
    /// The request, as it stands in the logs and in `X-Request-Id`.
    pub request_id: String,
    /// More, by code: position, field, limit, current version, missing nodes…
    #[serde(default)]
    pub details: Map<String, Value>,
}
