//! What a collection's vectors look like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
pub use vector_index::{Distance, GraphParams, Quantization, SpaceParams as VectorParams};

/// The name of a collection's vector when it has only one and did not name it.
pub const DEFAULT_VECTOR: &str = "";

/// The settings of a collection that its shards need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionConfig {
    /// The vectors a point may carry, by name; [`DEFAULT_VECTOR`] names the one that has no name.
    pub vectors: BTreeMap<String, VectorParams>,
}

impl CollectionConfig {
    /// A collection with one unnamed vector.
    pub fn single(size: usize, distance: Distance) -> Self {
        Self { vectors: BTreeMap::from([(DEFAULT_VECTOR.to_owned(), VectorParams::new(size, distance))]) }
    }
}
