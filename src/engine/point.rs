//! A point as it is written: id, vectors, payload.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use crate::model::PointId;

/// One point to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointWrite {
    /// The point's name; an existing point of that name is replaced whole.
    pub id: PointId,
    /// The vectors by name; [`DEFAULT_VECTOR`](super::DEFAULT_VECTOR) where the collection has one without a name. Of
    /// several named ones a point may lack some, but not all.
    #[serde(with = "super::floats::named")]
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// The payload; empty if there is none.
    pub payload: Payload,
    /// Write only if the point has this version now; 0 means that it must not exist.
    pub if_version: Option<u64>,
}
