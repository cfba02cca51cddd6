//! Ports: bound, served within limits, and closed in good order.
//!
//! Comes in: an address, an application and the signal to stop. Goes out: answers to all who connect. Must not know
//! what the application does.
//!
//! Hyper serves each connection under timers. A connection is closed if its client sends no whole head in time, or
//! takes a long answer too slowly. The [`ConnectionLimit`] decides how many connections there may be.

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

/// How long requests under way may take to end after the signal to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the API's port takes requests after the signal to stop. Its health says `draining` meanwhile, so that a
/// load balancer can see it.
pub(super) const LINGER: Duration = Duration::from_millis(200);
/// How long a connection may take to send the next request's head, including its silence before. Load balancers close
/// theirs after 60 s, and should be the first to close.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Most bytes of a head, and most headers in it. More is answered 431.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;
/// An answer of more than `LONG` bytes holds memory until its client has taken it. So the client must take at least
/// `LEAST` bytes in each `LOOK_EVERY`, and the whole answer in `LOOKS` times that. Otherwise its connection is closed.
const LONG: u64 = ANSWER_PIECE as u64;
const LEAST: u64 = 160 << 10;
/// How far ahead of that its client may be counted. The kernel takes bytes in lumps, a third of a send buffer of up to
/// 4 MiB at a time, so a client that reads steadily is seen to take nothing in between.
const MOST_AHEAD: u64 = 2 << 20;
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS: u64 = 60;
/// After `AT_ONCE` newcomers the port measures how long a ready task waits until it runs. If that is longer than
/// `BUSY_FROM`, newcomers wait as long in the kernel's queue, but at most `LONGEST_PAUSE`. So those that are connected
/// are served first, and a crowd that only comes and goes delays nobody.
const AT_ONCE: usize = 8;
const BUSY_FROM: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a connection could not be taken, as when there is no free descriptor.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A port that is bound and not served yet. Connections wait in the kernel.
pub(super) struct Port {
    listener: TcpListener,
    /// The real address. If port 0 was asked for, it has the port that the system chose.
    pub address: SocketAddr,
}

impl Port {
    /// Binds the port. `flag` is the setting that gives the address.
    ///
    /// # Errors
    /// [`NodeError::Listen`] where the address cannot be had.
    pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { address, flag, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves `app` within `limit` until `stop` is given, and for `linger` after that. The task ends when the requests
    /// under way have ended, or after [`DRAIN`].
    pub fn serve(self, app: Router, limit: ConnectionLimit, stop: StopSignal, linger: Duration) -> JoinHandle<()> {
        tokio::spawn(async move {
            let (mut connections, closing) = (JoinSet::new(), StopSignal::new());
            let served = PortContext { app, turns: PipelineTurns::new(), closing: closing.clone() };
            // The port takes connections until the signal, and a little longer.
            let ends = async {
                stop.wait().await;
                tokio::time::sleep(linger).await;
            };
            tokio::select! {
                () = self.accept(&served, &limit, &mut connections) => {}
                () = ends => {}
            }
            // Newcomers are refused from now on. In the kernel's queue they would wait for a reset.
            drop(self);
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
            // Connections that have ended make room. A newcomer gets a slot or is refused.
            while connections.try_join_next().is_some() {}
            let Some(guard) = limit.admit() else {
                tracing::debug!("a connection is refused: the port is full, and all its connections are being served");
                continue;
            };
            let served = served.clone();
            connections.spawn(async move {
                serve_connection(stream, served, &guard.slot).await;
            });
            // The yield returns when all ready tasks have run once: it measures how busy the process is.
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

/// How long newcomers wait, if a ready task waited for `waited`; `None` if they do not wait.
fn pause_after(waited: Duration) -> Option<Duration> {
    (waited > BUSY_FROM).then(|| waited.min(LONGEST_PAUSE))
}

/// Serves one connection until it ends, loses its slot, or the port closes.
async fn serve_connection(stream: TcpStream, served: PortContext, slot: &Arc<ConnectionSlot>) {
    // With Nagle's delay, large answers stall behind delayed acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection");
    }
    // Reads and answers are counted, to see which requests did not wait for the answer before.
    let (progress, closing) = (ConnectionProgress::new(served.turns), served.closing);
    let service = ConnectionService {
        inner: TowerToHyperService::new(served.app),
        slot: slot.clone(),
        progress: progress.clone(),
    };
    let stream = ClientStream::new(stream, progress);
    // Hyper serves it under timers and limits.
    let mut builder = http1::Builder::new();
    // A client that has closed its sending side may still wait for an answer.
    builder.half_close(true);
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        served = connection.as_mut() => return log_end(served),
        () = slot.wait_for_close() => return,
        () = closing.wait() => {}
    }
    // The port closes. A request that is being served gets its answer; nobody else waits for anything.
    if slot.is_serving() {
        connection.as_mut().graceful_shutdown();
        log_end(connection.await);
    }
}

/// Logs why a connection ended, if it did not end in good order.
fn log_end(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}

/// The size of a body in bytes, if it is known and more than [`LONG`].
fn long_size(body: &Body) -> Option<u64> {
    body.size_hint().exact().filter(|size| *size > LONG)
}

/// Watches a long answer of `size` bytes, and closes the connection if its client takes it too slowly. Until it is
/// taken, the answer holds memory. The caller counts the bytes that it hands over in the result.
fn watch_answer(slot: Arc<ConnectionSlot>, size: u64) -> Arc<AtomicU64> {
    let least = if is_planted(Mutant::SendsForHours) { LEAST } else { LEAST.max(size / LOOKS) };
    let sent = Arc::new(AtomicU64::new(0));
    // The watch ends when the answer drops its counter.
    let counted = Arc::downgrade(&sent);
    tokio::spawn(async move {
        let (mut before, mut ahead) = (0, 0);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(now) = counted.upgrade().map(|sent| sent.load(Ordering::Relaxed)) else { return };
            // What was taken beyond the least of earlier times counts for this one, too.
            let taken: u64 = ahead + (now - before);
            let Some(left) = taken.checked_sub(least) else { return slot.close() };
            (before, ahead) = (now, left.min(MOST_AHEAD));
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
        // These happen when the request arrives: its slot counts as busy, and its turn is judged by the reads so far.
        // The call itself runs only after the turn has come.
        let (serving, turn, answered) =
            (self.slot.begin_request(), self.progress.wait_for_turn(), self.inner.call(request));
        let (slot, progress) = (self.slot.clone(), self.progress.clone());
        Box::pin(async move {
            let turn = turn.await;
            let response = answered.await?;
            // What has been read by now came before this answer, so its requests did not wait for it.
            progress.note_answer();
            drop(turn);
            let sent = long_size(response.body()).map(|size| watch_answer(slot, size));
            Ok(response.map(|body| CountedBody { body, sent, _serving: serving }))
        })
    }
}

/// An answer's body. As long as it exists, its connection is being served.
struct CountedBody {
    body: Body,
    /// Bytes that were handed to the connection; `None` for an answer that is not long.
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
