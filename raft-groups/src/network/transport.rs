//! What a transport is: it carries opaque bytes to a node and its answer back.
//!
//! HTTP does so between processes, a seeded network within a simulation. Neither knows what the bytes say, and
//! consensus does not know which of the two it has.

use std::future::Future;
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

/// The answering side of a node, as a transport sees it.
pub trait AnswerRequests: Clone + Send + Sync + 'static {
    /// Answers one request of a peer; a refusal is an answer too.
    fn answer_request(&self, request: Bytes) -> impl Future<Output = Bytes> + Send;
}
