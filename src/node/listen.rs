//! Ports: taking them, serving on them, and letting go of them in good order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::NodeError;
use super::shutdown::Stop;

/// How long requests under way may take to end once the process is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the API's port goes on taking requests once the process is to stop: its health says so meanwhile, and a
/// load balancer may look.
pub(super) const LINGER: Duration = Duration::from_millis(200);

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

    /// Serves `app` until `stop`, and `linger` longer; the task ends when the requests under way have ended, or their time has.
    pub fn serve(self, app: Router, stop: Stop, linger: Duration) -> JoinHandle<()> {
        // Nagle's delay makes large answers stall behind delayed acknowledgements.
        let listener = self.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY on a connection");
            }
        });
        tokio::spawn(async move {
            let ends = stop.clone();
            let server = axum::serve(listener, app).with_graceful_shutdown(async move {
                ends.wait().await;
                tokio::time::sleep(linger).await;
            });
            let drained = async {
                stop.wait().await;
                tokio::time::sleep(linger + DRAIN).await;
            };
            tokio::select! {
                served = async { server.await } => {
                    if let Err(error) = served {
                        tracing::error!(%error, "a port is no longer served");
                    }
                }
                () = drained => tracing::warn!("requests were still under way when the port closed"),
            }
        })
    }
}
