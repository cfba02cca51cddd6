//! The transport between processes: binary bodies over HTTP/1.1 keep-alive connections, many requests in one POST.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Lane, Transport, Unreachable};
use crate::{Host, NodeId};

/// Where a node listens for its peers.
pub trait AddressBook: Send + Sync + 'static {
    /// `http://host:port` of a node's peer port; `None` where it is not known (or cut off by a fault test).
    fn peer_url(&self, node: NodeId) -> Option<String>;
}

/// Sends to peers over HTTP.
pub struct HttpTransport {}
impl HttpTransport {
    /// A transport that looks up its peers in `addresses` at each connection.
    pub fn new(addresses: Arc<dyn AddressBook>) -> Self { let _ = addresses; unimplemented!() }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(&self, to: NodeId, lane: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable> { let _ = (to, lane, request, deadline); unimplemented!() }
}

/// The routes of the peer port that answer for `host`.
pub fn router(host: Host) -> axum::Router { let _ = host; unimplemented!() }
