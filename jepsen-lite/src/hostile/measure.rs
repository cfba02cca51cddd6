//! What each attack costs a good client and the node: latency, memory, elections.
//!
//! Three nodes; the attackers and the good client are at the first. The attackers are a process of the lowest priority
//! ([`super::apart`]): what the good client loses, it loses to what the *node* does for them, and how much of an attack they
//! came to is printed. Nothing here judges the figures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::apart::{Apart, AttackOutcome};
use super::descriptors::raise_descriptors;
use super::{Attack, GoodClient, RequestOutcomes, moves, prepare};
use crate::harness::cluster::{Options, TestCluster};

/// Between two looks at a node's memory.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long leaders must stay where they are before anything is measured, and how long that may take.
const CALM: Duration = Duration::from_secs(8);
const CALM_WITHIN: Duration = Duration::from_secs(90);

/// How the attacks are measured.
#[derive(Clone, Debug)]
pub struct AttackPlan {
    /// The `quiver` binary.
    pub binary: PathBuf,
    /// Parts of the names of the attacks; all without any.
    pub only: Vec<String>,
    /// How long each attack lasts.
    pub time: Duration,
    /// How long the node has after it until its memory is looked at again.
    pub after: Duration,
}

/// What one attack cost.
struct AttackMeasurement {
    name: &'static str,
    crowd: usize,
    done: AttackOutcome,
    /// CPU time that the node had during it, in seconds.
    cpu: f64,
    quiet: RequestOutcomes,
    during: RequestOutcomes,
    /// MB before it, at most during it, and after it.
    memory: [u64; 3],
    /// Sums of the terms of all replicas, before and after.
    terms: [u64; 2],
}

/// Heads the table.
const HEAD: &str = "The attackers have the lowest CPU priority (nice 19, idle policy), so that the node's own work is \
                    measured and not theirs; the good client and the nodes have the usual one.\n\n\
                    | attack | connections at a time, made | moves ended | MB sent, heard | CPU s of attackers, of the node \
                    | quiet p50 / p99, ms | during p50 / p99, ms | p99 ratio | answered, not | MB quiet / peak / after \
                    | terms before, after | wrong answers |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|---|";

impl AttackMeasurement {
    fn describe(&self) -> String {
        let ms =
            |seen: &RequestOutcomes, share| seen.percentile(share).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0);
        let both = |seen: &RequestOutcomes| format!("{:.1} / {:.1}", ms(seen, 0.5), ms(seen, 0.99));
        let ([quiet, peak, after], [before, then]) = (self.memory, self.terms);
        let AttackOutcome { moves, traffic, cpu, ref wrong } = self.done;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        // In the order of the table's head.
        let columns = [
            self.name.to_owned(),
            format!("{}, {}", self.crowd, traffic.connections),
            moves.to_string(),
            format!("{:.1}, {:.1}", mb(traffic.sent), mb(traffic.heard)),
            format!("{cpu:.1}, {:.1}", self.cpu),
            both(&self.quiet),
            both(&self.during),
            format!("{:.1}", ms(&self.during, 0.99) / ms(&self.quiet, 0.99)),
            format!("{}, {}", self.during.took.len(), self.during.refused.len()),
            format!("{quiet} / {peak} / {after}"),
            format!("{before}, {then}"),
            wrong.count.to_string(),
        ];
        format!("| {} |", columns.join(" | "))
    }
}

/// Runs the attacks one after the other, and prints a row of each.
///
/// # Errors
/// A cluster that does not start, a node that ends, or a machine that does not tell its memory.
pub async fn run(plan: &AttackPlan) -> Result<()> {
    let most = raise_descriptors();
    let mut cluster = TestCluster::start(Options::new("hostile", &plan.binary)).await?;
    prepare(&cluster.client(0)).await?;
    println!("{HEAD}");
    // A row is printed as soon as it is measured; what went wrong is a comment beside it.
    for attack in moves::attacks(cluster.nodes()[0].address()) {
        if plan.only.is_empty() || plan.only.iter().any(|part| attack.name.contains(part.as_str())) {
            let crowd = attack.crowd.min(most);
            let row = measured(plan, &cluster, &attack, crowd).await.with_context(|| attack.name)?;
            println!("{}", row.describe());
            let told = row.done.wrong.told.iter().take(3).chain(row.during.refused.iter().take(3));
            told.for_each(|said| println!("<!-- {said} -->"));
        }
    }
    cluster.wait_healthy().await?;
    cluster.finish()
}

async fn measured(
    plan: &AttackPlan,
    cluster: &TestCluster,
    attack: &Attack,
    crowd: usize,
) -> Result<AttackMeasurement> {
    let before = calm(cluster).await?;
    let quiet = seen_for(cluster, plan.time).await;
    let mut memory = [resident(cluster)?; 3];
    // It has its connection already when the others come.
    let good_client = GoodClient::start(cluster.client(0));
    good_client.progress(2, CALM_WITHIN).await?;
    let (name, address, node) = (attack.name, cluster.nodes()[0].address(), cluster.nodes()[0].pid());
    let attackers = tokio::task::spawn_blocking(move || Apart::start(name, address, crowd)).await??;
    let (began, before_it) = (Instant::now(), good_client.seen());
    let cpu_before = cpu_seconds(node)?;
    while began.elapsed() < plan.time {
        memory[1] = memory[1].max(resident(cluster)?);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (during, cpu) = (good_client.seen().since(&before_it), cpu_seconds(node)? - cpu_before);
    drop(good_client);
    let done = tokio::task::spawn_blocking(|| attackers.stop()).await??;
    tokio::time::sleep(plan.after).await;
    memory[2] = resident(cluster)?;
    // No election is undone: what there was during the attack is still seen.
    let then = terms(cluster).await;
    Ok(AttackMeasurement { name, crowd, done, cpu, quiet, during, memory, terms: [before, then] })
}

async fn seen_for(cluster: &TestCluster, time: Duration) -> RequestOutcomes {
    let good_client = GoodClient::start(cluster.client(0));
    tokio::time::sleep(time).await;
    good_client.seen()
}

/// The terms, once they have not changed for a while: leaders that are handed over after a start are no elections that an
/// attack brought about.
pub async fn calm(cluster: &TestCluster) -> Result<u64> {
    let start = Instant::now();
    let (mut known, mut since) = (terms(cluster).await, Instant::now());
    while since.elapsed() < CALM {
        anyhow::ensure!(start.elapsed() < CALM_WITHIN, "leaders change all the time");
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = terms(cluster).await;
        if now != known || now == 0 {
            (known, since) = (now, Instant::now());
        }
    }
    Ok(known)
}

/// The sum of the terms of all replicas that are shown; 0 if a node shows none, so that it can be told from a sum.
pub async fn terms(cluster: &TestCluster) -> u64 {
    let mut sum = 0;
    for client in cluster.clients() {
        let answer = client.shards().await;
        let rows = answer.body["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            return 0;
        }
        sum += rows.iter().filter_map(|row| row["term"].as_u64()).sum::<u64>();
    }
    sum
}

/// MB that the attacked node has in memory.
fn resident(cluster: &TestCluster) -> Result<u64> {
    let pid = cluster.nodes()[0].pid().context("the attacked node was stopped")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the attacked node ended")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.context("the attacked node ended")? * 1024 / 1_000_000)
}

/// CPU time that a process has had, in seconds.
fn cpu_seconds(pid: Option<u32>) -> Result<f64> {
    let pid = pid.context("the attacked node was stopped")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the attacked node ended")?;
    // Behind the name, which may hold anything, come the state and ten more; then both times, in ticks.
    let times = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let ticks: u64 = times.into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // SAFETY: sysconf only reads a number.
    let second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok(ticks as f64 / second.max(1) as f64)
}
