//! What the demo's own client remembers, and what it can be asked to do.
//!
//! In: the points of its keys, and the versions that were acknowledged. Out: the same, so that an answer older than an
//! acknowledged write is seen to be stale. Sends nothing.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

/// The collection of the demo's own client.
pub(crate) const COLLECTION: &str = "demo";

/// What the client remembers.
#[derive(Default)]
pub(crate) struct DemoClient {
    /// The ids of the points that the keys stand for: key n is the n-th.
    pub(super) ids: Mutex<Vec<u64>>,
    /// For each key, the newest version that was acknowledged.
    pub(super) promised: Mutex<BTreeMap<usize, u64>>,
}

/// What `POST /api/client` asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientRequest {
    pub op: RequestKind,
    pub via: String,
    #[serde(default = "quorum")]
    pub level: String,
    #[serde(default = "one")]
    pub key: usize,
    #[serde(default)]
    pub value: Value,
}

/// What a client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequestKind {
    Read,
    Write,
}

fn quorum() -> String {
    "quorum".to_owned()
}

fn one() -> usize {
    1
}

impl DemoClient {
    /// Returns `true` if the keys can be read and written.
    pub fn is_ready(&self) -> bool {
        !self.ids.lock().is_empty()
    }
}
