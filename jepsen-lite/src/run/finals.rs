//! The end of a run: all faults are undone, every node answers, and replicas that have come equally far hold the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::environment::TestEnvironment;
use super::workload::{Worker, WorkloadState};
use super::{CLIENTS, RunPlan};
use crate::judge::check::HistoryVerdict;

/// How long replicas may take until they have come equally far.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every member shows everything once more, at the level of the run; then replicas are compared.
///
/// # Errors
/// A node that does not answer, or replicas that never come equally far.
pub(super) async fn all(
    plan: &RunPlan,
    environment: &mut TestEnvironment,
    shared: &Arc<WorkloadState>,
) -> Result<HistoryVerdict> {
    environment.cluster.wait_healthy().await?;
    for number in 0..shared.endpoints.all().len() {
        let mut worker = Worker::new(shared.clone(), plan.seed ^ CLIENTS as u64, number);
        worker.last_reads().await?;
    }
    equal_replicas(environment).await
}

async fn equal_replicas(environment: &TestEnvironment) -> Result<HistoryVerdict> {
    let start = Instant::now();
    loop {
        // By shard and index, the hashes of the states.
        let mut seen: BTreeMap<u64, BTreeMap<u64, BTreeSet<String>>> = BTreeMap::new();
        for index in &environment.members {
            let answer = environment.cluster.client(*index).shards().await.ok()?;
            for row in answer["shards"].as_array().context("no `shards`")? {
                let (shard, index) = (row["shard"].as_u64(), row["state_index"].as_u64());
                let key = shard.zip(index).context("no `state_index`")?;
                let hash = row["state_hash"].as_str().context("no `state_hash`")?;
                seen.entry(key.0).or_default().entry(key.1).or_default().insert(hash.to_owned());
            }
        }
        for (shard, by_index) in &seen {
            if let Some((index, hashes)) = by_index.iter().find(|(_, hashes)| hashes.len() > 1) {
                let cause = format!("replicas of shard {shard} differ at index {index}: {hashes:?}");
                return Ok(HistoryVerdict::illegal("replicas differ", cause, Vec::new()));
            }
        }
        if !seen.is_empty() && seen.values().all(|by_index| by_index.len() == 1) {
            return Ok(HistoryVerdict::Ok);
        }
        ensure!(start.elapsed() < PATIENCE, "replicas never came to the same index: {seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
