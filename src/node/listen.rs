//! Ports: taking them, serving on them, and letting go of them in good order.
//!
//! Each connection is served by hyper under timers: one that sends no head in time is closed, whether it never began or
//! stopped in the middle, and one that takes a long answer by drops. How many there may be is the [`Crowd`]'s business.

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

use super::NodeError;
use super::crowd::{Crowd, Seat, Serving};
use super::shutdown::Stop;

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
/// An answer of more bytes is long: its client takes so many of them in each such time, or is sent home.
const LONG: u64 = 256 << 10;
const LEAST: u64 = 160 << 10;
const LOOK_EVERY: Duration = Duration::from_secs(10);
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
            let ends = async {
                stop.wait().await;
                tokio::time::sleep(linger).await;
            };
            tokio::select! {
                () = self.accept(&app, &crowd, &closing, &mut connections) => {}
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
    async fn accept(&self, app: &Router, crowd: &Crowd, closing: &Stop, connections: &mut JoinSet<()>) {
        loop {
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
            let (app, closing) = (app.clone(), closing.clone());
            connections.spawn(async move {
                serve_connection(stream, app, &ticket.seat, closing).await;
            });
        }
    }
}

async fn serve_connection(stream: TcpStream, app: Router, seat: &Arc<Seat>, closing: Stop) {
    // Nagle's delay makes large answers stall behind delayed acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection");
    }
    let service = Seated { inner: TowerToHyperService::new(app), seat: seat.clone() };
    let mut builder = http1::Builder::new();
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

/// Counts the bytes of a long answer, and sends the connection home whose client takes them too slowly: as long as it is
/// here, an answer holds memory.
fn watched(seat: Arc<Seat>) -> Arc<AtomicU64> {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::downgrade(&sent);
    tokio::spawn(async move {
        let mut before = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(now) = counted.upgrade().map(|sent| sent.load(Ordering::Relaxed)) else { return };
            if now - before < LEAST {
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
}

impl Service<Request<Incoming>> for Seated {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (serving, answered) = (self.seat.serve(), self.inner.call(request));
        let seat = self.seat.clone();
        Box::pin(async move {
            let response = answered.await?;
            let is_long = response.body().size_hint().exact().is_some_and(|size| size > LONG);
            let sent = is_long.then(|| watched(seat));
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
mod tests {
    use axum::routing::{get, post};
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Longer than anything here takes that works, and shorter than [`DRAIN`].
    const SOON: Duration = Duration::from_secs(3);

    async fn start(most: usize) -> (SocketAddr, Stop, JoinHandle<()>) {
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "late"
        };
        let app = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/slow", get(slow))
            .route("/eat", post(|body: Bytes| async move { body.len().to_string() }));
        let port = Port::take(([127, 0, 0, 1], 0).into(), "--listen").await.expect("a free port");
        let (address, stop) = (port.address, Stop::new());
        (address, stop.clone(), port.serve(app, Crowd::of(most), stop, Duration::ZERO))
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("the port is open");
        stream.write_all(text.as_bytes()).await.expect("it reads");
        stream
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(SOON, stream.read_to_string(&mut text)).await;
        assert!(read.is_ok(), "no answer in time, but {text:?}");
        text
    }

    #[tokio::test]
    async fn a_crowd_that_says_nothing_keeps_nobody_out() {
        let (address, _stop, _served) = start(4).await;
        let mut crowd = Vec::new();
        for number in 0..40 {
            crowd.push(say(address, ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\n"][number % 3]).await);
            if number % 10 == 9 {
                let served = say(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
                assert!(answer(served).await.ends_with("here"), "after {number}");
            }
        }
        // The first have been sent home.
        assert_eq!(answer(crowd.remove(0)).await, "");
    }

    #[tokio::test]
    async fn who_is_served_stays_though_others_come() {
        let (address, _stop, _served) = start(2).await;
        let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut others = Vec::new();
        for _ in 0..10 {
            others.push(say(address, "").await);
        }
        assert!(answer(slow).await.ends_with("late"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_long_answer_by_drops_is_sent_home() {
        let crowd = Crowd::of(4);
        let ticket = crowd.enter().expect("there is room");
        let flowing = watched(ticket.seat.clone());
        for _ in 0..5 {
            flowing.fetch_add(LEAST, Ordering::Relaxed);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        assert!(ticket.seat.must_leave().now_or_never().is_none());
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert!(ticket.seat.must_leave().now_or_never().is_some());
        drop(watched(ticket.seat.clone()));
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(ticket.seat.must_leave().now_or_never().is_none(), "it has all of its answer");
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let (address, _stop, _served) = start(4).await;
        let flood: String = (0..HEADERS + 1).map(|number| format!("x-{number}: y\r\n")).collect();
        let many = say(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{flood}\r\n")).await;
        assert!(answer(many).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn stopping_waits_for_who_is_served_and_for_nobody_else() {
        let (address, stop, served) = start(16).await;
        let _silent = (say(address, "").await, say(address, "GET / HTTP/1.1\r\nhos").await);
        let mut idle = say(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        idle.read_u8().await.expect("it is answered, and stays open");
        let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.now();
        assert!(answer(slow).await.ends_with("late"));
        tokio::time::timeout(SOON, served).await.expect("nobody else is waited for").expect("no panic");
    }
}
