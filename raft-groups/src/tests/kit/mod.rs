//! What this crate's tests on simulated clusters share: a machine, settings, deadlines, and a runtime on a paused
//! clock.

mod registers;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use self::registers::{Order, Registers};
use crate::sim::{SimCluster, SimPlan};
use crate::{NodeId, RaftSettings, Role};

/// The cluster of this crate's tests.
pub type Cluster = SimCluster<Registers>;

/// Returns settings with which a simulated second has room for several elections.
pub fn settings() -> RaftSettings {
    RaftSettings {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        ..RaftSettings::default()
    }
}

/// Returns [`settings`] with snapshots and purges every few writes.
pub fn snapshot_storm() -> RaftSettings {
    RaftSettings { snapshot_after: 25, keep_entries: 5, ..settings() }
}

/// Starts a cluster of `count` founders on a network that only delays.
pub async fn start(seed: u64, count: u64, settings: RaftSettings) -> Cluster {
    Cluster::start(SimPlan::new(seed, count, settings)).await.expect("empty disks open")
}

/// Runs `story` on one thread, on tokio's paused clock.
pub fn simulate<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(story)
}

/// A deadline for what may fail at times.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

/// A deadline for what must succeed.
pub fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Waits until some node, but none of `except`, leads and takes a write of `value` to register `x`. Returns that
/// node.
pub async fn write_somewhere(cluster: &Cluster, except: &[NodeId], value: u64) -> NodeId {
    for _ in 0..1000 {
        for (id, group) in cluster.groups().filter(|(id, _)| !except.contains(id)) {
            let order = Order::set("x", value).encode();
            if group.status().role == Role::Leader && group.write(order, soon()).await.is_ok() {
                return id;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody takes the write");
}

/// Returns all nodes but `id`.
pub fn others(cluster: &Cluster, id: NodeId) -> Vec<NodeId> {
    cluster.ids().into_iter().filter(|other| *other != id).collect()
}
