//! `scripts/bench`: the speed of the store in figures, beside what the machine itself can do.
//!
//! In: three durable nodes of the `quiver` binary beside this one, with every shard on each; vectors of a directory or
//! the sample in `tests/data`. Out: one table, and the same as JSON. No process is left behind; after a failed run the
//! nodes' logs stay. Everything goes through the HTTP API, except the measures of the index alone and the engine alone.
//! Clients and servers share the machine, so the figures are those of a whole cluster on it.

mod cluster;
mod data;
mod measures;
mod report;

use anyhow::Context;
use clap::Parser;
use cluster::{BenchCluster, NODES, elections, process_stats};
use data::corpus::Corpus;
use measures::writes::Ingest;
use measures::{engine_scan, events, failover, fourth_node, idle, index, reads, rejoin, restart, searches, writes};
use quiver::dev::Stop;
use report::{Report, ReportRow, chart};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Benchmark this machine: three durable nodes, writes, reads, exact search, failover, as one table.
#[derive(Parser)]
#[command(name = "scripts/bench", bin_name = "scripts/bench", version, after_help = EXAMPLES)]
struct BenchArgs {
    /// Vectors, labels, queries and exact answers (wordnet-100k.f16.npy and .tsv.gz, queries-1k.f16.npy, groundtruth-1k.npy and those of the filters) [default: the bundled sample, repeated].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the figures as JSON here.
    #[arg(long, value_name = "FILE.json", default_value = "quiver-bench.json")]
    out: PathBuf,
    /// Draw recall against speed of the index alone, as SVG, here.
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// Keep the nodes' data under this directory while it runs: the disk that is measured [default: the system's temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A short run, to see that all of it works: fewer points, shorter loads, three kills.
    #[arg(long)]
    quick: bool,
    /// Leaders to kill; 0 leaves the failover out [default: 10, with --quick 3].
    #[arg(long, value_name = "N")]
    kills: Option<usize>,
    /// Measure only these parts [default: all].
    #[arg(long, value_delimiter = ',', value_name = "PART,…")]
    only: Vec<BenchPart>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BenchPart {
    /// The index and the engine, in this process.
    Index,
    /// Ingest, reads, searches and single writes on three nodes.
    Serving,
    /// Restart of a node, and the return of one that missed writes.
    Restarts,
    /// Leaders killed.
    Failover,
    /// A fourth node that is filled under load.
    Moving,
    /// Single writes while somebody listens to the nodes' events, and while nobody does.
    Events,
    /// Clusters that do nothing.
    Idle,
}

/// The parts that share one cluster, and those of them that need points on it.
const STAGED: [BenchPart; 5] =
    [BenchPart::Serving, BenchPart::Events, BenchPart::Restarts, BenchPart::Failover, BenchPart::Moving];
const POINTED: [BenchPart; 3] = [BenchPart::Restarts, BenchPart::Failover, BenchPart::Moving];

const EXAMPLES: &str = "\
Examples:
  scripts/bench --quick
  scripts/bench --data ./wordnet --out bench.json --chart bench.svg
  scripts/bench --dir /mnt/disk-to-measure
  scripts/bench --data ./wordnet --only moving,failover

Measure a release build on a machine that does nothing else. Exit code 1: it did not run to its end.";

/// How large a run is.
struct Scale {
    /// `true` if the run has the size for which the bars were set.
    is_full: bool,
    /// Points of the first ingest. Two more ingests together load as many again.
    ingest: u64,
    /// Points of the index alone, if the data has so many different ones.
    index: u64,
    /// Duration of each load that is not bounded by its operations.
    load: Duration,
    /// Duration of each measure of the disk.
    disk: Duration,
    /// Rounds of the engine's scan.
    scans: u64,
    /// How long a killed node misses writes.
    missed: Duration,
    /// Leaders that are killed.
    kills: usize,
}

impl BenchArgs {
    fn wants(&self, part: BenchPart) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn scale(&self) -> Scale {
        let is_full = self.data.is_some() && !self.quick;
        let (load, disk, missed, scans, kills) = if self.quick { (1, 1, 3, 10, 3) } else { (4, 3, 10, 50, 10) };
        let (ingest, index) = if is_full { (50_000, 100_000) } else { (10_000, 20_000) };
        let [load, disk, missed] = [load, disk, missed].map(Duration::from_secs);
        Scale { is_full, ingest, index, load, disk, scans, missed, kills: self.kills.unwrap_or(kills) }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(BenchArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and writes the report. The report is written even if the run fails.
async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let home = tempfile::Builder::new().prefix("quiver-bench-").tempdir_in(&parent);
    let home = home.with_context(|| format!("cannot make a directory in {}", parent.display()))?;
    let started = Instant::now();
    let mut report = Report::default();
    // Ctrl-C ends the run, and what was measured by then is reported.
    let outcome = tokio::select! {
        outcome = measured(&mut report, &args, home.path()) => outcome,
        () = stop.asked() => Err(anyhow::anyhow!("interrupted")),
    };
    // The JSON also says on what kind of run the figures rest.
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "release_build": !cfg!(debug_assertions),
        "quick": args.quick,
        "data": args.data,
        "nodes": NODES,
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "seconds": started.elapsed().as_secs_f64(),
        "error": outcome.as_ref().err().map(|error| format!("{error:#}")),
    });
    let text = serde_json::to_string_pretty(&report.json(about)).context("the report is plain JSON")?;
    std::fs::write(&args.out, text + "\n").with_context(|| format!("cannot write {}", args.out.display()))?;
    let (met, bars) = report.bars();
    println!("{}", report.render());
    println!(
        "{met} of {bars} bars met, in {:.0} s; as JSON in {}",
        started.elapsed().as_secs_f64(),
        args.out.display()
    );
    outcome
}

/// Takes all measures in order. Those that need a quiet machine are first, those that disturb the cluster last.
async fn measured(report: &mut Report, args: &BenchArgs, home: &Path) -> anyhow::Result<()> {
    let scale = args.scale();
    let corpus = Arc::new(args.data.as_deref().map_or_else(Corpus::sample, Corpus::read)?);
    report.add(setting(&corpus, &scale));
    if args.wants(BenchPart::Index) {
        step("the index, alone");
        index_alone(report, args, &corpus, &scale).await?;
        step("the engine, alone");
        engine_scan::add(report, scanned(&corpus, &scale).await?);
    }
    if STAGED.into_iter().any(|part| args.wants(part)) {
        step("three nodes");
        let mut cluster = BenchCluster::start(home, corpus.columns).await?;
        let outcome = on_cluster(report, &mut cluster, args, &corpus, home).await;
        // If a node ended by itself, that explains the failure better than the request that failed.
        cluster.all_alive().and(outcome)?;
        cluster.stop().await?;
    }
    if !args.wants(BenchPart::Idle) {
        return Ok(());
    }
    step("idle clusters");
    let shards: &[u32] = if args.quick { &[8, 64] } else { &[8, 64, 512] };
    idle::measure(report, home, shards, scale.load * 3).await
}

async fn on_cluster(
    report: &mut Report,
    cluster: &mut BenchCluster,
    args: &BenchArgs,
    corpus: &Arc<Corpus>,
    home: &Path,
) -> anyhow::Result<()> {
    let scale = args.scale();
    let (points, is_full) = (2 * scale.ingest, scale.is_full);
    if args.wants(BenchPart::Serving) {
        serving(report, cluster, corpus, &scale, home).await?;
    } else if POINTED.into_iter().any(|part| args.wants(part)) {
        step("ingest");
        writes::ingest(report, cluster, corpus, 0..points, Ingest { clients: 8, compact: true, is_full }).await?;
    }
    if args.wants(BenchPart::Events) {
        step("events");
        events::measure(report, cluster, corpus, scale.load).await?;
    }
    if args.wants(BenchPart::Restarts) {
        step("restarts");
        restart::measure(report, cluster, corpus, (points, is_full)).await?;
        rejoin::measure(report, cluster, corpus, (scale.missed, is_full)).await?;
    }
    // Without kills there is no row, because a bar over nothing would count as met.
    if args.wants(BenchPart::Failover) && scale.kills > 0 {
        step("failover");
        failover::measure(report, cluster, corpus, scale.kills).await?;
    }
    if args.wants(BenchPart::Moving) {
        cluster.healthy().await?;
        step("a fourth node");
        fourth_node::measure(report, cluster, corpus.clone(), points, scale.load).await?;
    }
    Ok(())
}

/// Measures ingest, searches, reads and single writes, in the order in which points are added.
async fn serving(
    report: &mut Report,
    cluster: &mut BenchCluster,
    corpus: &Arc<Corpus>,
    scale: &Scale,
    home: &Path,
) -> anyhow::Result<()> {
    step("the disk, alone");
    let syncs = writes::disk(report, "before", home, scale.disk)?;
    let (terms, points, is_full) = (cluster.terms().await?, 2 * scale.ingest, scale.is_full);
    step("ingest");
    let (half, json) = (scale.ingest, Ingest { clients: 1, compact: false, is_full });
    writes::ingest(report, cluster, corpus, 0..half, json).await?;
    // The bars of searches by the index were set for the first half of the points.
    step("searches by the index");
    searches::ladder(report, cluster, corpus, (half, is_full), scale.load).await?;
    step("ingest of the other half");
    let (rest, json) = (half + half / 2, Ingest { clients: 8, ..json });
    writes::ingest(report, cluster, corpus, half..rest, json).await?;
    writes::ingest(report, cluster, corpus, rest..points, Ingest { compact: true, ..json }).await?;
    writes::footprint(report, cluster, points, corpus.columns).await?;
    step("reads");
    reads::levels(report, cluster, corpus, points, scale.load).await?;
    reads::recall(report, cluster, corpus, points).await?;
    searches::filtered(report, cluster, corpus, points, scale.load).await?;
    step("single writes");
    // The disk is measured again, since its speed may change. The better figure is the stricter bar.
    let again = writes::disk(report, "between", home, scale.disk)?;
    let syncs = if again.rate > syncs.rate { again } else { syncs };
    writes::single(report, cluster, corpus, syncs, scale.load).await?;
    memory(report, cluster)?;
    // Under load nobody may lose a leader.
    let held = elections(&terms, &cluster.terms().await?);
    let row = ReportRow::new("elections during all that", held.to_string()).detail("terms passed, over all shards");
    report.add(row.bar("0", held == 0).number("elections", held as f64));
    Ok(())
}

/// A row that says what is measured.
fn setting(corpus: &Corpus, scale: &Scale) -> ReportRow {
    let build = if cfg!(debug_assertions) { "a debug build: no real figures" } else { "release build" };
    let points = format!("{} points", 2 * scale.ingest);
    ReportRow::new(format!("{NODES} nodes, each shard on all, durable"), points)
        .detail(format!("{build}; {}", corpus.name))
}

/// Measures the index, and draws the chart if it is asked for.
async fn index_alone(report: &mut Report, args: &BenchArgs, corpus: &Arc<Corpus>, scale: &Scale) -> anyhow::Result<()> {
    let (points, time, of) = (scale.index.min(corpus.rows()), scale.load / 4, corpus.clone());
    let (rows, curve) = tokio::task::spawn_blocking(move || index::measure(&of, points, time)).await??;
    rows.into_iter().for_each(|row| report.add(row));
    let Some(path) = &args.chart else { return Ok(()) };
    let svg = chart::draw(&curve, &format!("{points} x {}", corpus.columns));
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

async fn scanned(corpus: &Arc<Corpus>, scale: &Scale) -> anyhow::Result<Vec<ReportRow>> {
    let (corpus, points, rounds) = (corpus.clone(), 2 * scale.ingest, scale.scans);
    tokio::task::spawn_blocking(move || engine_scan::measure(&corpus, points, rounds)).await?
}

/// Adds a row with the resident memory of each node.
fn memory(report: &mut Report, cluster: &BenchCluster) -> anyhow::Result<()> {
    let mut row = ReportRow::new("memory of a node, resident", "");
    let (mut now, mut most) = (Vec::new(), Vec::new());
    for node in cluster.nodes() {
        let (resident, peak) = process_stats::resident_bytes(node.pid)?;
        row = row.number(&format!("{}_bytes", node.name), resident as f64);
        now.push(format!("{}", resident >> 20));
        most.push(format!("{}", peak >> 20));
    }
    report.add(row.figure(format!("{} MiB", now.join(" / "))).detail(format!("at most {} MiB", most.join(" / "))));
    Ok(())
}

fn step(what: &str) {
    eprintln!("bench: {what}");
}
