//! A node whose storage was damaged while it was down: it says what is damaged and what to do, never votes or serves
//! from it, and the others serve on. Damage that hits nothing of value may go unnoticed, but then nothing may be
//! missing either.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::check::HistoryVerdict;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::run;
use jepsen_lite::run::load::{LoadGenerator, LoadPlan};
use jepsen_lite::seed::{mix, seed};

use crate::support::{PATIENCE, final_check, options, place, register_collection, same_state};

/// All files under a directory, biggest first.
fn files(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() {
                open.push(path);
            } else {
                found.push((entry.metadata()?.len(), path));
            }
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

/// The log store's one big file: the biggest in a directory called `log`.
fn log_file(data: &Path) -> Result<PathBuf> {
    let files: Vec<_> = files(data)?.into_iter().map(|(_, path)| path).collect();
    files.iter().find(|path| is_in(path, "log")).cloned().with_context(|| format!("no log store among {files:?}"))
}

fn is_in(path: &Path, dir: &str) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == dir)
}

/// The last byte that is not padding.
fn end_of_data(path: &Path) -> Result<u64> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1))
}

fn garble(path: &Path, offset: u64, length: usize, seed: u64) -> Result<()> {
    let noise: Vec<u8> = (0..length).map(|index| mix(seed ^ index as u64) as u8).collect();
    Ok(OpenOptions::new().write(true).open(path)?.write_all_at(&noise, offset)?)
}

/// Damages the data directory of a stopped node; says what was done.
fn damage(kind: usize, data: &Path, seed: u64) -> Result<String> {
    let path = log_file(data)?;
    let end = end_of_data(&path)?;
    match kind {
        0 => {
            let cut = end * 2 / 3;
            OpenOptions::new().write(true).open(&path)?.set_len(cut)?;
            Ok(format!("cut {} from {end} to {cut} bytes", path.display()))
        }
        1 => {
            let blocks = (end / 4096).max(1);
            // Several, for a single block may have held nothing that is still in use.
            for number in 0..8 {
                garble(&path, mix(seed ^ number) % blocks * 4096, 4096, seed)?;
            }
            Ok(format!("garbled 8 blocks of {}", path.display()))
        }
        3 => {
            let path = files(data)?.into_iter().map(|(_, path)| path).find(|path| is_in(path, "state"));
            let path = path.context("no state store")?;
            let end = end_of_data(&path)?;
            for number in 0..200 {
                garble(&path, mix(seed ^ number) % end, 32, seed)?;
            }
            Ok(format!("garbled 200 places of {}", path.display()))
        }
        _ => {
            let dir = path.parent().context("a file without a directory")?;
            std::fs::remove_dir_all(dir)?;
            Ok(format!("deleted {}", dir.display()))
        }
    }
}

async fn damaged(name: &str, kind: usize) -> Result<()> {
    let _place = place().await;
    let seed = seed(name);
    let mut cluster = TestCluster::start(options(name).args(&["--shards", "2"])).await?;
    let points = register_collection(&cluster, "d").await?;
    let load = LoadGenerator::start(LoadPlan::new(seed), cluster.clients(), points.clone());
    load.progress(300, PATIENCE).await?;
    let victim = seed as usize % 3;
    load.stop().await;
    points.holds()?;
    ensure!(cluster.terminate(victim).await? == Some(0), "a clean stop");
    let before = cluster.node(victim).log().len();
    let what = damage(kind, cluster.node(victim).data(), seed)?;
    println!("  node{}: {what}", victim + 1);
    cluster.restart(victim)?;

    let noticed = notices(&mut cluster, victim, before).await?;
    let said = cluster.node(victim).log()[before..].to_owned();
    println!("  noticed: {noticed}");
    if noticed {
        let lines: Vec<_> = said.lines().filter(|line| line.to_lowercase().contains("damage")).collect();
        println!("  it says: {}", lines.first().unwrap_or(&""));
    }
    ensure!(!said.contains("panicked at"), "a panic instead of a message:\n{said}");
    ensure!(noticed || kind == 1 || kind == 3, "the loss of acknowledged entries went unnoticed: {what}");

    // The others serve, and hold everything.
    for index in (0..3).filter(|index| *index != victim) {
        let verdict = final_check(&cluster.client(index), &points).await?;
        ensure!(verdict == HistoryVerdict::Ok, "{verdict:?}");
    }
    let survivor = cluster.client((victim + 1) % 3);
    let load = LoadGenerator::start(LoadPlan { seed: seed + 1, ..LoadPlan::new(seed) }, vec![survivor], points.clone());
    load.progress(50, PATIENCE).await?;
    load.stop().await;
    points.holds()?;
    if noticed && !cluster.node(victim).running() {
        println!("  it ended; the way out is in its message");
    } else {
        // Whatever of its replicas was damaged is made anew from the others, by itself.
        cluster.wait_healthy_node(victim).await?;
        same_state(&cluster).await?;
    }
    let verdict = final_check(&cluster.client((victim + 2) % 3), &points).await?;
    ensure!(verdict == HistoryVerdict::Ok, "{verdict:?}");
    cluster.finish()
}

/// Whether the node noticed the damage: it ended with exit code 1, or runs and says so. Undamaged it gets healthy.
async fn notices(cluster: &mut TestCluster, victim: usize, before: usize) -> Result<bool> {
    let start = Instant::now();
    loop {
        let node = cluster.node(victim);
        let (running, log) = (node.running(), node.log());
        if log[before..].to_lowercase().contains("damage") {
            return Ok(true);
        }
        ensure!(running, "it ended without naming the damage:\n{}", &log[before..]);
        if cluster.client(victim).health().await.body["status"] == "healthy" {
            // A moment more: damage may be met only when a group reads what it needs.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let log = cluster.node(victim).log();
            return Ok(log[before..].to_lowercase().contains("damage"));
        }
        ensure!(start.elapsed() < PATIENCE, "neither healthy nor damaged:\n{}", &log[before..]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_is_noticed() -> Result<()> {
    damaged("damage-cut", 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_log_is_noticed_or_harmless() -> Result<()> {
    damaged("damage-garbled", 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_state_is_noticed_or_harmless() -> Result<()> {
    damaged("damage-state", 3).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_log_is_not_an_empty_start() -> Result<()> {
    damaged("damage-deleted", 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_directory_is_refused_and_left_alone() -> Result<()> {
    let _place = place().await;
    let mut cluster = TestCluster::prepare(options("foreign"))?;
    let foreign = cluster.logs().join("foreign");
    std::fs::create_dir_all(&foreign)?;
    std::fs::write(foreign.join("thesis.tex"), "mine")?;
    let listen = format!("127.0.0.1:{}", cluster.node(0).port());
    let command = cluster.verb(&[
        "server",
        "--listen",
        &listen,
        "--peer-listen",
        "127.0.0.1:0",
        "--data-dir",
        &foreign.to_string_lossy(),
    ]);
    let finished = run(command, PATIENCE).await?;
    ensure!(matches!(finished.code, Some(1 | 2)), "{finished:?}");
    ensure!(
        finished.stderr.contains("foreign") && !finished.stderr.contains("panicked"),
        "the directory is not named: {}",
        finished.stderr
    );
    let left: Vec<_> = files(&foreign)?;
    ensure!(
        left.len() == 1 && std::fs::read(foreign.join("thesis.tex"))? == b"mine",
        "it wrote into a foreign directory: {left:?}"
    );
    cluster.finish()
}
