//! A TCP proxy that can be unkind: it delays with jitter, drips, or breaks an answer off in its middle.
//!
//! It stands between clients and a node, or between a node and those that call it. Bytes are never reordered or changed, for
//! TCP does neither: what is tried is time, and where a stream may end. Listens on loopback alone, and ends when dropped.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What is read at once, at most.
const PIECE: usize = 16 << 10;

/// How a proxy treats what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Pass,
    /// Each piece waits so long, and by chance up to `jitter` longer.
    Delay {
        /// The least.
        least: Duration,
        /// The most beyond it.
        jitter: Duration,
    },
    /// So many bytes at a time, with a pause before each.
    Drip {
        /// Bytes.
        bytes: usize,
        /// Before each.
        pause: Duration,
    },
    /// The connection ends once so many bytes of answers have passed.
    CutReply {
        /// Bytes.
        after: usize,
    },
}

/// A proxy in front of one address.
#[derive(Debug)]
pub struct Proxy {
    manner: watch::Sender<Manner>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on `listen` and passes on to `target`. Chance comes from `seed`.
    ///
    /// # Errors
    /// Where `listen` is taken.
    pub fn start(listen: SocketAddr, target: SocketAddr, seed: u64) -> Result<Self> {
        let listener = std::net::TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (manner, seen) = watch::channel(Manner::Pass);
        let accepting = tokio::spawn(accept(listener, target, seen, seed));
        Ok(Self { manner, accepting })
    }

    /// From now on.
    pub fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, manner: watch::Receiver<Manner>, seed: u64) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    for number in 0u64.. {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else { return };
        let manner = manner.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let rng = |salt| StdRng::seed_from_u64(seed ^ (number << 1 | salt));
            let up = pump(from_client, to_server, manner.clone(), rng(0), false);
            let down = pump(from_server, to_client, manner, rng(1), true);
            // Whichever ends takes the other with it: half a connection is of no use to HTTP.
            tokio::select! { () = up => {} () = down => {} }
        });
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    manner: watch::Receiver<Manner>,
    mut rng: StdRng,
    answers: bool,
) {
    let mut buffer = vec![0; PIECE];
    let mut passed = 0;
    loop {
        // The end of one side ends the other.
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let mut piece = &buffer[..length];
        while !piece.is_empty() {
            // The manner may change with every piece.
            let now = *manner.borrow();
            let mut take = piece.len();
            match now {
                Manner::Pass => passed = 0,
                Manner::Delay { least, jitter } => {
                    let more = jitter.mul_f64(rng.random_range(0.0..1.0));
                    tokio::time::sleep(least + more).await;
                }
                Manner::Drip { bytes, pause } => {
                    take = take.min(bytes.max(1));
                    tokio::time::sleep(pause).await;
                }
                Manner::CutReply { after } if answers => {
                    take = take.min(after.saturating_sub(passed));
                    passed += take;
                }
                Manner::CutReply { .. } => {}
            }
            // Nothing left to pass on: the reply was cut.
            if take == 0 || to.write_all(&piece[..take]).await.is_err() {
                return;
            }
            piece = &piece[take..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::ports::PortLease;

    /// A server that says what it hears, and the address of a proxy in front of it.
    async fn echo() -> (Proxy, SocketAddr, PortLease) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let lease = PortLease::take().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], lease.port()));
        (Proxy::start(listen, target, 1).unwrap(), listen, lease)
    }

    async fn ask(at: SocketAddr, words: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut heard = vec![0; words.len()];
        let mut length = 0;
        while length < words.len() {
            match stream.read(&mut heard[length..]).await {
                Ok(more @ 1..) => length += more,
                _ => break,
            }
        }
        heard.truncate(length);
        heard
    }

    #[tokio::test]
    async fn everything_arrives_in_order_however_slowly() {
        let (proxy, at, _lease) = echo().await;
        let words: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        let (least, jitter) = (Duration::from_millis(1), Duration::from_millis(5));
        let pause = Duration::from_millis(1);
        for manner in [Manner::Pass, Manner::Delay { least, jitter }, Manner::Drip { bytes: 500, pause }] {
            proxy.set(manner);
            assert_eq!(ask(at, &words).await, words, "{manner:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_breaks_off_in_its_middle_and_a_dropped_proxy_takes_nothing() {
        let (proxy, at, _lease) = echo().await;
        proxy.set(Manner::CutReply { after: 3 });
        assert_eq!(ask(at, b"hello").await, b"hel");
        proxy.set(Manner::Pass);
        assert_eq!(ask(at, b"hello").await, b"hello");
        drop(proxy);
        tokio::task::yield_now().await;
        for _ in 0..100 {
            if TcpStream::connect(at).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it still listens");
    }
}
