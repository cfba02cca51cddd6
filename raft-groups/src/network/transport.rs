//! What a transport is: it carries opaque bytes to a node, and brings the answer back.
//!
//! Between processes the transport is HTTP; in a simulation it is a seeded network. Neither knows what the bytes
//! say, and consensus does not know which one it uses.

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
    /// [`Unreachable`] if no reply came in time. The request may still have been carried out.
    async fn call(&self, to: NodeId, lane: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable>;
}

/// A class of requests. Requests of one lane can delay each other; requests of different lanes cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Urgent: votes, heartbeats, appends, requests to take over.
    Raft,
    /// Requests whose answer waits for something, such as a confirmation or an index. They must not delay the
    /// others.
    Wait,
    /// Snapshot chunks: large, and not urgent.
    Snapshot,
}

/// No reply came from a node.
#[derive(Debug, Clone, thiserror::Error)]
#[error("node {node} is unreachable: {reason}")]
pub struct Unreachable {
    /// The node.
    pub node: NodeId,
    /// What went wrong, as text.
    pub reason: String,
}

/// The answering side of a node, as a transport sees it.
pub trait AnswerRequests: Clone + Send + Sync + 'static {
    /// Answers one request of a peer. A refusal is an answer too.
    fn answer_request(&self, request: Bytes) -> impl Future<Output = Bytes> + Send;
}
