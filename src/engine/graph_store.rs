//! Where graphs outlive the process. The engine knows no files: whoever opens it brings a shelf, and puts on it what
//! [`Engine::graph`](super::Engine::graph) gives.

use std::fmt;
use std::sync::Arc;

use vector_index::{Image, Space};

use super::collection::VectorParams;
use super::ids::CollectionId;

/// Saved graphs of one shard's collections.
pub trait Shelf: Send + Sync {
    /// The bytes that were last put there for the collection's vectors of this name.
    fn take(&self, collection: CollectionId, vector_name: &str) -> Option<Vec<u8>>;
}

/// What a shard's engine is opened with.
#[derive(Clone, Default)]
pub struct Setup {
    /// Where its graphs were put; without one, they are built anew.
    pub shelf: Option<Arc<dyn Shelf>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Setup").field("shelf", &self.shelf.is_some()).finish()
    }
}

impl Setup {
    /// An empty space with the graph that was saved for it, if there is one that can be used.
    pub(super) fn space(&self, collection: CollectionId, name: &str, params: VectorParams) -> Space {
        let Some(bytes) = self.shelf.as_ref().and_then(|shelf| shelf.take(collection, name)) else {
            return Space::new(params);
        };
        let restored = Image::decode(&bytes).and_then(|image| Space::from_image(params, &image));
        restored.unwrap_or_else(|error| {
            tracing::warn!(%collection, vector = name, %error, "a damaged graph costs time, no data");
            Space::new(params)
        })
    }
}
