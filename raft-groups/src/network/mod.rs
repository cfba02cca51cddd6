//! How replicas of one group talk across nodes.
//!
//! Opaque request bytes go to a node, opaque reply bytes come back. What carries them is a [`Transport`]: HTTP between
//! processes, a seeded network inside one process for simulation.

pub(crate) mod client;
pub mod faults;
mod frames;
pub mod http;
pub(crate) mod server;
pub(crate) mod throttle;
pub(crate) mod wire;

/// The simulated network, by the path and the names that the crates above use.
#[cfg(any(test, feature = "sim"))]
pub mod sim {
    pub use crate::sim::{LinkConditions as Weather, SimNet};
}

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::NodeId;

/// Carries one request to another node and its reply back.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` to `to` on `lane` and waits at most `deadline` for the reply.
    ///
    /// # Errors
    /// [`Unreachable`] where no reply came in time; the request may still have been carried out.
    async fn call(&self, to: NodeId, lane: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable>;
}

/// Requests of one lane can delay each other, those of different lanes cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Small and urgent: votes, heartbeats, read confirmations, appends.
    Raft,
    /// Requests whose answer waits for something, such as a confirmation or an index: they must not hold up the rest.
    Wait,
    /// Snapshot chunks: large, and never in a hurry.
    Snapshot,
}

/// No reply came from a node.
#[derive(Debug, Clone, thiserror::Error)]
#[error("node {node} is unreachable: {reason}")]
pub struct Unreachable {
    /// The node.
    pub node: NodeId,
    /// What the transport met.
    pub reason: String,
}
