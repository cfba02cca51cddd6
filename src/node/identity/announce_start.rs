//! Keeps the map informed that this node was started, and where it listens.
//!
//! Comes in: the map, whenever it changes. Goes out: this start and its addresses, written into the map at each start.
//! They are written again if the map changes to other ones, as when a copy of this node ran for a moment. If the map
//! knows of a later start, this process ends.

use std::path::PathBuf;
use std::time::Duration;

use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};
use tokio::time::Instant;

use super::end_process::end_process;
use super::formation::JoinRequest;
use crate::node::control::map_feed;
use crate::routing::{MapCell, Router};

/// How long one write into the map may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause after a write into the map.
const PAUSE: Duration = Duration::from_millis(500);

/// One start of this node, which the map must learn of.
pub(in crate::node) struct StartAnnouncement {
    pub me: JoinRequest,
    pub node: NodeId,
    /// The number of the start.
    pub life: u64,
    /// The node's directory.
    pub dir: PathBuf,
    pub router: Router,
    pub map: MapCell,
}

impl StartAnnouncement {
    /// Keeps the map right for as long as it has the node. Returns once the cluster has removed the node.
    pub async fn keep_announced(self) {
        let mut changes = self.map.watch();
        loop {
            let known = map_feed::wait_until_formed(&self.map).await;
            match known.nodes.get(&self.node) {
                // A later start means that this process runs on an old copy, or beside a second one.
                Some(entry) if entry.life > self.life && !is_planted(Mutant::IgnoresLives) => {
                    end_process(&self.dir, self.life)
                }
                // The map is right: nothing is due before it changes.
                Some(entry) if self.me.is_at(entry) && entry.life == self.life => {
                    if changes.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                // The map has an earlier start, or another address.
                Some(_) => {}
                None => {
                    return tracing::error!(
                        node = self.node,
                        "the cluster does not know this node any more: it was removed, or did not come up in time after \
                         it was adopted. It holds nothing and only passes requests on; to join again, start it with \
                         an empty --data-dir and --join"
                    );
                }
            }
            self.announce().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tries once to write this start into the map. Ends the process if the map knows of a later one.
    async fn announce(&self) {
        let (me, life) = (&self.me, self.life);
        // `false` means that the map has a later start.
        let address = (me.host.clone(), me.port, me.peer_addr.clone());
        match self.router.set_address(self.node, address, life, Instant::now() + PATIENCE).await {
            Ok(true) => {
                tracing::info!(host = me.host, port = me.port, life, "the map knows of this start and its address")
            }
            Ok(false) => end_process(&self.dir, life),
            Err(error) => tracing::warn!(%error, "the map does not know of this start yet"),
        }
    }
}
