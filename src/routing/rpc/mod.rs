//! Between nodes: what they ask of each other, its bytes, and both ends of the wire.

pub(super) mod breaker;
pub(super) mod client;
pub(super) mod error;
pub(super) mod message;
pub(super) mod server;
pub(super) mod wire;

pub use error::RpcError;
pub use message::{Call, NodeClient, RpcResult};
