//! Carries calls to their node: into this process's own service, or over HTTP to the peer port of another.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::network::faults::Faults;
use raft_groups::network::http::{AddressBook, CROWDED};
use reqwest::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::breaker::Breaker;
use super::wire;
use crate::routing::dispatch::retry_timing::SHORTEST_TRY;
use crate::routing::rpc::message::{
    Call, MAX_CALLS, MAX_RPC_BYTES, NodeClient, PATH, RouteRequest, RouteResponse, RpcError, RpcResult,
};
use crate::routing::serve::service::Service;

/// Most requests of one kind under way to one peer.
pub const MAX_IN_FLIGHT: usize = 256;

/// How long a connection is kept that nothing is sent on: shorter than the other side keeps it, so that no request meets
/// its end.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// This part of the time is kept back from the peer, so that its own words arrive before the caller stops listening.
const KEPT_BACK: u32 = 20;

/// Most characters that are kept of a peer's reason.
const MAX_REASON: usize = 500;

/// A try with less time than this says nothing of a peer that did not answer; a little below [`SHORTEST_TRY`], since
/// some of that has passed before the request is sent.
const FAIR_TRY: Duration = SHORTEST_TRY.saturating_sub(Duration::from_millis(50));

/// The client of a running process.
pub struct HttpNodeClient {
    local: OnceLock<Arc<Service>>,
    addresses: Arc<dyn AddressBook>,
    client: reqwest::Client,
    faults: Faults,
    peers: Mutex<HashMap<NodeId, Arc<Peer>>>,
}

/// What is kept for each peer.
struct Peer {
    breaker: Mutex<Breaker>,
    /// For requests that are answered as fast as the peer can.
    places: Semaphore,
    /// For requests in whose nature it is to wait for others: however many wait, they keep out only their own kind.
    waiting_places: Semaphore,
}

impl Default for Peer {
    fn default() -> Self {
        let places = || Semaphore::new(MAX_IN_FLIGHT);
        Self { breaker: Mutex::default(), places: places(), waiting_places: places() }
    }
}

impl HttpNodeClient {
    /// A client that finds nodes in `addresses`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(addresses: Arc<dyn AddressBook>, faults: Faults) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            // Nodes call each other directly, whatever proxy the machine is set to use.
            .no_proxy()
            .pool_max_idle_per_host(MAX_IN_FLIGHT)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { local: OnceLock::new(), addresses, faults, client, peers: Mutex::default() })
    }

    /// From now on calls to the node of `service` are carried out in this process. Only the first time counts.
    pub fn serve_locally(&self, service: Arc<Service>) {
        let _ = self.local.set(service);
    }

    fn peer(&self, node: NodeId) -> Arc<Peer> {
        Arc::clone(self.peers.lock().entry(node).or_default())
    }

    async fn remote(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult {
        let left = deadline.saturating_duration_since(Instant::now());
        let may_wait = calls.iter().any(Call::may_wait);
        // What cannot be sent to anyone says nothing of the peer, so this comes before its breaker is asked.
        let body = encode(cluster, self.me(), to, calls, left)?;
        let url = self.addresses.peer_url(to).ok_or_else(|| not_sent("its address is not known"))?;
        if self.faults.loses_to(to) {
            return Err(not_sent("the link is cut by a fault test"));
        }
        self.faults.delay_to(to).await;
        let peer = self.peer(to);
        // The place comes before the breaker: a request that finds none must not be taken for a probe.
        let _place = peer.place(may_wait)?;
        if !peer.breaker.lock().admit(Instant::now()) {
            return Err(not_sent("it did not answer lately"));
        }
        let mut answer = self.post(&url, body, left).await;
        if self.faults.loses_from(to) {
            answer = Err(RpcError::Lost { reason: "the link is cut by a fault test".to_owned() });
        }
        // Any answer but a server error shows that the peer is there.
        let heard = answer.as_ref().is_ok_and(|(status, _)| !status.is_server_error());
        peer.learn(heard, left);
        answer.and_then(|(status, bytes)| understood(status, &bytes))
    }

    async fn post(&self, url: &str, body: Vec<u8>, left: Duration) -> Result<(StatusCode, Bytes), RpcError> {
        let request = self.client.post(format!("{url}{PATH}")).timeout(left).body(body);
        let response = request.send().await.map_err(|error| unsent_or_lost(&error))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| RpcError::Lost { reason: lost(&error) })?;
        Ok((status, bytes))
    }
}

impl Peer {
    /// A place for a request, until it is dropped.
    fn place(&self, may_wait: bool) -> Result<SemaphorePermit<'_>, RpcError> {
        let is_apart = may_wait && !is_planted(Mutant::WaitsAmongAll);
        let places = if is_apart { &self.waiting_places } else { &self.places };
        places.try_acquire().map_err(|_| RpcError::Busy { limit: MAX_IN_FLIGHT })
    }

    /// Takes note of a try that had `left` to hear of the peer. That nothing came of a hasty one may be its own fault.
    fn learn(&self, heard: bool, left: Duration) {
        let (mut breaker, now) = (self.breaker.lock(), Instant::now());
        match heard {
            true => breaker.succeeded(),
            false if left >= FAIR_TRY => breaker.failed(now),
            false => breaker.undecided(now),
        }
    }
}

/// What a peer's words mean. Only statuses that are always said before anything is carried out prove that nothing was.
fn understood(status: StatusCode, bytes: &[u8]) -> RpcResult {
    match status {
        StatusCode::OK => {}
        StatusCode::MISDIRECTED_REQUEST => return Err(RpcError::Misdirected),
        StatusCode::BAD_REQUEST => {
            let reason = String::from_utf8_lossy(bytes).chars().take(MAX_REASON).collect();
            return Err(RpcError::Unreadable { reason });
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            return Err(RpcError::Unsendable { reason: "the request is larger than the node takes".to_owned() });
        }
        CROWDED => return Err(RpcError::Crowded),
        // Whatever else it says, the peer may have carried something out before.
        other => return Err(RpcError::Lost { reason: format!("it answered {other}") }),
    }
    match wire::decode_response(bytes) {
        Ok(RouteResponse::Answers(answers)) => Ok(answers),
        Ok(RouteResponse::Misdirected { .. }) => Err(RpcError::Misdirected),
        Err(error) => Err(RpcError::Unintelligible { reason: error.to_string() }),
    }
}

#[async_trait]
impl NodeClient for HttpNodeClient {
    async fn call(&self, cluster: [u8; 16], to: NodeId, calls: Vec<Call>, deadline: Instant) -> RpcResult {
        match self.local.get().filter(|local| local.node == to) {
            Some(local) => {
                let left = deadline.saturating_duration_since(Instant::now());
                // A replica that is stuck must not hold its caller beyond the deadline, even in this process.
                let answers = timeout_at(deadline, local.execute(calls, deadline - left / KEPT_BACK)).await;
                answers.map_err(|_| RpcError::Lost { reason: "this node itself did not answer in time".to_owned() })
            }
            None => self.remote(cluster, to, calls, deadline).await,
        }
    }

    fn looks_alive(&self, node: NodeId) -> bool {
        self.me() == Some(node) || self.peer(node).breaker.lock().looks_alive()
    }

    fn me(&self) -> Option<NodeId> {
        self.local.get().map(|service| service.node)
    }
}

fn encode(
    cluster: [u8; 16],
    from: Option<NodeId>,
    to: NodeId,
    calls: Vec<Call>,
    left: Duration,
) -> Result<Vec<u8>, RpcError> {
    // This side counts as well, so that nothing is sent that the peer would refuse for its size.
    let weight: usize = calls.iter().map(Call::weight).sum();
    if calls.len() > MAX_CALLS || weight > MAX_RPC_BYTES {
        return Err(RpcError::Unsendable { reason: "the request is larger than one node takes at once".to_owned() });
    }
    // The peer gets a little less time than is left, so that its own words still arrive.
    let timeout_ms = u64::try_from((left - left / KEPT_BACK).as_millis()).unwrap_or(u64::MAX);
    let request = RouteRequest { cluster, from, to, timeout_ms, calls };
    wire::encode(request).map_err(|reason| RpcError::Unsendable { reason })
}

fn not_sent(reason: &str) -> RpcError {
    RpcError::NotSent { reason: reason.to_owned() }
}

/// What became of a connection, in words for people.
fn lost(error: &reqwest::Error) -> String {
    if error.is_timeout() { "it did not answer in time" } else { "the connection to it broke" }.to_owned()
}

/// Only a connection that was never opened proves that nothing was sent.
fn unsent_or_lost(error: &reqwest::Error) -> RpcError {
    if error.is_connect() { not_sent("it could not be reached") } else { RpcError::Lost { reason: lost(error) } }
}

#[cfg(test)]
mod tests {
    use raft_groups::ReadMode;
    use raft_groups::mutants::plant;

    use super::*;
    use crate::engine::{CollectionId, CountQuery};
    use crate::placement::META;
    use crate::routing::LogPoint;
    use crate::routing::rpc::breaker::FAILURES_TO_OPEN;
    use crate::routing::rpc::message::Query;

    #[test]
    fn hasty_clients_do_not_shut_a_peer_out() {
        let peer = Peer::default();
        let alive = || peer.breaker.lock().looks_alive();
        (0..2 * FAILURES_TO_OPEN).for_each(|_| peer.learn(false, Duration::from_millis(100)));
        assert!(alive());
        (0..FAILURES_TO_OPEN).for_each(|_| peer.learn(false, SHORTEST_TRY));
        assert!(!alive() && !peer.breaker.lock().admit(Instant::now()));
        peer.learn(true, Duration::ZERO);
        assert!(alive());
    }

    #[test]
    fn who_waits_for_others_keeps_out_only_its_own_kind() {
        let write = |everywhere| Call::Write { group: META, command: Bytes::new(), everywhere, lifetime: None };
        let read = |mode, after| {
            let query = Query::Count(CountQuery { collection: CollectionId(1), filter: None }).into();
            Call::Read { group: META, mode, after, max_staleness_ms: None, query, room: None }
        };
        let after = Some(LogPoint { recovered: 0, index: 7 });
        assert!(write(true).may_wait() && read(ReadMode::Follower, after).may_wait());
        let brief = [write(false), read(ReadMode::Follower, None), read(ReadMode::Lease, after), Call::Report];
        assert!(!brief.iter().any(Call::may_wait), "a leader knows at once whether it has got there");
        let peer = Peer::default();
        let waiting: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| peer.place(true).unwrap()).collect();
        assert!(matches!(peer.place(true), Err(RpcError::Busy { .. })));
        assert!(peer.place(false).is_ok());
        drop(waiting);
        assert!(peer.place(true).is_ok());
        let _planted = plant(Mutant::WaitsAmongAll);
        let _waiting: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| peer.place(true).unwrap()).collect();
        assert!(peer.place(false).is_err(), "the bug is not planted");
    }

    #[test]
    fn what_is_too_large_for_any_node_is_not_sent_to_one() {
        let call = Call::Report;
        let result = encode([0; 16], None, 1, vec![call; MAX_CALLS + 1], SHORTEST_TRY);
        assert!(matches!(result, Err(RpcError::Unsendable { .. })), "{result:?}");
    }

    #[test]
    fn only_what_is_refused_beforehand_was_certainly_not_carried_out() {
        let unreadable = understood(StatusCode::BAD_REQUEST, "no such call".as_bytes());
        assert_eq!(unreadable, Err(RpcError::Unreadable { reason: "no such call".to_owned() }));
        let too_large = understood(StatusCode::PAYLOAD_TOO_LARGE, b"");
        assert!(matches!(too_large, Err(RpcError::Unsendable { .. })), "{too_large:?}");
        assert_eq!(understood(CROWDED, b""), Err(RpcError::Crowded));
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND] {
            assert!(matches!(understood(status, b""), Err(RpcError::Lost { .. })), "{status}");
        }
        assert!(matches!(understood(StatusCode::OK, b""), Err(RpcError::Unintelligible { .. })));
        assert_eq!(understood(StatusCode::MISDIRECTED_REQUEST, b""), Err(RpcError::Misdirected));
    }
}
