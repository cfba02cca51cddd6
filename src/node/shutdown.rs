//! The wish to stop: SIGTERM and Ctrl-C, passed on to whoever waits for it.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// A wish to stop, once it is there; clones share it.
#[derive(Clone)]
pub(super) struct Stop {
    wished: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// A wish that is not there yet.
    pub fn new() -> Self {
        Self { wished: Arc::new(watch::Sender::new(false)) }
    }

    /// A wish that comes with the first SIGTERM or Ctrl-C; a second one ends the process on the spot.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let wish = stop.clone();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        tokio::spawn(async move {
            for first in [true, false] {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if !first {
                    std::process::exit(130);
                }
                tracing::info!("stopping");
                wish.now();
            }
        });
        Ok(stop)
    }

    /// Wishes to stop.
    pub fn now(&self) {
        self.wished.send_replace(true);
    }

    /// Whether the wish is there.
    pub fn is_wished(&self) -> bool {
        *self.wished.borrow()
    }

    /// Waits for the wish.
    pub async fn wait(&self) {
        let mut wished = self.wished.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = wished.wait_for(|wished| *wished).await;
    }
}
