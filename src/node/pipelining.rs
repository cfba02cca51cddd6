//! Requests that did not wait for the answer before them: they take turns, a few at a time on the whole port.
//!
//! HTTP/1.1 lets a client send many requests at once on one connection. Each connection has one of them served at a time, and
//! still a few dozen connections have a request of their own ready whenever one was answered: who waits for answers, as
//! nearly every client does, would wait for all of these each time. What is read from a connection is counted: a request
//! that was there already when the answer before it was made did not wait.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a request waits for its turn at most: those whose turn it is may be long ones.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// The turns of a port; clones share them.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// As many at a time as there are CPUs.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))))
    }

    /// Lets others go first, and then waits for a turn, which lasts until it is dropped. `None` where none came in time.
    async fn next(&self) -> Option<OwnedSemaphorePermit> {
        tokio::task::yield_now().await;
        tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// What one connection has had read and answered.
#[derive(Clone)]
pub(super) struct Queue {
    turns: Turns,
    reads: Arc<AtomicU64>,
    /// Reads when the latest answer was made.
    answered: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn new(turns: Turns) -> Self {
        Self { turns, reads: Arc::default(), answered: Arc::default() }
    }

    /// Waits for a turn if the request that has just come did not wait for the answer before it.
    pub(super) fn wait(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + use<> {
        let did_wait = self.reads.load(Ordering::Relaxed) > self.answered.load(Ordering::Relaxed);
        let turns = self.turns.clone();
        async move { if did_wait { None } else { turns.next().await } }
    }

    /// An answer is made.
    pub(super) fn answered(&self) {
        self.answered.store(self.reads.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A connection whose reads are counted.
pub(super) struct Counting {
    pub(super) stream: TcpStream,
    pub(super) queue: Queue,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.queue.reads.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_did_not_wait_takes_turns_and_none_waits_for_ever() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let queue = || Queue::new(turns.clone());
        let (first, second) = (queue(), queue());
        for queue in [&first, &second] {
            queue.reads.fetch_add(1, Ordering::Relaxed);
            assert!(queue.wait().now_or_never().expect("it waited for all that it asked").is_none());
            queue.answered();
        }
        let turn = first.wait().await.expect("nobody else has it");
        assert!(second.wait().await.is_none(), "its time was over before it was its turn");
        drop(turn);
        assert!(second.wait().await.is_some());
        second.reads.fetch_add(1, Ordering::Relaxed);
        assert!(second.wait().now_or_never().is_some(), "it waited this time");
    }
}
