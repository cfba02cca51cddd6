//! Disks that go back in time, and directories that run twice: nobody takes part in a life that others have seen end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jepsen_lite::cluster::{Options, TestCluster};
use jepsen_lite::process::ChildProcess;
use jepsen_lite::run::register_collection::RegisterCollection;

use crate::support::{PATIENCE, options, place, put_until_acknowledged, register_collection, same_state, settle};

const ARGS: [&str; 4] = ["--shards", "3", "--node-lost-after-ms", "600000"];

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "{} is not copied", from.display());
    Ok(())
}

/// Nodes 2 and 3 acknowledge writes without node 1; then node 3 comes back from an older copy, beside node 1.
async fn go_back_in_time(options: Options) -> Result<(TestCluster, RegisterCollection)> {
    let mut cluster = TestCluster::start(options.args(&ARGS)).await?;
    let points = register_collection(&cluster, "d").await?;
    for key in 0..40 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    same_state(&cluster).await?;
    ensure!(cluster.terminate(2).await? == Some(0), "a clean stop");
    let (data, older) = (cluster.node(2).data().to_owned(), cluster.node(2).data().with_extension("older"));
    copy(&data, &older)?;
    cluster.restart(2)?;
    cluster.wait_healthy().await?;
    cluster.kill(0);
    for key in 40..80 {
        put_until_acknowledged(&cluster.client(1), &points, key).await?;
    }
    cluster.kill(1);
    cluster.kill(2);
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&older, &data)?;
    cluster.restart(0)?;
    cluster.restart(2)?;
    Ok((cluster, points))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_directory_is_refused() -> Result<()> {
    let _place = place().await;
    let (mut cluster, points) = go_back_in_time(options("older-copy")).await?;
    let start = Instant::now();
    while cluster.node(2).running() {
        ensure!(start.elapsed() < PATIENCE, "the older copy takes part:\n{}", cluster.node(2).log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(cluster.node(2).log().contains("cannot take part"), "it ends in silence:\n{}", cluster.node(2).log());
    cluster.kill(2);
    cluster.restart(1)?;
    for key in 80..90 {
        put_until_acknowledged(&cluster.client(0), &points, key).await?;
    }
    same_state(&cluster).await?;
    cluster.finish()
}

/// The second line: where nobody minds lives, acknowledged writes are lost to the older copy; but no two replicas show
/// different states of one index for long, and the ones that are contradicted are made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_an_older_copy_takes_part_the_contradicted_replicas_are_made_anew() -> Result<()> {
    let _place = place().await;
    let options = options("older-copy-unseen").env("QUIVER_MUTANT", "ignore-lives");
    let (mut cluster, points) = go_back_in_time(options).await?;
    // The two that know less lead, before the third is there to be asked, and in later terms than it has seen: of two
    // histories that are equally late, the one that a minority has could win, and take the majority along.
    put_until_acknowledged(&cluster.client(0), &points, 80).await?;
    for group in 0..=3 {
        lift_term(&cluster, group).await?;
    }
    for key in 81..100 {
        put_until_acknowledged(&cluster.client(0), &points, key).await?;
    }
    cluster.restart(1)?;
    let start = Instant::now();
    while !(cluster.node(1).log().contains("is damaged and stops") && same_state(&cluster).await.is_ok()) {
        ensure!(start.elapsed() < PATIENCE * 2, "the replicas stay apart:\n{}", cluster.node(1).log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.wait_healthy().await?;
    same_state(&cluster).await?;
    ensure!((0..3).all(|node| cluster.node(node).running()), "a node has ended");
    cluster.finish()
}

/// Has nodes 1 and 3 follow each other as leaders of a group until its term is beyond what node 2 can have seen.
async fn lift_term(cluster: &TestCluster, group: u64) -> Result<()> {
    const BEYOND: u64 = 7;
    let path = format!("/quiver/v1/groups/{group}/campaign");
    for turn in 0..40 {
        let client = cluster.client(if turn % 2 == 0 { 0 } else { 2 });
        let rows = client.shards().await.ok()?["shards"].clone();
        let row = rows.as_array().into_iter().flatten().find(|row| row["shard"].as_u64() == group.checked_sub(1));
        // The map's group is in no row: it is given as many turns as the others need at most.
        let is_there = row.map_or(turn > BEYOND, |row| row["term"].as_u64() > Some(BEYOND));
        if is_there {
            return Ok(());
        }
        let asked = client.post(&path, &serde_json::json!({})).await;
        ensure!(asked.success(), "group {group} takes no campaign: {}", asked.body);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the term of group {group} does not grow")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_runs_twice_is_refused_the_second_time() -> Result<()> {
    let _place = place().await;
    let mut cluster = TestCluster::start(options("runs-twice").args(&ARGS)).await?;
    let points = register_collection(&cluster, "d").await?;
    ensure!(cluster.terminate(2).await? == Some(0), "a clean stop");
    let (data, twin) = (cluster.node(2).data().to_owned(), cluster.node(2).data().with_extension("twin"));
    copy(&data, &twin)?;
    cluster.restart(2)?;
    cluster.wait_healthy().await?;
    let mut command = cluster.verb(&["server", "--node-id", "node3", "--listen", "127.0.0.1:0"]);
    command.args(["--peer-listen", "127.0.0.1:0", "--data-dir"]).arg(&twin);
    let log = cluster.logs().join("twin.log");
    let mut second = ChildProcess::start(command, &log.with_extension("out"), &log)?;
    let ended = second.wait(PATIENCE).await.context("the twin goes on")?;
    let said = std::fs::read_to_string(&log)?;
    ensure!(ended.code() == Some(1) && said.contains("cannot take part"), "{ended}:\n{said}");
    for key in 0..40 {
        put_until_acknowledged(&cluster.client(key as usize % 3), &points, key).await?;
    }
    cluster.wait_healthy().await?;
    settle(&cluster, &points).await?;
    cluster.finish()
}
