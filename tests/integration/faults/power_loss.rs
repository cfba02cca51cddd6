//! Power loss of the whole cluster at once, under concurrent writers: nothing acknowledged is lost. Each node has a
//! disk of its own, a loop-mounted ext4 image that is shut down without flushing. Root only; skipped loudly elsewhere.
//!
//! The same run with the syncs left out (`QUIVER_MUTANT=skip-sync`, in the binary only where tests are built) must be
//! *seen* to lose writes: a test that cannot fail shows nothing.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use jepsen_lite::check::HistoryVerdict;
use jepsen_lite::cluster::{Options, TestCluster};
use jepsen_lite::disk::{LoopDisk, NoDisk};
use jepsen_lite::run::load::{LoadGenerator, LoadPlan};
use jepsen_lite::seed::seed;

use crate::support::{PATIENCE, final_check, leaders, options, place, register_collection, rounds, settle};

const MIB: u64 = 192;

/// One disk a node, or `None` with the reason printed.
fn disks() -> Result<Option<Vec<LoopDisk>>> {
    let mut disks = Vec::new();
    for _ in 0..3 {
        match LoopDisk::create(MIB) {
            Ok(disk) => disks.push(disk),
            Err(NoDisk::Skip(why)) => {
                println!("  SKIPPED, NOTHING WAS TESTED: {why}");
                return Ok(None);
            }
            Err(NoDisk::Failed(error)) => bail!("no disk: {error}"),
        }
    }
    Ok(Some(disks))
}

fn on(disks: &[LoopDisk], name: &str) -> Options {
    let data_dirs = disks.iter().map(|disk| disk.path().join("data")).collect();
    Options { data_dirs, ..options(name).args(&["--shards", "2"]) }
}

fn plan(seed: u64) -> LoadPlan {
    LoadPlan { writers: 8, pause: Duration::from_millis(2), insist: Duration::from_secs(3), ..LoadPlan::new(seed) }
}

/// The power of every disk goes, then every process.
fn cut_all(cluster: &mut TestCluster, disks: &[LoopDisk]) -> Result<()> {
    for disk in disks {
        disk.cut_power()?;
    }
    for index in 0..disks.len() {
        cluster.kill(index);
    }
    Ok(())
}

fn restore_all(cluster: &mut TestCluster, disks: &mut [LoopDisk]) -> Result<()> {
    for disk in disks.iter_mut() {
        disk.restore_power()?;
    }
    for index in 0..disks.len() {
        cluster.restart(index)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_the_power() -> Result<()> {
    let _place = place().await;
    let seed = seed("power_loss");
    // Made before the cluster and so dropped after it: the processes go first, then the mounts.
    let Some(mut disks) = disks()? else {
        return Ok(());
    };
    let mut cluster = TestCluster::start(on(&disks, "power-loss")).await?;
    let points = register_collection(&cluster, "p").await?;
    for crash in 0..rounds(3) {
        let load = LoadGenerator::start(plan(seed ^ crash), cluster.clients(), points.clone());
        load.progress(150, PATIENCE).await?;
        cut_all(&mut cluster, &disks)?;
        load.stop().await;
        restore_all(&mut cluster, &mut disks)?;
        cluster.wait_healthy().await?;
        let verdict = final_check(&cluster.client(crash as usize % 3), &points).await?;
        println!("  after power loss {}: {} acknowledged, {verdict:?}", crash + 1, points.acknowledged());
        ensure!(verdict == HistoryVerdict::Ok, "power loss {} lost something: {verdict:?}", crash + 1);
    }
    leaders(&cluster, 2).await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_skips_its_syncs_is_caught() -> Result<()> {
    let _place = place().await;
    let seed = seed("power_loss_mutant");
    let Some(mut disks) = disks()? else {
        return Ok(());
    };
    let mut options = on(&disks, "skip-sync").env("QUIVER_MUTANT", "skip-sync");
    options.patience = Duration::from_secs(20);
    let mut cluster = TestCluster::start(options).await?;
    let points = register_collection(&cluster, "p").await?;
    let load = LoadGenerator::start(plan(seed), cluster.clients(), points.clone());
    load.progress(150, PATIENCE).await?;
    cut_all(&mut cluster, &disks)?;
    load.stop().await;
    ensure!(points.acknowledged() >= 150, "nothing was acknowledged, so nothing could be lost");
    restore_all(&mut cluster, &mut disks)?;
    if let Err(error) = cluster.wait_healthy().await {
        let first = error.to_string();
        println!("  caught: the cluster does not come back: {}", first.lines().next().unwrap_or_default());
        return cluster.finish();
    }
    let first = cluster.client(0);
    let answer = first.cluster_status().await.ok()?;
    if answer["total_collections"] == 0 {
        println!("  caught: the collection itself is gone");
        return cluster.finish();
    }
    let verdict = final_check(&first, &points).await?;
    println!("  caught: {verdict:?}");
    let is_loss = |class: &str| ["stale read", "non-linearizable"].contains(&class);
    ensure!(
        matches!(&verdict, HistoryVerdict::Illegal(violation) if is_loss(&violation.class)),
        "syncs were left out and nothing was lost: this test cannot see what it is for: {verdict:?}"
    );
    cluster.finish()
}
