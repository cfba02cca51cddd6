//! `quiver tour`: shows the main job of the store on real processes and real data.
//!
//! A cluster starts, and the bundled sample is loaded. Searches are answered at three levels with their evidence, and
//! recall is measured against exact answers. Then a leader is killed with SIGKILL, and the same searches are answered
//! again. Everything goes through the HTTP API that any client uses. A claim that does not hold makes the tour fail.

mod failover;
mod sample;
mod searches;

use sample::{Example, examples, points};

use crate::api::{Consistency, Count, Counted};
use crate::client::Client;
use crate::client::load::{Account, Journal, LoadPlan, Reject, create, load};
use crate::dev::{DevCluster, DevPlan, Home, Stop, welcome};
use crate::output::progress::LoadProgress;
use crate::output::table::thousands;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The tour's collection.
const COLLECTION: &str = "wordnet";

/// Arguments of `quiver tour`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TourArgs {
    /// Leave the cluster up at the end, to play with, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Port of the gateway; nodes follow at +1, +2, +3, their peer ports at +101, +102, +103.
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    base_port: u16,
}

const EXAMPLES: &str = "\
Examples:
  quiver tour
  quiver tour --keep
  quiver tour --base-port 9000";

/// Runs the verb.
pub(crate) async fn run(args: TourArgs) -> anyhow::Result<()> {
    let home = Home::new(None)?;
    let mut stop = Stop::listen()?;
    let mut cluster = DevCluster::start(DevPlan::new(3, args.base_port, home.path()))?;
    // Ctrl-C ends the tour at any point; the processes are stopped in any case.
    let outcome = tokio::select! {
        outcome = story(&mut cluster) => outcome,
        () = stop.asked() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_ok() && args.keep {
        println!("{}", welcome(&cluster, &home));
        println!(
            "The sample is in the collection `{COLLECTION}`: quiver search {COLLECTION} --id 7 --url {}",
            cluster.endpoint()
        );
        stop.asked().await;
    }
    // The processes end first, so that none is left behind by a failure.
    cluster.stop().await;
    outcome?;
    println!("\nAll processes stopped, all data removed.");
    Ok(())
}

async fn story(cluster: &mut DevCluster) -> anyhow::Result<()> {
    let started = Instant::now();
    chapter("A cluster: three nodes and a gateway, four processes of this binary");
    cluster.serving(Duration::from_secs(60)).await?;
    for (name, url, pid, _) in cluster.members() {
        println!("  {name:<8} {url}  pid {pid}");
    }
    println!(
        "  Serving after {:.1} s: 8 shards, each a Raft group with a copy on every node.",
        started.elapsed().as_secs_f64()
    );

    let client = Arc::new(Client::new(&[cluster.endpoint().to_owned()])?);
    chapter("5,000 dictionary entries, as real sentence embeddings");
    ingest(&client).await?;

    let examples = examples()?;
    chapter("Search by meaning, at ONE, QUORUM and ALL");
    searches::show(&client, &examples).await?;

    chapter("Recall: all 100 bundled queries against their exact answers");
    // Asked before the kill: the same questions are compared after it.
    let before = searches::ask_all(&client, &examples).await?;
    searches::judge(&examples, &before)?;

    chapter("A murder");
    failover::commit(cluster, &client, &examples, &before).await
}

/// Loads the sample, and counts whether all of it has arrived.
async fn ingest(client: &Arc<Client>) -> anyhow::Result<()> {
    let (rows, expected, columns) = points(0)?;
    create(client, COLLECTION, Some(columns), None, Duration::from_secs(30)).await?;
    let plan = LoadPlan {
        collection: COLLECTION.into(),
        batch: 100,
        clients: 4,
        consistency: Some(Consistency::Quorum),
        patience: Duration::from_secs(30),
        max_rejects: 0,
    };
    let mut bar = Bar(LoadProgress::start("  ingest"));
    let started = Instant::now();
    let account = load(client.clone(), plan, rows, &mut bar).await?;
    let elapsed = started.elapsed().as_secs_f64();
    bar.0.finish();
    let count = Count { collection: COLLECTION.into(), ..Count::default() };
    // The acknowledgements are not believed: the store counts its points.
    let counted: Counted = client.ask("/quiver/v1/count", &count).await?;
    anyhow::ensure!(counted.count == expected, "{} points are stored, {expected} were acknowledged", counted.count);
    let rate = thousands((account.points as f64 / elapsed) as u64);
    println!("  {} points in {elapsed:.1} s ({rate}/s), each batch synced to disk", thousands(account.points));
    println!("  by a majority of its shard's replicas before it was acknowledged.");
    Ok(())
}

/// Shows the progress. A single reject ends the tour, because `max_rejects` is 0.
struct Bar(LoadProgress);

impl Journal for Bar {
    fn update(&mut self, account: &Account, rejects: &[Reject]) -> anyhow::Result<()> {
        for reject in rejects {
            self.0.note(&format!("rejected row {}: {}", reject.row, reject.reason));
        }
        self.0.show(account.points, account.fraction);
        Ok(())
    }
}

/// Prints a heading. It is bold on a terminal, unless `NO_COLOR` is set.
fn chapter(title: &str) {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        println!("\n\x1b[1m{title}\x1b[0m");
    } else {
        println!("\n{title}");
    }
}
