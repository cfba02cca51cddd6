//! `quiver cluster`: how the whole cluster is, and where everything lies.
//!
//! In: flags, and what the API says of the cluster. Out: a table or JSON, and an exit code. Decides nothing about
//! nodes.

use std::collections::BTreeMap;

use reqwest::Method;

use super::ask::{Ask, How, nothing};
use super::print;
use crate::api::{ClusterHealth, ClusterSharding, HealthState, Members, SetTimings, Timings};
use crate::cli::exit::Exit;
use crate::cli::status::{self, StatusArgs};
use crate::output::table::Table;

/// Arguments of `quiver cluster`.
#[derive(clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show nodes, shards and leaders.
    Status(StatusArgs),
    /// Show what is wrong and what to do about it. Exit codes: 0 healthy, 3 degraded, 7 unavailable.
    Health(Ask),
    /// Show which node holds and leads what, by zone.
    Topology(Ask),
    /// Spread replicas and leaders evenly. The cluster does so by itself; this shows the plan, or waits for the end.
    Rebalance(How),
    /// Show the timings of consensus, or change those that are given. A node takes new timings on at its next start.
    Timings(TimingsArgs),
    /// Last resort after a majority is lost for good: let a stopped node's replicas go on alone. Data may be lost.
    #[command(after_help = super::recover::RUNBOOK)]
    UnsafeRecover(super::recover::RecoverArgs),
}

#[derive(clap::Args)]
struct TimingsArgs {
    /// How often an idle leader proves that it is alive, in milliseconds.
    #[arg(long, value_name = "MS")]
    heartbeat_ms: Option<u64>,
    /// Shortest silence after which a follower stands for election, in milliseconds.
    #[arg(long, value_name = "MS")]
    election_min_ms: Option<u64>,
    /// Longest such silence, in milliseconds.
    #[arg(long, value_name = "MS")]
    election_max_ms: Option<u64>,
    #[command(flatten)]
    ask: Ask,
}

/// Runs the verb.
pub(crate) async fn run(args: ClusterArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Status(args) => status::run(args).await,
        Verb::Health(ask) => health(ask).await,
        Verb::Topology(ask) => topology(ask).await,
        Verb::Timings(args) => timings(args).await,
        Verb::UnsafeRecover(args) => super::recover::run(args).await,
        Verb::Rebalance(how) => {
            let (client, body) = (how.ask.client()?, nothing());
            let request = (&Method::POST, "/quiver/v1/rebalance", &body);
            match how.consider(&client, request, "Rebalance?").await? {
                Some(exit) => Ok(exit),
                None => how.make(&client, request).await,
            }
        }
    }
}

async fn timings(args: TimingsArgs) -> anyhow::Result<Exit> {
    const PATH: &str = "/quiver/v1/timings";
    let TimingsArgs { heartbeat_ms, election_min_ms, election_max_ms, ask } = args;
    let change = SetTimings { heartbeat_ms, election_min_ms, election_max_ms };
    // Without a flag the timings are only shown.
    let (client, shows) = (ask.client()?, change == SetTimings::default());
    let timings: Timings = match shows {
        true => client.get(PATH).await?,
        false => client.change(&Method::PUT, PATH, &change).await?,
    };
    print::one(&timings, ask.output, |timings| {
        let Timings { heartbeat_ms, election_min_ms, election_max_ms } = timings;
        let then = if shows { "" } else { "\nrestart the nodes one by one, so that they take them on" };
        format!("heartbeat {heartbeat_ms} ms, elections after {election_min_ms} to {election_max_ms} ms{then}")
    })?;
    Ok(Exit::Ok)
}

async fn health(ask: Ask) -> anyhow::Result<Exit> {
    let client = ask.client()?;
    // URLs of two clusters would show the health of one of them and hide the other.
    client.check_agreement().await?;
    let health: ClusterHealth = client.page("/cluster/health").await?;
    print::one(&health, ask.output, |health| {
        let counts = health.groups;
        let mut text = format!(
            "{}: {} of {} groups have a leader, {} lack a replica; nodes that may fail: {}",
            health.status, counts.with_leader, counts.total, counts.under_replicated, health.can_lose_nodes
        );
        for issue in &health.issues {
            text += &format!("\n{}: {}; {}", issue.severity, issue.message, issue.fix);
        }
        text
    })?;
    // Monitoring reads the exit code alone.
    Ok(match health.status {
        HealthState::Healthy => Exit::Ok,
        HealthState::Unavailable | HealthState::Starting => Exit::Unavailable,
        HealthState::Degraded | HealthState::Draining => Exit::Degraded,
    })
}

#[derive(serde::Serialize)]
struct Row {
    zone: String,
    node: String,
    state: String,
    status: HealthState,
    /// The numbers of the shards that the node holds. Those that it leads have a star.
    shards: Vec<String>,
}

async fn topology(ask: Ask) -> anyhow::Result<Exit> {
    let client = ask.client()?;
    let members: Members = client.get("/cluster/nodes").await?;
    let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
    // Shards by node, out of what each shard says of its replicas.
    let mut held: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &sharding.shards {
        for replica in &row.replicas {
            let star = if row.leader.as_ref() == Some(&replica.node) { "*" } else { "" };
            held.entry(&replica.node).or_default().push(format!("{}{star}", row.shard));
        }
    }
    let mut rows: Vec<Row> = members
        .nodes
        .iter()
        .map(|node| Row {
            zone: node.labels.get("zone").cloned().unwrap_or_else(|| "-".to_owned()),
            node: node.id.clone(),
            state: node.state.clone(),
            status: node.status,
            shards: held.get(node.id.as_str()).cloned().unwrap_or_default(),
        })
        .collect();
    // Nodes of one zone stand together, since they may fail together.
    rows.sort_by(|a, b| (&a.zone, &a.node).cmp(&(&b.zone, &b.node)));
    print::rows(&rows, ask.output, |rows| {
        let mut table = Table::new(["zone", "node", "state", "status", "shards (* leads)"]);
        for row in rows {
            let (zone, node, state) = (row.zone.clone(), row.node.clone(), row.state.clone());
            table.row([zone, node, state, row.status.to_string(), row.shards.join(" ")]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
