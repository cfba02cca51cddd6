//! What a collection's vectors look like.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a collection's vector when it has only one and did not name it.
pub const DEFAULT_VECTOR: &str = "";

/// How two vectors are compared. JSON: lowercase; the capitalised names of Qdrant are understood too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// Cosine of the angle, in [-1, 1]; more is nearer. Refuses vectors of length zero.
    #[serde(alias = "Cosine")]
    Cosine,
    /// Dot product; more is nearer.
    #[serde(alias = "Dot")]
    Dot,
    /// Euclidean distance; less is nearer.
    #[serde(alias = "Euclid")]
    Euclid,
    /// Sum of the absolute differences; less is nearer.
    #[serde(alias = "Manhattan")]
    Manhattan,
}

impl Distance {
    /// Whether a greater score is a better one.
    pub fn more_is_nearer(self) -> bool {
        matches!(self, Self::Cosine | Self::Dot)
    }

    /// The order of two scores, the better first; total, so that sorting is the same everywhere.
    pub fn rank(self, left: f32, right: f32) -> std::cmp::Ordering {
        if self.more_is_nearer() { right.total_cmp(&left) } else { left.total_cmp(&right) }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclid => "euclid",
            Self::Manhattan => "manhattan",
        })
    }
}

/// One vector of a collection's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorParams {
    /// Number of components, 1 to [`MAX_VECTOR_SIZE`](super::limits::MAX_VECTOR_SIZE).
    pub size: usize,
    /// How these vectors are compared.
    pub distance: Distance,
}

/// The settings of a collection that its shards need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionConfig {
    /// The vectors a point may carry, by name; [`DEFAULT_VECTOR`] names the one that has no name.
    pub vectors: BTreeMap<String, VectorParams>,
}

impl CollectionConfig {
    /// A collection with one unnamed vector.
    pub fn single(size: usize, distance: Distance) -> Self {
        Self { vectors: BTreeMap::from([(DEFAULT_VECTOR.to_owned(), VectorParams { size, distance })]) }
    }
}
