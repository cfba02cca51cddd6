//! Quiver: a Raft-replicated, sharded vector store.
//!
//! Every fact has one owner, and every change to it goes through that owner's log. Points live in a shard's log and are
//! kept by its [`engine`]; the cluster map lives in the meta group's log and is kept by [`placement`]. [`routing`] finds
//! the way between a request and its shards; [`gateway`] speaks HTTP; [`node`] builds a process out of them, and [`cli`]
//! is how people start and use it. Above the API stand its [`client`], the cluster of child processes that [`dev`] starts,
//! and the teaching demo.

pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
mod demo;
pub mod dev;
pub mod engine;
pub mod gateway;
pub mod model;
pub mod node;
pub mod output;
pub mod placement;
pub mod routing;
