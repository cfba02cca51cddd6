//! Ports: bound, served within limits, and closed in good order.
//!
//! Comes in: an address, an application and the signal to stop. Goes out: answers to whoever connects. Must not know
//! what the application does.
//!
//! Each connection is served by hyper under timers: one that sends no head in time is closed, whether it never began
//! or stopped in the middle, and one that takes a long answer by drops. The [`ConnectionLimit`] decides how many
//! there may be.

pub(super) mod body_memory;
pub(super) mod connection_limit;
mod pipelining;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use futures::future::BoxFuture;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use raft_groups::mutants::{Mutant, is_planted};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::connection_limit::{ConnectionLimit, ConnectionSlot, RequestGuard};
use self::pipelining::{ClientStream, ConnectionProgress, PipelineTurns};
use crate::gateway::http::response_body::PIECE as ANSWER_PIECE;
use crate::node::NodeError;
use crate::node::stop_signal::StopSignal;

/// How long requests under way may take to end once the process is to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the API's port goes on taking requests once the process is to stop: its health says so meanwhile, and a
/// load balancer may look.
pub(super) const LINGER: Duration = Duration::from_millis(200);
/// How long a connection may take to send the next request's head, its silence before that included. Balancers close
/// theirs after 60 s, and should be the ones that do.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Bytes of a head, and headers in it; more is answered 431.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;
/// An answer of more bytes is long, as each is that holds memory until its client has taken it: the client takes so
/// many of them in each such time, and all of them in so many such times, or its connection is closed.
const LONG: u64 = ANSWER_PIECE as u64;
const LEAST: u64 = 160 << 10;
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS: u64 = 60;
/// After so many newcomers it is seen how long a task that is ready waits until it runs. Where that is longer than
/// this, they wait as long in the kernel's queue: who is here already is served first, and a crowd that only comes
/// and goes keeps nobody waiting.
const AT_ONCE: usize = 8;
const BUSY_FROM: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a connection could not be taken, for want of descriptors for instance.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A port that is bound and not served yet; connections wait.
pub(super) struct Port {
    listener: TcpListener,
    /// The real address: port 0 is replaced.
    pub address: SocketAddr,
}

impl Port {
    /// Binds the port; `flag` is the setting it comes from.
    pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { address, flag, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves `app`, within the `limit`, until `stop`, and `linger` longer; the task ends when the requests under way
    /// have ended, or their time has.
    pub fn serve(self, app: Router, limit: ConnectionLimit, stop: StopSignal, linger: Duration) -> JoinHandle<()> {
        tokio::spawn(async move {
            let (mut connections, closing) = (JoinSet::new(), StopSignal::new());
            let served = PortContext { app, turns: PipelineTurns::new(), closing: closing.clone() };
            // It takes connections until the signal, and a little longer.
            let ends = async {
                stop.wait().await;
                tokio::time::sleep(linger).await;
            };
            tokio::select! {
                () = self.accept(&served, &limit, &mut connections) => {}
                () = ends => {}
            }
            // Requests under way are answered, and idle connections are closed.
            closing.give();
            let drained = async { while connections.join_next().await.is_some() {} };
            if tokio::time::timeout(DRAIN, drained).await.is_err() {
                tracing::warn!("requests were still under way when the port closed");
            }
        })
    }

    /// Takes connections for ever.
    async fn accept(&self, served: &PortContext, limit: &ConnectionLimit, connections: &mut JoinSet<()>) {
        for newcomer in 1_usize.. {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            };
            // Connections that have ended make room, and a newcomer gets a slot or is refused.
            while connections.try_join_next().is_some() {}
            let Some(guard) = limit.admit() else {
                tracing::debug!("a connection is refused: all that there may be are served");
                continue;
            };
            let served = served.clone();
            connections.spawn(async move {
                serve_connection(stream, served, &guard.slot).await;
            });
            // A busy process lets newcomers wait in the kernel.
            if newcomer % AT_ONCE == 0 {
                let asked = Instant::now();
                tokio::task::yield_now().await;
                if let Some(pause) = pause_after(asked.elapsed()) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// What the connections of a port share.
#[derive(Clone)]
struct PortContext {
    app: Router,
    turns: PipelineTurns,
    closing: StopSignal,
}

/// How long newcomers wait where a task that is ready waited so long: until what waits with it is done.
fn pause_after(waited: Duration) -> Option<Duration> {
    (waited > BUSY_FROM).then(|| waited.min(LONGEST_PAUSE))
}

/// Serves one connection until it ends, loses its slot, or the port closes.
async fn serve_connection(stream: TcpStream, served: PortContext, slot: &Arc<ConnectionSlot>) {
    // Nagle's delay makes large answers stall behind delayed acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection");
    }
    // What the connection reads and answers is counted.
    let (progress, closing) = (ConnectionProgress::new(served.turns), served.closing);
    let service = ConnectionService {
        inner: TowerToHyperService::new(served.app),
        slot: slot.clone(),
        progress: progress.clone(),
    };
    let stream = ClientStream::new(stream, progress);
    // Hyper serves it under timers and limits.
    let mut builder = http1::Builder::new();
    // Who sends no more may still wait for an answer.
    builder.half_close(true);
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        served = connection.as_mut() => return log_end(served),
        () = slot.wait_for_close() => return,
        () = closing.wait() => {}
    }
    // Who is being served gets its answer; nobody else has anything to wait for.
    if slot.is_serving() {
        connection.as_mut().graceful_shutdown();
        log_end(connection.await);
    }
}

/// Notes why a connection ended, where it did not end by itself.
fn log_end(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}

/// The size of a body, if it is long.
fn long_size(body: &Body) -> Option<u64> {
    body.size_hint().exact().filter(|size| *size > LONG)
}

/// Counts the bytes of a long answer, and closes the connection if its client takes them too slowly: until it is
/// taken, an answer holds memory.
fn watch_answer(slot: Arc<ConnectionSlot>, size: u64) -> Arc<AtomicU64> {
    let least = if is_planted(Mutant::SendsForHours) { LEAST } else { LEAST.max(size / LOOKS) };
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::downgrade(&sent);
    tokio::spawn(async move {
        let mut before = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(now) = counted.upgrade().map(|sent| sent.load(Ordering::Relaxed)) else { return };
            if now - before < least {
                return slot.close();
            }
            before = now;
        }
    });
    sent
}

/// The application, and the connection that it serves.
struct ConnectionService {
    inner: TowerToHyperService<Router>,
    slot: Arc<ConnectionSlot>,
    progress: ConnectionProgress,
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (serving, turn, answered) =
            (self.slot.begin_request(), self.progress.wait_for_turn(), self.inner.call(request));
        let (slot, progress) = (self.slot.clone(), self.progress.clone());
        Box::pin(async move {
            let turn = turn.await;
            let response = answered.await?;
            progress.note_answer();
            drop(turn);
            let sent = long_size(response.body()).map(|size| watch_answer(slot, size));
            Ok(response.map(|body| CountedBody { body, sent, _serving: serving }))
        })
    }
}

/// An answer's body: as long as it is there, its connection is being served.
struct CountedBody {
    body: Body,
    /// Bytes that were handed to the connection, where somebody watches them.
    sent: Option<Arc<AtomicU64>>,
    _serving: RequestGuard,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let (Some(sent), Some(Ok(frame))) = (&self.sent, &frame) {
            sent.fetch_add(frame.data_ref().map_or(0, Bytes::len) as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
