//! The transport between processes: binary bodies over HTTP/1.1 keep-alive connections.
//!
//! What waits for one node, of whatever group, leaves in one POST: nothing lingers while few are in flight, and
//! under load many heartbeats and appends share a request. Snapshots, and requests whose
//! answer waits for something, have connections of their own. Serve the
//! [`router`] with TCP_NODELAY, as this client connects: without it on both sides large bodies stall.
//!
//! A body is a sequence of frames, each a length (u32, little-endian) and so many bytes; replies come in the order
//! of their requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Lane, Transport, Unreachable};
use crate::mutants::{Mutant, is_planted};
use crate::{Host, NodeId};

/// POSTs in flight to one node, beside snapshots.
const MAX_IN_FLIGHT: usize = 8;
/// Requests that may wait for one node; openraft tries again what is refused.
const MAX_WAITING: usize = 4096;
/// Bytes of requests in one POST, about; a larger request goes alone.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Bytes of a body that are read at all: the largest entry a client can cause, and ample room.
const MAX_READ_BYTES: usize = 256 << 20;
/// How long a connection is kept that nothing is sent on: shorter than the other side keeps it, so that no request meets
/// its end.
const IDLE: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_millis(1000);

/// Where a node listens for its peers.
pub trait AddressBook: Send + Sync + 'static {
    /// `http://host:port` of a node's peer port; `None` where it is not known.
    fn peer_url(&self, node: NodeId) -> Option<String>;
}

/// Sends to peers over HTTP.
pub struct HttpTransport {
    addresses: Arc<dyn AddressBook>,
    raft: reqwest::Client,
    waits: reqwest::Client,
    snapshots: reqwest::Client,
    queues: Mutex<BTreeMap<NodeId, Arc<Mutex<Queue>>>>,
}

/// What waits for one node.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    in_flight: usize,
}

struct Waiting {
    request: Bytes,
    deadline: Duration,
    reply: oneshot::Sender<Result<Bytes, String>>,
}

impl HttpTransport {
    /// A transport that looks up its peers in `addresses` for each request.
    ///
    /// # Errors
    /// Where the HTTP client cannot be set up.
    pub fn new(addresses: Arc<dyn AddressBook>) -> std::io::Result<Self> {
        let client = || {
            let builder = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true);
            builder.connect_timeout(CONNECT_DEADLINE).pool_idle_timeout(IDLE).build().map_err(std::io::Error::other)
        };
        Ok(Self { addresses, raft: client()?, waits: client()?, snapshots: client()?, queues: Mutex::default() })
    }

    /// Queues a request, and sends what waits unless enough is on its way already.
    fn enqueue(&self, to: NodeId, url: String, waiting: Waiting) {
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
        }
        tokio::spawn(send_waiting(self.raft.clone(), url, queue));
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(&self, to: NodeId, lane: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable> {
        let unreachable = |reason: String| Unreachable { node: to, reason };
        let Some(url) = self.addresses.peer_url(to) else {
            return Err(unreachable("its address is not known".to_owned()));
        };
        let alone = match lane {
            Lane::Raft => None,
            Lane::Wait => Some(&self.waits),
            Lane::Snapshot => Some(&self.snapshots),
        };
        if let Some(client) = alone {
            let mut replies = post_frames(client, &url, &[request], deadline).await.map_err(unreachable)?;
            return Ok(replies.pop().expect("one reply for one request"));
        }
        let (reply, received) = oneshot::channel();
        self.enqueue(to, url, Waiting { request, deadline, reply });
        match tokio::time::timeout(deadline, received).await {
            Ok(Ok(reply)) => reply.map_err(unreachable),
            Ok(Err(_)) | Err(_) => Err(unreachable("no reply in time".to_owned())),
        }
    }
}

/// Sends POST after POST until nothing waits.
async fn send_waiting(client: reqwest::Client, url: String, queue: Arc<Mutex<Queue>>) {
    loop {
        let batch = {
            let mut queue = queue.lock();
            let batch = queue.take_batch();
            if batch.is_empty() {
                queue.in_flight -= 1;
                return;
            }
            batch
        };
        let deadline = batch.iter().map(|waiting| waiting.deadline).max().unwrap_or_default();
        let (requests, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.request, w.reply)).unzip();
        let replies = post_frames(&client, &url, &requests, deadline).await;
        let replies: Vec<_> = match replies {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(reason) => vec![Err(reason); senders.len()],
        };
        for (sender, reply) in senders.into_iter().zip(replies) {
            let _ = sender.send(reply);
        }
    }
}

impl Queue {
    /// The requests of the next POST; those nobody waits for any more are dropped.
    fn take_batch(&mut self) -> Vec<Waiting> {
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

async fn post_frames(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
) -> Result<Vec<Bytes>, String> {
    let sent = client.post(format!("{url}/raft")).timeout(deadline).body(join_frames(requests)).send().await;
    let response = sent.map_err(|error| describe(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answered {}", response.status()));
    }
    let body = response.bytes().await.map_err(|error| describe(&error))?;
    let replies = split_frames(body).filter(|replies| replies.len() == requests.len());
    replies.ok_or_else(|| "its reply is cut short".to_owned())
}

/// An error with its causes: reqwest's own text leaves out what happened.
fn describe(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        text = format!("{text}{}{error}", if text.is_empty() { "" } else { ": " });
        cause = error.source();
    }
    text
}

fn join_frames(frames: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(frames.iter().map(|frame| frame.len() + 4).sum());
    for frame in frames {
        body.put_u32_le(u32::try_from(frame.len()).expect("requests are far below 4 GiB"));
        body.put_slice(frame);
    }
    body.freeze()
}

fn split_frames(mut body: Bytes) -> Option<Vec<Bytes>> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        let length = body.try_get_u32_le().ok()? as usize;
        // More than any sender has waiting is no body of ours, and would become as many tasks.
        let too_many = frames.len() >= MAX_WAITING && !is_planted(Mutant::TakesEndlessFrames);
        if body.remaining() < length || too_many {
            return None;
        }
        frames.push(body.split_to(length));
    }
    Some(frames)
}

/// The routes of the peer port that answer for `host`.
pub fn router(host: Host) -> axum::Router {
    axum::Router::new().route("/raft", post(answer)).layer(DefaultBodyLimit::max(MAX_READ_BYTES)).with_state(host)
}

async fn answer(State(host): State<Host>, body: Bytes) -> Result<Bytes, StatusCode> {
    let requests = split_frames(body).ok_or(StatusCode::BAD_REQUEST)?;
    Ok(join_frames(&join_all(requests.into_iter().map(|request| host.handle(request))).await))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutants::plant;

    proptest! {
        #[test]
        fn frames_come_back(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let body = join_frames(&frames);
            prop_assert_eq!(split_frames(body.clone()), Some(frames));
            if !body.is_empty() {
                prop_assert_eq!(split_frames(body.slice(..body.len() - 1)), None);
            }
        }
    }

    #[test]
    fn a_body_of_more_frames_than_a_sender_has_waiting_is_none() {
        assert_eq!(split_frames(vec![0; MAX_WAITING * 4].into()).map(|frames| frames.len()), Some(MAX_WAITING));
        let endless = || Bytes::from(vec![0; (MAX_WAITING + 1) * 4]);
        assert_eq!(split_frames(endless()), None);
        let _planted = plant(Mutant::TakesEndlessFrames);
        assert!(split_frames(endless()).is_some(), "the bug is not planted");
    }
}
