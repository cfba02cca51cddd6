//! Quiver: a Raft-replicated, sharded vector store.
pub mod api;
pub mod config;
