//! Quiver: a Raft-replicated, sharded vector store.
//!
//! Every fact has one owner, and every change to it goes through that owner's log. Points live in a shard's log and are
//! kept by its [`engine`].

pub mod engine;
