//! How replicas of one group talk across nodes.
//!
//! ```text
//! openraft ─▶ raft_network, snapshot_sender ─▶ client (PeerClient) ─▶ wire ─▶ a transport ═▶ the other node's host
//! ```
//! Opaque request bytes go to a node, and opaque reply bytes come back. [`wire`] defines what is in them, and a
//! [`Transport`] carries them. [`lives`] knows from which lives of a node they are accepted. [`faults`] loses or
//! delays them in tests, and [`throttle`] bounds the rate of snapshots. Each replica decides what it answers.

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
