//! `quiver status`: nodes, shards and leaders as the cluster sees them, and an exit code that monitoring can use.
//!
//! In: three answers of the API, taken one after the other. Out: tables or JSON. The exit code says healthy, degraded
//! or unavailable.

use super::admin::print::{self, Format};
use super::exit::Exit;
use super::target::Target;
use crate::api::{ClusterHealth, ClusterSharding, ClusterStatus, HealthState};
use crate::output::stdout;
use crate::output::table::{Table, thousands};
use serde_json::json;

/// Arguments of `quiver status`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// How to print the answer.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  quiver status
  quiver status --url http://127.0.0.1:8002 -o json

Exit codes: 0 healthy, 3 degraded, 7 unavailable or no answer.";

/// Runs the verb.
pub(crate) async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let client = args.target.client()?;
    // URLs of two clusters would show the status of one of them and hide the other.
    client.check_agreement().await?;
    let status: ClusterStatus = client.get("/cluster/status").await?;
    let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
    let verdict = verdict(&status, &sharding);
    if args.output != Format::Table {
        let both = json!({ "status": verdict, "cluster": status, "sharding": sharding });
        print::one(&both, args.output, ToString::to_string)?;
    } else {
        stdout::print(render(&status, &sharding, verdict))?;
        // The cluster itself says what is wrong and what to do. If it is unavailable it answers with an error, and the
        // tables above show why.
        if let Ok(health) = client.get::<ClusterHealth>("/cluster/health").await {
            for issue in health.issues {
                stdout::line(format!("{}: {}; {}", issue.severity, issue.message, issue.fix))?;
            }
        }
    }
    Ok(match verdict {
        HealthState::Healthy => Exit::Ok,
        HealthState::Unavailable => Exit::Unavailable,
        _ => Exit::Degraded,
    })
}

/// Unavailable if some shard has no leader, and else degraded if some node is not healthy.
fn verdict(status: &ClusterStatus, sharding: &ClusterSharding) -> HealthState {
    if sharding.shards.iter().any(|shard| shard.leader.is_none()) {
        HealthState::Unavailable
    } else if status.healthy_nodes < status.total_nodes {
        HealthState::Degraded
    } else {
        HealthState::Healthy
    }
}

/// The cluster on one screen.
pub(crate) fn render(status: &ClusterStatus, sharding: &ClusterSharding, verdict: HealthState) -> String {
    let mut nodes = Table::new(["node", "address", "status", "leads", "points held"]);
    for node in &status.nodes {
        // Leaders are counted from the shards, so both tables agree.
        let leads = sharding.shards.iter().filter(|shard| shard.leader.as_ref() == Some(&node.id)).count();
        let address = format!("{}:{}", node.host, node.port);
        nodes.row([node.id.clone(), address, node.status.to_string(), leads.to_string(), thousands(node.vector_count)]);
    }
    let mut shards = Table::new(["shard", "leader", "points", "replicas"]);
    for shard in &sharding.shards {
        let replicas: Vec<String> =
            shard.replicas.iter().map(|replica| format!("{} {}", replica.node, behind(replica.lag))).collect();
        let leader = shard.leader.clone().unwrap_or_else(|| "none".into());
        shards.row([shard.shard.to_string(), leader, thousands(shard.vectors), replicas.join(", ")]);
    }
    format!(
        "{verdict}: {} of {} nodes, {} shards × {}, {} collections, {} points\n\n{}\n{}",
        status.healthy_nodes,
        status.total_nodes,
        status.total_shards,
        status.replication_factor,
        status.total_collections,
        thousands(status.total_vectors),
        nodes.render(0),
        shards.render(0),
    )
}

/// How many log entries a replica lacks, in words; `?` where it is not known.
fn behind(lag: Option<u64>) -> String {
    lag.map_or_else(
        || "(?)".into(),
        |lag| {
            if lag == 0 { "(current)".into() } else { format!("(-{})", thousands(lag)) }
        },
    )
}
