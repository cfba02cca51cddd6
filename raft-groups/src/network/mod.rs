//! How replicas of one group talk across nodes.
//!
//! ```text
//! openraft ─▶ raft_network, snapshot_sender ─▶ client (PeerClient) ─▶ wire ─▶ a transport ═▶ the other node's host
//! ```
//! Opaque request bytes go to a node, opaque reply bytes come back. [`wire`] says what is in them, [`Transport`] what
//! carries them, [`lives`] whom they are taken from, [`faults`] what a test does to them, [`throttle`] how fast
//! snapshots go. What a replica answers is up to the replica.

pub(crate) mod client;
pub mod faults;
mod frames;
pub mod http;
mod http_post;
pub(crate) mod lives;
mod raft_network;
mod snapshot_sender;
pub(crate) mod throttle;
mod transport;
pub(crate) mod wire;

pub use self::transport::{AnswerRequests, Lane, Transport, Unreachable};
