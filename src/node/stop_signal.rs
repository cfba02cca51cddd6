//! The signal to stop: SIGTERM and Ctrl-C, passed on to all parts that wait for it.
//!
//! Comes in: a signal of the system, or a call. Goes out: the same to every clone. Must not know what has to be
//! stopped.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// A signal to stop. Clones share it.
#[derive(Clone)]
pub(super) struct StopSignal {
    given: Arc<watch::Sender<bool>>,
}

impl StopSignal {
    /// A signal that is not given yet.
    pub fn new() -> Self {
        Self { given: Arc::new(watch::Sender::new(false)) }
    }

    /// A signal that the first SIGTERM or Ctrl-C gives. A second one ends the process at once, with exit code 130.
    ///
    /// # Errors
    /// The system's, where no handler can be set.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let signal = stop.clone();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        tokio::spawn(async move {
            // The second signal is for an operator who does not want to wait.
            for first in [true, false] {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if !first {
                    std::process::exit(130);
                }
                tracing::info!("stopping");
                signal.give();
            }
        });
        Ok(stop)
    }

    /// Gives the signal.
    pub fn give(&self) {
        self.given.send_replace(true);
    }

    /// Returns `true` if the signal is given.
    pub fn is_given(&self) -> bool {
        *self.given.borrow()
    }

    /// Waits for the signal.
    pub async fn wait(&self) {
        let mut given = self.given.subscribe();
        // An error means that the sender is gone, which cannot be while `self` holds it.
        let _ = given.wait_for(|given| *given).await;
    }
}
