//! Ports: taking them, serving on them, and letting go of them in good order.
//!
//! Each connection is served by hyper under timers: one that sends no head in time is closed, whether it never began or
//! stopped in the middle, and one that takes a long answer by drops. How many there may be is the [`Crowd`]'s business.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::connection_limit::{Crowd, Seat, Serving};
use self::pipelining::{ClientStream, Queue, Turns};
use crate::gateway::departure::PIECE as ANSWER_PIECE;
use crate::node::NodeError;
use crate::node::shutdown::Stop;

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
/// An answer of more bytes is long, as each is that holds memory until its client has taken it: the client takes so many of
/// them in each such time, and all of them in so many such times, or is sent home.
const LONG: u64 = ANSWER_PIECE as u64;
const LEAST: u64 = 160 << 10;
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS: u64 = 60;
/// After so many newcomers it is seen how long a task that is ready waits until it runs. Where that is longer than this, they
/// wait as long in the kernel's queue: who is here already is served first, and a crowd that only comes and goes keeps
/// nobody waiting.
const AT_ONCE: usize = 8;
const BUSY_FROM: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a connection could not be taken, for want of descriptors for instance.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A port that is taken and not served yet; connections wait.
pub(super) struct Port {
    listener: TcpListener,
    /// The real address: port 0 is replaced.
    pub address: SocketAddr,
}

impl Port {
    /// Takes the port; `flag` is the setting it comes from.
    pub async fn take(address: SocketAddr, flag: &'static str) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { address, flag, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves `app` to at most a `crowd` until `stop`, and `linger` longer; the task ends when the requests under way have
    /// ended, or their time has.
    pub fn serve(self, app: Router, crowd: Crowd, stop: Stop, linger: Duration) -> JoinHandle<()> {
        tokio::spawn(async move {
            let (mut connections, closing) = (JoinSet::new(), Stop::new());
            let served = Served { app, turns: Turns::new(), closing: closing.clone() };
            let ends = async {
                stop.wait().await;
                tokio::time::sleep(linger).await;
            };
            tokio::select! {
                () = self.accept(&served, &crowd, &mut connections) => {}
                () = ends => {}
            }
            closing.now();
            let drained = async { while connections.join_next().await.is_some() {} };
            if tokio::time::timeout(DRAIN, drained).await.is_err() {
                tracing::warn!("requests were still under way when the port closed");
            }
        })
    }

    /// Takes connections for ever.
    async fn accept(&self, served: &Served, crowd: &Crowd, connections: &mut JoinSet<()>) {
        for newcomer in 1_usize.. {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let Some(ticket) = crowd.enter() else {
                tracing::debug!("a connection is refused: all that there may be are served");
                continue;
            };
            let served = served.clone();
            connections.spawn(async move {
                serve_connection(stream, served, &ticket.seat).await;
            });
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
struct Served {
    app: Router,
    turns: Turns,
    closing: Stop,
}

/// How long newcomers wait where a task that is ready waited so long: until what waits with it is done.
fn pause_after(waited: Duration) -> Option<Duration> {
    (waited > BUSY_FROM).then(|| waited.min(LONGEST_PAUSE))
}

async fn serve_connection(stream: TcpStream, served: Served, seat: &Arc<Seat>) {
    // Nagle's delay makes large answers stall behind delayed acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection");
    }
    let (queue, closing) = (Queue::new(served.turns), served.closing);
    let service = Seated { inner: TowerToHyperService::new(served.app), seat: seat.clone(), queue: queue.clone() };
    let stream = ClientStream::new(stream, queue);
    let mut builder = http1::Builder::new();
    // Who sends no more may still wait for an answer.
    builder.half_close(true);
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_headers(HEADERS).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        served = connection.as_mut() => return told(served),
        () = seat.must_leave() => return,
        () = closing.wait() => {}
    }
    // Who is being served gets its answer; nobody else has anything to wait for.
    if seat.is_serving() {
        connection.as_mut().graceful_shutdown();
        told(connection.await);
    }
}

fn told(served: hyper::Result<()>) {
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}

/// The size of a body that is long.
fn long(body: &Body) -> Option<u64> {
    body.size_hint().exact().filter(|size| *size > LONG)
}

/// Counts the bytes of a long answer, and sends the connection home whose client takes them too slowly: as long as it is
/// here, an answer holds memory.
fn watched(seat: Arc<Seat>, size: u64) -> Arc<AtomicU64> {
    let least = LEAST.max(size / LOOKS);
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::downgrade(&sent);
    tokio::spawn(async move {
        let mut before = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(now) = counted.upgrade().map(|sent| sent.load(Ordering::Relaxed)) else { return };
            if now - before < least {
                return seat.send_home();
            }
            before = now;
        }
    });
    sent
}

/// The application, and the connection that it serves.
struct Seated {
    inner: TowerToHyperService<Router>,
    seat: Arc<Seat>,
    queue: Queue,
}

impl Service<Request<Incoming>> for Seated {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (serving, turn, answered) = (self.seat.serve(), self.queue.wait(), self.inner.call(request));
        let (seat, queue) = (self.seat.clone(), self.queue.clone());
        Box::pin(async move {
            let turn = turn.await;
            let response = answered.await?;
            queue.answered();
            drop(turn);
            let sent = long(response.body()).map(|size| watched(seat, size));
            Ok(response.map(|body| Counted { body, sent, _serving: serving }))
        })
    }
}

/// An answer's body: as long as it is there, its connection is being served.
struct Counted {
    body: Body,
    /// Bytes that were handed to the connection, where somebody watches them.
    sent: Option<Arc<AtomicU64>>,
    _serving: Serving,
}

impl HttpBody for Counted {
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
