//! Whole nodes in one thread, on simulated disks and a simulated network: what holds whichever node fails, and
//! whenever.
//!
//! Comes in: a seed. Goes out: a story that each test tells and judges. The nodes are those of production, without
//! HTTP.

mod group_time;
mod moves;
mod simulated_nodes;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::simulated_nodes::SimulatedNodes;
use crate::placement::tests::vectors;
use crate::routing::Collection;

/// How long the cluster may take for anything, in simulated time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes a collection as soon as a node takes it.
async fn create_collection(world: &SimulatedNodes) -> Collection {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let router = &world.routers()[0];
        let until = Instant::now() + Duration::from_secs(2);
        if let Ok(created) =
            router.create_collection("docs", vectors(2), crate::model::Consistency::Quorum, until).await
        {
            return created.collection;
        }
        assert!(Instant::now() < deadline, "no collection comes to be");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a story in simulated time, which passes as soon as nobody has anything to do.
fn simulate<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run)
}
