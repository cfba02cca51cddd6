//! Clients that connect and never say a word, and connect again when they are sent home.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Between two looks at who was sent home.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may take: a port that is full lets nobody in.
const CONNECTS_WITHIN: Duration = Duration::from_millis(500);

/// A crowd; it goes when this is dropped.
#[derive(Debug)]
pub struct Crowd {
    task: JoinHandle<()>,
    opened: Arc<AtomicUsize>,
}

impl Crowd {
    /// Takes as many connections as it gets, up to `most` at a time. Needs a runtime.
    pub fn start(address: SocketAddr, most: usize) -> Self {
        let opened = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(stay(address, most, opened.clone()));
        Self { task, opened }
    }

    /// How many connections were opened so far, those that were closed again included.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn stay(address: SocketAddr, most: usize, opened: Arc<AtomicUsize>) {
    let mut inside: Vec<TcpStream> = Vec::new();
    loop {
        inside.retain(is_open);
        while inside.len() < most {
            let Ok(Ok(stream)) = tokio::time::timeout(CONNECTS_WITHIN, TcpStream::connect(address)).await else {
                break;
            };
            opened.fetch_add(1, Ordering::Relaxed);
            inside.push(stream);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the other side has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
