//! Leaders are killed with SIGKILL under writes: how long until a survivor acknowledges a write, and until the killed
//! node has caught up.
//!
//! In: the cluster, and how many rounds. Out: one row for the outages and one for the restarts.

use super::writes::upsert;
use crate::cluster::{BenchCluster, NODES, WRITES, elections};
use crate::data::corpus::Corpus;
use crate::report::times::{Times, digits, millis};
use crate::report::{Report, ReportRow};
use anyhow::{Context, ensure};
use quiver::api::{PointId, Upserted};
use quiver::client::Client;
use quiver::config::{ServerArgs, ServerSettings};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// So many points are written to find out which shard each belongs to.
const PROBES: u64 = 400;
/// Pause between the starts of two writes.
const TRICKLE: Duration = Duration::from_millis(20);
/// How long writes run before the kill.
const LEAD: Duration = Duration::from_millis(300);
/// Longest wait for an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before a round, so that kills fall into any phase of the heartbeats.
const REST: Duration = Duration::from_millis(500);

/// What the kills cost, summed over the rounds.
#[derive(Default)]
struct Toll {
    outages: Vec<Duration>,
    restarts: Vec<Duration>,
    terms: u64,
    /// How many shards the killed nodes led.
    orphans: u64,
}

/// Kills a leader `rounds` times, and adds the rows.
pub(crate) async fn measure(
    report: &mut Report,
    cluster: &mut BenchCluster,
    corpus: &Corpus,
    rounds: usize,
) -> anyhow::Result<()> {
    let homes = homes(cluster, corpus).await?;
    let mut toll = Toll::default();
    for round in 0..rounds {
        // Rounds take the shards in turn, so that different nodes are killed.
        let (shard, id) = homes.iter().nth(round % homes.len()).context("no point was written")?;
        let (outage, restart) =
            kill(cluster, corpus, *shard, *id, &mut toll).await.with_context(|| format!("round {}", round + 1))?;
        eprintln!(
            "  round {}: shard {shard}, {:.1?} without an acknowledgement, level again in {:.1?}",
            round + 1,
            outage,
            restart
        );
        toll.outages.push(outage);
        toll.restarts.push(restart);
    }
    add(report, toll);
    Ok(())
}

/// For each shard, the id of a point in it.
async fn homes(cluster: &BenchCluster, corpus: &Corpus) -> anyhow::Result<BTreeMap<u32, u64>> {
    let write = upsert(WRITES, corpus, 0..PROBES);
    let written: Upserted = cluster.client(0)?.write("/vectors", &write, PATIENCE, |_| {}).await?;
    let home = |result: &quiver::api::WriteResult| match result.id {
        PointId::Num(id) => Some((result.shard, id)),
        PointId::Uuid(_) => None,
    };
    Ok(written.results.iter().filter_map(home).collect())
}

/// Runs one round. Returns the times of the outage and of the restart.
async fn kill(
    cluster: &mut BenchCluster,
    corpus: &Corpus,
    shard: u32,
    id: u64,
    toll: &mut Toll,
) -> anyhow::Result<(Duration, Duration)> {
    cluster.healthy().await?;
    tokio::time::sleep(REST).await;
    let before = cluster.terms().await?;
    let sharding = cluster.sharding().await?;
    let leader = |wanted| sharding.shards.iter().find(|row| row.shard == wanted).and_then(|row| row.leader.clone());
    let victim = leader(shard).with_context(|| format!("shard {shard} has no leader to kill"))?;
    let survivors = cluster.nodes().into_iter().filter(|node| node.name != victim);
    let survivors: Vec<Arc<Client>> =
        survivors.map(|node| Ok(Arc::new(Client::new(&[node.url])?))).collect::<anyhow::Result<_>>()?;
    ensure!(survivors.len() == NODES - 1, "`{victim}` is no node of ours");

    // The outage lasts from the kill to the first acknowledgement of a write that began after it.
    let mut trickle = Trickle { corpus, id, survivors, sent: 0, writes: JoinSet::new() };
    let started = Instant::now();
    trickle.acknowledged(started, started + LEAD).await.context("no write was acknowledged before the kill")?;
    let died = Instant::now();
    cluster.kill(&victim)?;
    let until = died + PATIENCE;
    let acknowledged = trickle.acknowledged(died, died).await;
    let acknowledged = acknowledged.with_context(|| format!("none after the kill, up to {:?}", until - died))?;
    drop(trickle);

    // The terms are read at the end: until then an election may still be going on.
    let restarted = Instant::now();
    cluster.restart(&victim)?;
    cluster.caught_up(&victim).await?;
    let restart = restarted.elapsed();
    toll.orphans += sharding.shards.iter().filter(|row| row.leader.as_ref() == Some(&victim)).count() as u64;
    toll.terms += elections(&before, &cluster.terms().await?);
    Ok((acknowledged - died, restart))
}

/// Writes to one shard. A new write begins every [`TRICKLE`], whether or not the one before was answered. A node may
/// hold a write until there is a leader, or refuse it. The first acknowledgement of any write ends the outage.
struct Trickle<'a> {
    corpus: &'a Corpus,
    id: u64,
    survivors: Vec<Arc<Client>>,
    sent: usize,
    /// For each write: when it began, and when it was acknowledged, if it was.
    writes: JoinSet<(Instant, Option<Instant>)>,
}

impl Trickle<'_> {
    /// Writes until a write that began after `since` is acknowledged, and at least until `least`. Returns when the
    /// first such write was acknowledged.
    async fn acknowledged(&mut self, since: Instant, least: Instant) -> Option<Instant> {
        let (mut first, mut tick) = (None, tokio::time::interval(TRICKLE));
        while since.elapsed() < PATIENCE {
            tokio::select! {
                _ = tick.tick() => self.send(),
                Some(Ok((begun, Some(done)))) = self.writes.join_next() => {
                    // A write that began before the kill may have been acknowledged by the old leader.
                    if begun >= since {
                        first = first.or(Some(done));
                    }
                }
            }
            if first.is_some() && Instant::now() >= least {
                return first;
            }
        }
        None
    }

    fn send(&mut self) {
        let client = self.survivors[self.sent % self.survivors.len()].clone();
        self.sent += 1;
        let write = upsert(WRITES, self.corpus, self.id..self.id + 1);
        self.writes.spawn(async move {
            let begun = Instant::now();
            let written: Result<Upserted, _> = client.write("/vectors", &write, Duration::ZERO, |_| {}).await;
            (begun, written.is_ok().then(Instant::now))
        });
    }
}

/// How long a failover may take, in milliseconds.
pub(crate) fn bar_ms() -> f64 {
    bars_ms().1
}

/// Three times the shortest and three times the longest election timeout, in milliseconds.
fn bars_ms() -> (f64, f64) {
    let settings: Option<ServerSettings> = ServerArgs::default().settle().ok();
    // The bar is the longest timeout, because a survivor keeps its promise to the dead leader for so long.
    settings.map_or((0.0, 0.0), |s| (s.election_min.as_secs_f64() * 3e3, s.election_max.as_secs_f64() * 3e3))
}

fn add(report: &mut Report, toll: Toll) {
    let (outages, restarts) = (Times::new(toll.outages), Times::new(toll.restarts));
    let (least, bar) = bars_ms();
    let row = ReportRow::new(format!("failover, {} kills of a leader", outages.len()), millis(outages.p50()));
    let row = row.detail(format!(
        "p50; p99 {}, max {}; 3 x the election timeout is {:.0} to {:.0} ms; {} terms a lost leader",
        millis(outages.p99()),
        millis(outages.worst()),
        least,
        bar,
        digits(toll.terms as f64 / toll.orphans.max(1) as f64)
    ));
    let row = row.bar(format!("p99 < {bar:.0} ms"), outages.p99() < bar);
    report.add(row.number("p50_ms", outages.p50()).number("p99_ms", outages.p99()).number("max_ms", outages.worst()));
    let row = ReportRow::new("restart until healthy and level", millis(restarts.p50()));
    let row = row.detail(format!("p50; p99 {}, max {}", millis(restarts.p99()), millis(restarts.worst())));
    report.add(row.number("p50_ms", restarts.p50()).number("max_ms", restarts.worst()));
}
