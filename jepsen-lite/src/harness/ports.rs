//! Ports that a node may have, lose by being killed, and have again.
//!
//! They come from 20000–32000, below the range from which the kernel hands out ephemeral ports, so that while a node is
//! down no outgoing connection takes its place. A port is found by binding it and is then held by a file lock for as
//! long as the lease lives, so that test programs that run side by side do not choose the same one between the bind and
//! the start of the node.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};

use crate::harness::seed::mix;

const LOWEST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that is ours until this is dropped.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    /// Never read: the lock lives as long as the open file does.
    _lock: File,
}

impl PortLease {
    /// Finds a port of 127.0.0.1 that nothing listens on and nobody else has leased.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Processes begin at different places, so that they seldom try the same ports.
        let start = (mix(std::process::id() as u64) % COUNT as u64) as u16;
        let locks = std::env::temp_dir().join("quiver-ports");
        std::fs::create_dir_all(&locks).with_context(|| format!("creating {}", locks.display()))?;
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = LOWEST + (start.wrapping_add(step) % COUNT);
            let path = locks.join(port.to_string());
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            // The lock keeps other harnesses away, and the listener everybody else.
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return Ok(Self { port, _lock: lock });
            }
        }
        bail!("no free port between {LOWEST} and {}", LOWEST + COUNT)
    }

    /// The number.
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn leases_never_share_a_port_and_can_be_bound() {
        let leases: Vec<_> = (0..50).map(|_| PortLease::take().unwrap()).collect();
        let distinct: BTreeSet<_> = leases.iter().map(PortLease::port).collect();
        assert_eq!(distinct.len(), leases.len());
        assert!(TcpListener::bind(("127.0.0.1", leases[7].port())).is_ok());
        assert!(distinct.iter().all(|port| (LOWEST..LOWEST + COUNT).contains(port)));
    }
}
