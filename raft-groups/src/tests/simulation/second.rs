//! The second group of a run: other replicas on the same disks, which take writes all the time. No fault of the
//! first group may affect it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::workload::Doors;
use crate::tests::kit::{Cluster, Order, soon};
use crate::{Machine as _, NodeId};

/// The name of a checker, and what it found wrong.
type Problem = (&'static str, String);

/// The second group: handles, its client, and what was acknowledged to that client.
pub struct Second {
    doors: Doors,
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
    client: tokio::task::JoinHandle<()>,
}

impl Second {
    pub fn start(seed: u64) -> Self {
        let (doors, acknowledged) = (Doors::default(), Arc::default());
        let client = tokio::spawn(write(SmallRng::seed_from_u64(!seed), doors.clone(), Arc::clone(&acknowledged)));
        Self { doors, acknowledged, client }
    }

    pub fn open(&self, cluster: &Cluster) {
        self.doors.open(cluster.ids().into_iter().filter_map(|id| Some((id, cluster.second(id)?))).collect());
    }

    pub fn close(&self, node: NodeId) {
        self.doors.close(node);
    }

    /// Ends the run after the last fault: all replicas must come to one state with all that was acknowledged.
    /// Returns how many writes were acknowledged.
    pub async fn finish(self, deadline: Instant) -> Result<u64, Problem> {
        self.client.abort();
        // A write must succeed and all replicas must agree before what they hold is compared.
        let replicas = self.doors.all();
        loop {
            let states: BTreeSet<_> = replicas.iter().map(|replica| replica.machine().digest()).collect();
            let last = Order::set("last", 1).encode();
            if let Some(leader) = self.doors.leader()
                && leader.write(last, soon()).await.is_ok()
                && states.len() == 1
            {
                break;
            }
            if Instant::now() >= deadline {
                let statuses: Vec<_> = replicas.iter().map(|replica| replica.status()).collect();
                return Err(("second group", format!("it does not come to one state: {states:?}\n{statuses:#?}")));
            }
            sleep(Duration::from_millis(500)).await;
        }
        let acknowledged = self.acknowledged.lock();
        for replica in &replicas {
            let held: BTreeSet<_> = replica.machine().elements().into_iter().collect();
            let lost: Vec<_> = acknowledged.difference(&held).collect();
            if !lost.is_empty() {
                return Err(("second group", format!("acknowledged and lost: {lost:?}")));
            }
        }
        Ok(acknowledged.len() as u64)
    }
}

async fn write(mut rng: SmallRng, doors: Doors, acknowledged: Arc<Mutex<BTreeSet<u64>>>) {
    for element in 0.. {
        sleep(Duration::from_millis(rng.random_range(5..80))).await;
        let Some(leader) = doors.leader() else { continue };
        if leader.write(Order::Add(element).encode(), soon()).await.is_ok() {
            acknowledged.lock().insert(element);
        }
    }
}
