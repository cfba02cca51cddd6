//! Requests that did not wait for the answer before them: they take turns, a few at a time on the whole port.
//!
//! Comes in: a connection, and the moments of its reads and answers. Goes out: leave to serve the next request. Must
//! not know what a request asks.
//!
//! HTTP/1.1 lets a client send many requests at once on one connection. Each connection has only one of them served at
//! a time. But a few dozen such connections always have the next request ready. Nearly every client waits for its
//! answers, and would wait for all of these each time. So requests that did not wait take turns. The reads of a
//! connection are counted: a request that was there already when the answer before it was made did not wait.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// How long a client may take nothing of an answer that is ready. Such a client has no cost of its own, but its
/// connection takes a place here.
const STALL: Duration = Duration::from_secs(30);
/// The longest wait for a turn. Those whose turn it is may be slow requests.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// The turns of a port. Clones share them.
#[derive(Clone)]
pub(super) struct PipelineTurns(Arc<Semaphore>);

impl PipelineTurns {
    /// As many turns at a time as there are CPUs.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))))
    }

    /// Lets other tasks run first, and then waits for a turn. The turn lasts until the permit is dropped. Returns
    /// `None` if none came within [`TURN_WITHIN`].
    async fn take_turn(&self) -> Option<OwnedSemaphorePermit> {
        tokio::task::yield_now().await;
        tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// How many reads one connection has had, and how many of them came before its latest answer. Clones share both.
#[derive(Clone)]
pub(super) struct ConnectionProgress {
    turns: PipelineTurns,
    /// Reads that brought bytes.
    reads: Arc<AtomicU64>,
    /// The number of reads when the latest answer was made.
    answered: Arc<AtomicU64>,
}

impl ConnectionProgress {
    pub(super) fn new(turns: PipelineTurns) -> Self {
        Self { turns, reads: Arc::default(), answered: Arc::default() }
    }

    /// Waits for a turn if the request that has just come did not wait for the answer before it. The future gives
    /// `None` if no turn is needed, or none came in time.
    pub(super) fn wait_for_turn(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + use<> {
        let did_wait = self.reads.load(Ordering::Relaxed) > self.answered.load(Ordering::Relaxed);
        let turns = self.turns.clone();
        async move { if did_wait { None } else { turns.take_turn().await } }
    }

    /// Notes that an answer was made.
    pub(super) fn note_answer(&self) {
        self.answered.store(self.reads.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A connection whose reads are counted. It ends if its client takes nothing for [`STALL`].
pub(super) struct ClientStream {
    stream: TcpStream,
    progress: ConnectionProgress,
    /// The moment by which the client must take something; `None` while nothing waits for it.
    stalls: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, progress: ConnectionProgress) -> Self {
        Self { stream, progress, stalls: None }
    }

    /// Passes the result of a write on, or an error if nothing could be written for [`STALL`].
    fn end_if_stalled(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalls = None;
            return written;
        }
        // The time counts from the first write that could not go on.
        let stalls = self.stalls.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stalls.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A read that brings nothing is the end of the stream, and no request.
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.progress.reads.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.end_if_stalled(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.end_if_stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_did_not_wait_takes_turns_and_none_waits_for_ever() {
        let turns = PipelineTurns(Arc::new(Semaphore::new(1)));
        let progress = || ConnectionProgress::new(turns.clone());
        let (first, second) = (progress(), progress());
        for progress in [&first, &second] {
            progress.reads.fetch_add(1, Ordering::Relaxed);
            assert!(progress.wait_for_turn().now_or_never().expect("it waited for all that it asked").is_none());
            progress.note_answer();
        }
        let turn = first.wait_for_turn().await.expect("nobody else has it");
        assert!(second.wait_for_turn().await.is_none(), "its time was over before it was its turn");
        drop(turn);
        assert!(second.wait_for_turn().await.is_some());
        second.reads.fetch_add(1, Ordering::Relaxed);
        assert!(second.wait_for_turn().now_or_never().is_some(), "it waited this time");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_loses_the_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut answers = ClientStream::new(stream, ConnectionProgress::new(PipelineTurns::new()));
        let bytes = vec![0; 64 << 20];
        let written = tokio::io::AsyncWriteExt::write_all(&mut answers, &bytes);
        let written = tokio::time::timeout(STALL * 2, written).await.expect("it ends");
        assert_eq!(written.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
    }
}
