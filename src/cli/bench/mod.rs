//! `quiver bench`: what a cluster of three durable nodes does on this machine, beside what its disk and memory can do.
//!
//! Nodes are processes of this binary on temporary directories and free ports; clients are here, so all share the
//! machine's cores, and every figure says so by what it cost the servers in CPU time. One table, one JSON file.

mod corpus;
mod disk;
mod failover;
mod fleet;
mod reads;
mod report;
mod scan;
mod strain;
mod writes;

use super::dev::{Cluster, Home, Plan, Stop};
use super::exit::Exit;
use super::table::thousands;
use anyhow::Context;
use corpus::Corpus;
use fleet::Fleet;
use report::{Report, Row};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// The bench's collection.
const COLLECTION: &str = "bench";
/// Nodes, and copies of each shard.
const NODES: usize = 3;

/// Arguments of `quiver bench`.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    /// Directory with wordnet-100k.f16.npy and queries-1k.f16.npy [default: the bundled 5,000 vectors, repeated].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep the nodes' data here, on the disk to be measured [default: a temporary directory].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Points to load.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    points: u64,
    /// Length of each timed measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Leaders to kill.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
}

/// Runs the verb.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<Exit> {
    let home = Home::new(args.data_dir.clone())?;
    let mut stop = Stop::listen()?;
    let corpus = Corpus::open(args.data.as_deref(), args.points)?;
    let mut report = Report::new(corpus.label());
    if cfg!(debug_assertions) {
        report.warn("this is a debug build: run it with --release");
    }
    let disk = disk::measure(home.path(), Duration::from_secs(args.seconds.min(3)))?;
    report.add(
        Row::new("disk: append 512 B + fdatasync", disk.per_second, "syncs/s")
            .note(&format!("p50 {:.2} ms", disk.p50_ms)),
    );
    let mut plan = Plan::new(0, 0, home.path());
    (plan.gateway_port, plan.node_ports) = (None, free_ports()?);
    let mut cluster = Cluster::start(plan)?;
    let outcome = tokio::select! {
        outcome = measure(&mut cluster, &args, &corpus, disk.per_second, &mut report) => outcome,
        () = stop.asked() => Err(anyhow::anyhow!("interrupted")),
    };
    cluster.stop().await;
    outcome?;
    // With the cluster gone: memory bandwidth is shared by all that runs.
    scan::measure(&corpus, &mut report)?;
    print!("{}", report.render());
    if let Some(path) = &args.out {
        std::fs::write(path, report.to_json()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Ok)
}

async fn measure(
    cluster: &mut Cluster,
    args: &BenchArgs,
    corpus: &Corpus,
    syncs_per_second: f64,
    report: &mut Report,
) -> anyhow::Result<()> {
    cluster.serving(Duration::from_secs(60)).await?;
    let length = Duration::from_secs(args.seconds);
    let fleet = Fleet::of(cluster)?;
    let elections = fleet.terms().await?;
    writes::ingest(&fleet, corpus, report).await?;
    fleet.weigh(args.data_dir.is_some(), corpus.points(), report)?;
    writes::single(&fleet, corpus, length, syncs_per_second, report).await?;
    reads::measure(&fleet, corpus, length, report).await?;
    let elections = fleet.terms().await? - elections;
    report.add(Row::new("elections during all of the above", elections as f64, "").note("0 is what it should be"));
    failover::measure(cluster, corpus, args.rounds, report).await
}

/// Free ports for the nodes: all are held at once, so that they differ, and then released.
fn free_ports() -> anyhow::Result<Vec<(u16, u16)>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..NODES * 2).map(bind).collect::<Result<Vec<_>, _>>().context("no free ports")?;
    let ports = held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(ports.as_chunks().0.iter().map(|[http, peer]| (*http, *peer)).collect())
}

/// Says on stderr what is being measured.
fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// A count for a sentence.
fn count(points: u64) -> String {
    thousands(points)
}
