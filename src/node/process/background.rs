//! Every loop that runs in the background of a process. There is one list for each moment at which loops can begin.
//!
//! Comes in: the parts that the loops need. Goes out: tasks that end with the process. A task that belongs to one part
//! stays with that part: a port's connections, the watch of one replica of the map's group, and the indexing threads,
//! which are joined.

use std::path::PathBuf;
use std::sync::Arc;

use raft_groups::Host;

use super::memory_trim::trim_regularly;
use super::process_stats::ProcessStats;
use super::server_node::{ServerNode, watch_readiness};
use crate::node::control::collection_sweep::sweep_collections;
use crate::node::control::driver::Driver;
use crate::node::control::map_feed;
use crate::node::control::membership::MembershipLoop;
use crate::node::control::replicas::Replicas;
use crate::node::identity::address_exchange::AddressExchange;
use crate::node::identity::announce_start::StartAnnouncement;
use crate::node::identity::end_process::end_when_overtaken;
use crate::node::identity::identity_file::IdentityFile;
use crate::node::identity::seeds::save_seeds_and_timings;
use crate::node::recovery::RecoveryConfirmation;
use crate::routing::{MapCell, Router};

/// The loops of every process.
pub(super) struct ProcessLoops {
    pub stats: Arc<ProcessStats>,
}

impl ProcessLoops {
    pub fn start(self) {
        tokio::spawn(trim_regularly());
        tokio::spawn(async move { self.stats.watch_load().await });
    }
}

/// The loops of a gateway.
pub(super) struct GatewayLoops {
    pub stats: Arc<ProcessStats>,
    /// URLs of nodes that may have the map.
    pub seeds: Vec<String>,
    pub map: MapCell,
}

impl GatewayLoops {
    pub fn start(self) {
        ProcessLoops { stats: self.stats }.start();
        tokio::spawn(map_feed::poll_nodes(self.seeds, self.map));
    }
}

/// The loops of a node that begin when its stores are open.
pub(super) struct StoreLoops {
    pub host: Host,
    /// The node's directory.
    pub dir: PathBuf,
    pub exchange: AddressExchange,
    /// URLs of nodes that are told this node's address.
    pub told: Vec<String>,
    /// URLs of nodes that may have the map.
    pub seeds: Vec<String>,
    pub map: MapCell,
}

impl StoreLoops {
    pub fn start(self) {
        tokio::spawn(end_when_overtaken(self.host.clone(), self.dir));
        tokio::spawn(self.host.measure_distances());
        tokio::spawn(self.exchange.announce(self.told));
        // A replica of the map's group that was let go of does not know it. So other nodes are asked even beside an own
        // one.
        tokio::spawn(map_feed::poll_nodes(self.seeds, self.map));
    }
}

/// The loops of a node that begin when its replicas are open.
pub(super) struct ReplicaLoops {
    pub node: Arc<ServerNode>,
    pub identity: IdentityFile,
    pub replicas: Replicas,
    pub announcement: StartAnnouncement,
    pub recovery: RecoveryConfirmation,
    pub membership: MembershipLoop,
    pub driver: Driver,
    pub router: Router,
    pub map: MapCell,
}

impl ReplicaLoops {
    pub fn start(self) {
        let (groups, map) = (self.node.groups.clone(), self.map.clone());
        tokio::spawn(self.replicas.keep_as_mapped());
        tokio::spawn(watch_readiness(self.node));
        tokio::spawn(sweep_collections(groups, self.map, self.router));
        tokio::spawn(self.announcement.keep_announced());
        // Both write the node's file, so the second begins when the first has ended.
        tokio::spawn(async move {
            let identity = self.recovery.confirm_all(self.identity).await;
            save_seeds_and_timings(identity, map).await;
        });
        tokio::spawn(self.membership.move_groups());
        tokio::spawn(self.driver.decide_while_leading());
    }
}
