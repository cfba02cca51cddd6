//! The transport between processes: binary bodies over HTTP/1.1 keep-alive connections.
//!
//! All that waits for one node, of any group, leaves in one POST. While few POSTs are in flight nothing waits; under
//! load many heartbeats and appends share one. Snapshots, and requests whose answer waits for something, have
//! connections of their own. Serve the [`router`] with TCP_NODELAY, as this client connects: without it on both
//! sides large bodies stall.
//!
//! A body is a sequence of frames, and replies come in the order of their requests. If the other side has no memory
//! for a body ([`CROWDED`]), the small requests in it are sent again without the large ones. So a heartbeat does not
//! fail with a large append.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::frames::{MAX_FRAMES, join_frames, split_frames};
pub use super::http_post::{CROWDED, FREE_BODY_BYTES};
use super::http_post::{post_batch, post_frames};
use super::transport::{AnswerRequests, Lane, Transport, Unreachable};
use crate::NodeId;

/// POSTs in flight to one node on [`Lane::Raft`], at most.
const MAX_IN_FLIGHT: usize = 8;
/// Requests that may wait for one node. openraft repeats what is refused.
const MAX_WAITING: usize = MAX_FRAMES;
/// Bytes of requests in one POST, about. A larger request goes alone.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Bytes of the largest body that is read: the largest entry that a client can cause, and ample room.
pub const MAX_READ_BYTES: usize = 256 << 20;
/// How long an idle connection is kept. The other side keeps it longer, so no request is sent on a connection that
/// is being closed.
const IDLE: Duration = Duration::from_secs(30);
const UNKNOWN_ADDRESS: &str = "its address is not known";
/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_millis(1000);

// A body that is always taken is smaller than one that is filled up, which is smaller than the largest that is read.
// All that may wait fits into one body.
const _: () = assert!(FREE_BODY_BYTES < MAX_BODY_BYTES && MAX_BODY_BYTES < MAX_READ_BYTES && MAX_WAITING <= MAX_FRAMES);

/// The addresses at which nodes listen for their peers.
pub trait AddressBook: Send + Sync + 'static {
    /// Returns `http://host:port` of a node's peer port; `None` if it is not known.
    fn peer_url(&self, node: NodeId) -> Option<String>;
}

/// Sends to peers over HTTP.
pub struct HttpTransport {
    addresses: Arc<dyn AddressBook>,
    raft: reqwest::Client,
    waits: reqwest::Client,
    snapshots: reqwest::Client,
    queues: Mutex<BTreeMap<NodeId, Arc<Mutex<NodeQueue>>>>,
}

/// The requests that wait for one node. Invariants, held by [`NodeQueue::check`]: at most [`MAX_WAITING`] requests
/// wait, and at most [`MAX_IN_FLIGHT`] POSTs are in flight.
#[derive(Default)]
struct NodeQueue {
    waiting: VecDeque<QueuedRequest>,
    in_flight: usize,
}

struct QueuedRequest {
    request: Bytes,
    deadline: Duration,
    reply: oneshot::Sender<Result<Bytes, String>>,
}

impl HttpTransport {
    /// Makes a transport that looks up its peers in `addresses` for each request.
    ///
    /// # Errors
    /// An error if the HTTP client cannot be set up.
    pub fn new(addresses: Arc<dyn AddressBook>) -> std::io::Result<Self> {
        let client = || {
            let builder = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true);
            builder.connect_timeout(CONNECT_DEADLINE).pool_idle_timeout(IDLE).build().map_err(std::io::Error::other)
        };
        Ok(Self { addresses, raft: client()?, waits: client()?, snapshots: client()?, queues: Mutex::default() })
    }

    /// Queues a request. Starts a sender unless [`MAX_IN_FLIGHT`] are running, one of which will take it.
    fn enqueue(&self, to: NodeId, waiting: QueuedRequest) {
        // The table is locked only to find the queue, so nodes do not delay each other.
        let queue = self.queues.lock().entry(to).or_default().clone();
        {
            let mut queue = queue.lock();
            if queue.waiting.len() >= MAX_WAITING {
                let _ = waiting.reply.send(Err("too many requests wait for it".to_owned()));
                return;
            }
            queue.waiting.push_back(waiting);
            if queue.in_flight >= MAX_IN_FLIGHT {
                return;
            }
            queue.in_flight += 1;
            debug_assert_eq!(queue.check(), Ok(()));
        }
        tokio::spawn(send_waiting(self.raft.clone(), self.addresses.clone(), to, queue));
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(&self, to: NodeId, lane: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable> {
        let unreachable = |reason: String| Unreachable { node: to, reason };
        let Some(url) = self.addresses.peer_url(to) else {
            return Err(unreachable(UNKNOWN_ADDRESS.to_owned()));
        };
        // Each lane has its own connections, so a slow answer on one does not delay the others.
        let alone = match lane {
            Lane::Raft => None,
            Lane::Wait => Some(&self.waits),
            Lane::Snapshot => Some(&self.snapshots),
        };
        if let Some(client) = alone {
            let sent = post_frames(client, &url, &[request], deadline).await;
            let mut replies = sent.map_err(|lost| unreachable(lost.reason))?;
            return Ok(replies.pop().expect("one reply for one request"));
        }
        // On `Lane::Raft`, requests to one node share POSTs.
        let (reply, received) = oneshot::channel();
        self.enqueue(to, QueuedRequest { request, deadline, reply });
        match tokio::time::timeout(deadline, received).await {
            Ok(Ok(reply)) => reply.map_err(unreachable),
            Ok(Err(_)) | Err(_) => Err(unreachable("no reply in time".to_owned())),
        }
    }
}

/// Sends POST after POST until nothing waits, each to the peer's address at that time.
async fn send_waiting(
    client: reqwest::Client,
    addresses: Arc<dyn AddressBook>,
    to: NodeId,
    queue: Arc<Mutex<NodeQueue>>,
) {
    loop {
        // All that waits now goes together. The sender ends under the lock, so no request is left without a sender.
        let batch = {
            let mut queue = queue.lock();
            let batch = queue.take_batch();
            if batch.is_empty() {
                assert!(queue.in_flight > 0, "a sender ends that nobody has counted");
                queue.in_flight -= 1;
                return;
            }
            batch
        };
        // Each caller has its own timer. The POST may take as long as the most patient caller waits.
        let deadline = batch.iter().map(|waiting| waiting.deadline).max().unwrap_or_default();
        let (requests, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.request, w.reply)).unzip();
        let sent = match addresses.peer_url(to) {
            Some(url) => post_batch(&client, &url, &requests, deadline).await,
            None => Err(UNKNOWN_ADDRESS.to_owned()),
        };
        // If a POST is not answered, all its requests fail.
        let replies = sent.unwrap_or_else(|reason| vec![Err(reason); senders.len()]);
        for (sender, reply) in senders.into_iter().zip(replies) {
            let _ = sender.send(reply);
        }
    }
}

impl NodeQueue {
    /// Says which invariant does not hold, if one does not.
    fn check(&self) -> Result<(), String> {
        match (self.waiting.len(), self.in_flight) {
            (waiting, _) if waiting > MAX_WAITING => Err(format!("{waiting} requests wait for one node")),
            (_, in_flight) if in_flight > MAX_IN_FLIGHT => Err(format!("{in_flight} POSTs are on their way to it")),
            _ => Ok(()),
        }
    }

    /// Takes the requests of the next POST, in order. Requests for which nobody waits any more are dropped.
    fn take_batch(&mut self) -> Vec<QueuedRequest> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            if !batch.is_empty() && bytes + next.request.len() > MAX_BODY_BYTES {
                break;
            }
            bytes += next.request.len();
            batch.extend(self.waiting.pop_front().filter(|next| !next.reply.is_closed()));
        }
        batch
    }
}

/// Returns the routes of the peer port, which `node` answers.
pub fn router<N: AnswerRequests>(node: N) -> axum::Router {
    axum::Router::new()
        .route("/raft", post(answer_frames::<N>))
        .layer(DefaultBodyLimit::max(MAX_READ_BYTES))
        .with_state(node)
}

/// Answers all requests of one body, concurrently; the replies are in their order.
async fn answer_frames<N: AnswerRequests>(State(node): State<N>, body: Bytes) -> Result<Bytes, StatusCode> {
    let requests = split_frames(body).ok_or(StatusCode::BAD_REQUEST)?;
    Ok(join_frames(&join_all(requests.into_iter().map(|request| node.answer_request(request))).await))
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// A book in which all peers have one address, which may change.
    struct Here(Mutex<String>);

    impl AddressBook for Here {
        fn peer_url(&self, _: NodeId) -> Option<String> {
            Some(self.0.lock().clone())
        }
    }

    /// The node takes only bodies that are always taken. It answers nothing before it gets permits.
    #[tokio::test]
    async fn a_heartbeat_arrives_though_there_is_no_memory_for_the_append_beside_it() {
        let (leave, came) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (waits, comes) = (leave.clone(), came.clone());
        let echo = move |body: Bytes| async move {
            comes.add_permits(1);
            let _leave = waits.acquire().await;
            if body.len() > FREE_BODY_BYTES { Err(CROWDED) } else { Ok(body) }
        };
        let app = axum::Router::new().route("/raft", post(echo)).layer(DefaultBodyLimit::disable());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let transport = Arc::new(HttpTransport::new(Arc::new(Here(Mutex::new(url)))).unwrap());
        let call = |request: Vec<u8>| {
            let transport = transport.clone();
            tokio::spawn(async move { transport.call(2, Lane::Raft, request.into(), Duration::from_secs(20)).await })
        };
        // As many as are in flight at once. What comes after them shares a body.
        let mut first = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            first.push(call(vec![7]));
            came.acquire().await.unwrap().forget();
        }
        let later = [call(vec![1; 30]), call(vec![2; FREE_BODY_BYTES]), call(vec![3; 30])];
        while transport.queues.lock()[&2].lock().waiting.len() < later.len() {
            tokio::task::yield_now().await;
        }
        leave.add_permits(100);
        let [heartbeat, append, vote] = later;
        assert_eq!(heartbeat.await.unwrap().unwrap(), vec![1; 30]);
        assert_eq!(vote.await.unwrap().unwrap(), vec![3; 30]);
        assert!(append.await.unwrap().unwrap_err().reason.contains("no memory"));
        for first in first {
            assert_eq!(first.await.unwrap().unwrap(), vec![7]);
        }
        server.abort();
    }

    #[tokio::test]
    async fn what_waits_goes_to_where_the_peer_is_now() {
        let app = axum::Router::new().route("/raft", post(|body: Bytes| async move { body }));
        let (silent, listener) = (
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let url = |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (before, after) = (url(&silent), url(&listener));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let book = Arc::new(Here(Mutex::new(before)));
        let transport = Arc::new(HttpTransport::new(book.clone()).unwrap());
        let call = |deadline: Duration| {
            let transport = transport.clone();
            tokio::spawn(async move { transport.call(2, Lane::Raft, vec![7].into(), deadline).await })
        };
        // Each goes to an address where nobody answers, so the next request must wait.
        let queued = |in_flight: usize, waiting: usize| {
            let is_so = move |queue: &NodeQueue| queue.in_flight == in_flight && queue.waiting.len() == waiting;
            transport.queues.lock().get(&2).is_some_and(|queue| is_so(&queue.lock()))
        };
        let mut lost = Vec::new();
        for number in 1..=MAX_IN_FLIGHT {
            lost.push(call(Duration::from_millis(500)));
            while !queued(number, 0) {
                tokio::task::yield_now().await;
            }
        }
        let waits = call(Duration::from_secs(20));
        while !queued(MAX_IN_FLIGHT, 1) {
            tokio::task::yield_now().await;
        }
        *book.0.lock() = after;
        assert_eq!(waits.await.unwrap().expect("it is there"), vec![7]);
        for lost in lost {
            assert!(lost.await.unwrap().is_err());
        }
        server.abort();
    }
}
