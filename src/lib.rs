//! Quiver: a Raft-replicated, sharded vector store.
pub mod api;
pub mod cli;
pub mod config;
pub mod node;
