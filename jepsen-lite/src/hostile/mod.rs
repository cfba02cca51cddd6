//! What strangers may cost: a good client's waits, a node's memory and its elections, quiet and under each attack.
//!
//! Comes in: a binary. Goes out: a row for each attack, and whether it stays within what the store promises: a good client's
//! p99 at most [`WAITS`] times what it was, no more memory than quiet, the budget for bodies and [`SPARE_MIB`], no election,
//! and quiet again within [`BACK_WITHIN`]. Times are of this machine; no test of the gate asserts them.

mod attack;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::Client;
use crate::cluster::{Cluster, Options};
pub use attack::Attack;

/// Times a good client may wait longer.
const WAITS: f64 = 3.0;
/// MiB that may be taken beside the budget for bodies.
const SPARE_MIB: u64 = 64;
/// MiB of the nodes' budget for bodies.
const BUDGET_MIB: u64 = 512;
/// How long a node may take to be as it was.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// MiB that are not told from noise.
const NOISE_MIB: u64 = 16;
/// Points that slow readers ask for, and bytes of each.
const POINTS: u64 = 400;
const POINT_BYTES: usize = 20_000;
/// Between two requests of the good client.
const PAUSE: Duration = Duration::from_millis(2);

/// What was measured of one attack.
#[derive(Debug)]
pub struct Row {
    attack: Attack,
    quiet: Waits,
    during: Waits,
    quiet_mib: u64,
    peak_mib: u64,
    after_mib: u64,
    elections: u64,
}

/// What a good client waited, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Waits {
    p50: f64,
    p99: f64,
    requests: usize,
    failed: usize,
}

impl Row {
    /// Whether the promises are kept.
    pub fn is_kept(&self) -> bool {
        // Below a millisecond it is this machine's scheduler that is measured.
        self.during.p99 <= WAITS * self.quiet.p99.max(1.0)
            && self.during.failed == 0
            && self.peak_mib <= self.quiet_mib + BUDGET_MIB + SPARE_MIB
            && self.after_mib <= self.quiet_mib + self.quiet_mib / 10 + NOISE_MIB
            && self.elections == 0
    }

    /// It as a row of a table.
    pub fn told(&self) -> String {
        let Self { attack, quiet, during, quiet_mib, peak_mib, after_mib, elections } = self;
        format!(
            "| {} | {:.2}, {:.2} | {:.2}, {:.2} | {:.1} | {} of {} | {quiet_mib}, {peak_mib}, {after_mib} | {elections} | {} |",
            attack.told(),
            quiet.p50,
            quiet.p99,
            during.p50,
            during.p99,
            during.p99 / quiet.p99,
            during.failed,
            during.requests,
            if self.is_kept() { "kept" } else { "**not kept**" },
        )
    }
}

/// The head of the table.
pub const HEAD: &str = "| attack | quiet p50, p99 (ms) | during | ratio of p99 | failed | MiB quiet, peak, after | elections | promises |\n\
                        |---|---|---|---|---|---|---|---|";

/// Attacks a node of three for `time` in each way, one after the other; `tell` is given each row as it comes.
///
/// # Errors
/// A cluster that does not form, or a node that ends.
pub async fn run(binary: &Path, attacks: &[Attack], time: Duration, mut tell: impl FnMut(&Row)) -> Result<bool> {
    take_all_descriptors();
    let budget = (BUDGET_MIB << 20).to_string();
    let mut cluster = Cluster::start(Options::new("hostile", binary).args(&["--body-memory", &budget])).await?;
    let client = cluster.client(0);
    client.create_collection("h", 2, "euclid").await.ok()?;
    for from in (0..POINTS).step_by(50) {
        let point = |id| json!({"id": id, "vector": [id, 1], "payload": {"pad": "x".repeat(POINT_BYTES)}});
        client.upsert("h", (from..from + 50).map(point).collect(), json!({})).await.ok()?;
    }
    let mut all_kept = true;
    for attack in attacks {
        let row = measure(&mut cluster, *attack, time).await.with_context(|| attack.told().to_owned())?;
        all_kept &= row.is_kept();
        tell(&row);
    }
    cluster.finish().map(|()| all_kept)
}

async fn measure(cluster: &mut Cluster, attack: Attack, time: Duration) -> Result<Row> {
    cluster.wait_healthy().await?;
    let (address, pid) = (cluster.nodes()[0].address(), cluster.nodes()[0].pid().context("the node runs")?);
    let quiet_mib = resident_mib(pid)?;
    let quiet = good_client(&cluster.client(0), time).await;
    let terms = terms(cluster).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let peak = peak_of(pid, Arc::clone(&stop));
    let mut attackers = attack.begin(address);
    // Until all of them are there.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = good_client(&cluster.client(0), time).await;
    attackers.shutdown().await;
    stop.store(true, Ordering::Relaxed);
    let peak_mib = peak.await?;
    let began = Instant::now();
    let mut after_mib = resident_mib(pid)?;
    while began.elapsed() < BACK_WITHIN && after_mib > quiet_mib + quiet_mib / 10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        after_mib = resident_mib(pid)?;
    }
    let elections = self::terms(cluster).await?.saturating_sub(terms);
    Ok(Row { attack, quiet, during, quiet_mib, peak_mib, after_mib, elections })
}

/// Raises this process's own limit of descriptors, which an attacker needs many of, to what it may be.
fn take_all_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the one struct that they are given, which outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Writes and reads in turn, and counts what it waits.
async fn good_client(client: &Client, time: Duration) -> Waits {
    let (began, mut waits, mut failed) = (Instant::now(), Vec::new(), 0);
    let client = client.with_deadline(Duration::from_secs(5));
    for number in 0_u64.. {
        if began.elapsed() >= time {
            break;
        }
        let asked = Instant::now();
        let answer = match number % 2 {
            0 => client.upsert("h", vec![json!({"id": 1_000_000 + number % 100, "vector": [1, 2]})], json!({})).await,
            _ => client.point("h", &(number % 50).to_string(), "?with_payload=false").await,
        };
        waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
        failed += usize::from(!answer.success());
        tokio::time::sleep(PAUSE).await;
    }
    waits.sort_unstable_by(f64::total_cmp);
    let at =
        |share: f64| waits.get((waits.len() as f64 * share) as usize).or(waits.last()).copied().unwrap_or(f64::NAN);
    Waits { p50: at(0.5), p99: at(0.99), requests: waits.len(), failed }
}

/// The terms of all shards together.
async fn terms(cluster: &Cluster) -> Result<u64> {
    let answer = cluster.client(1).shards().await.ok()?;
    let rows = answer["shards"].as_array().context("no `shards`")?;
    Ok(rows.iter().filter_map(|row| row["term"].as_u64()).sum())
}

fn peak_of(pid: u32, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut peak = 0;
        while !stop.load(Ordering::Relaxed) {
            peak = peak.max(resident_mib(pid).unwrap_or(0));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        peak
    })
}

fn resident_mib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the node has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib >> 10)
}

/// Attackers, ended when this is dropped.
type Attackers = JoinSet<()>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_which_promise_is_not_kept() {
        let waits = |p99| Waits { p50: 1.0, p99, requests: 10, failed: 0 };
        let row = || Row {
            attack: Attack::Idle,
            quiet: waits(4.0),
            during: waits(11.0),
            quiet_mib: 100,
            peak_mib: 600,
            after_mib: 110,
            elections: 0,
        };
        assert!(row().is_kept() && row().told().ends_with("| kept |"));
        for broken in [
            Row { during: waits(13.0), ..row() },
            Row { during: Waits { failed: 1, ..waits(4.0) }, ..row() },
            Row { peak_mib: 700, ..row() },
            Row { after_mib: 140, ..row() },
            Row { elections: 1, ..row() },
        ] {
            assert!(broken.told().ends_with("| **not kept** |"), "{broken:?}");
        }
    }
}
