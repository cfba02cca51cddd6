//! Where graphs outlive the process. The engine knows no files: whoever opens it brings a store, and puts into it what
//! [`Engine::graph`](super::Engine::graph) gives.

use std::fmt;
use std::sync::Arc;

use vector_index::{Image, Space};

use super::collection::VectorParams;
use super::ids::CollectionId;

/// Which graph of a shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GraphName {
    /// Of which collection.
    pub collection: CollectionId,
    /// Of the vectors of this name.
    pub vector_name: String,
}

/// Saved graphs of one shard's collections.
pub trait GraphStore: Send + Sync {
    /// The bytes that were last put there for the collection's vectors of this name.
    fn take(&self, collection: CollectionId, vector_name: &str) -> Option<Vec<u8>>;
}

/// What a shard's engine is opened with.
#[derive(Clone, Default)]
pub struct Setup {
    /// Where its graphs were put; without one, they are built anew.
    pub graph_store: Option<Arc<dyn GraphStore>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Setup").field("graph_store", &self.graph_store.is_some()).finish()
    }
}

impl Setup {
    /// An empty space with the graph that was saved for it, if there is one that can be used.
    pub(super) fn space(&self, collection: CollectionId, name: &str, params: VectorParams) -> Space {
        let Some(bytes) = self.graph_store.as_ref().and_then(|graph_store| graph_store.take(collection, name)) else {
            return Space::new(params);
        };
        // A saved graph only saves work. Without it the background links the vectors anew.
        let restored = Image::decode(&bytes).and_then(|image| Space::from_image(params, &image));
        restored.unwrap_or_else(|error| {
            tracing::warn!(%collection, vector = name, %error, "a damaged graph costs time, no data");
            Space::new(params)
        })
    }
}
