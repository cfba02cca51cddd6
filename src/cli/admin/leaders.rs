//! `quiver node transfer-leaders`: a node that will be stopped first hands over all that it leads.
//!
//! The wish is a label of the node. Who leads is what the replicas say of themselves, not what the map prefers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;

use super::ask::Ask;
use super::print;
use crate::api::{Change, ClusterSharding, ClusterStatus, SetLabels};
use crate::cli::exit::Exit;
use crate::client::path;
use crate::client::{Client, Failure};

/// How long a hand-over may take if the command line does not say.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The label that says whether a node may lead. An empty value removes it.
pub(super) fn allowed(may_lead: bool) -> BTreeMap<String, String> {
    let value = if may_lead { "" } else { "off" };
    BTreeMap::from([("leaders".to_owned(), value.to_owned())])
}

/// Has other nodes lead what `node` leads. `wait` is the longest wait for the end; `None` does not wait.
pub(super) async fn transfer(node: &str, wait: Option<Duration>, ask: &Ask) -> anyhow::Result<Exit> {
    let client = ask.client()?;
    let labels = SetLabels { labels: allowed(false) };
    // The map takes the label at once. The nodes hand over afterwards, each group by its leader.
    let mut change: Change =
        client.change(&Method::PUT, &path(["quiver", "v1", "nodes", node, "labels"])?, &labels).await?;
    match wait {
        Some(patience) => {
            until_none_is_led(&client, node, patience).await?;
            change.state = "leads nothing".to_owned();
            print::change(&change, ask.output)?;
        }
        None => {
            print::change(&change, ask.output)?;
            eprintln!(
                "the hand-over is under way and takes some seconds: `quiver node transfer-leaders {node} --wait` waits for \
                 its end, `quiver shard list` shows who leads"
            );
        }
    }
    Ok(Exit::Ok)
}

/// Waits until other nodes lead all groups. An error that may pass counts as "not yet".
async fn until_none_is_led(client: &Client, node: &str, patience: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + patience;
    loop {
        // During a hand-over a node may not know who leads, so a look that fails is repeated.
        let left = match seen(client).await {
            Ok((sharding, status)) => still_led(node, &sharding, &status),
            Err(failure) if failure.retryable() => vec![failure.to_string()],
            Err(failure) => return Err(failure.into()),
        };
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            anyhow::bail!(
                "{node} may still lead something after {} s: {}; another replica that answers and has caught up must take \
                 over: see `quiver cluster health`, or wait longer with --within",
                patience.as_secs(),
                left.join(", ")
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn seen(client: &Client) -> Result<(ClusterSharding, ClusterStatus), Failure> {
    Ok((client.get("/cluster/sharding").await?, client.get("/cluster/status").await?))
}

/// The groups that the node leads, or may lead because no leader of them is known. Each is a phrase for people.
fn still_led(node: &str, sharding: &ClusterSharding, status: &ClusterStatus) -> Vec<String> {
    let told = |what: String, leader: Option<&str>| match leader {
        Some(leader) if leader == node => Some(format!("it leads {what}")),
        Some(_) => None,
        None => Some(format!("{what} has no leader")),
    };
    let shards = sharding.shards.iter().map(|row| told(format!("shard {}", row.shard), row.leader.as_deref()));
    let map = told("the cluster map".to_owned(), status.meta_leader.as_deref());
    shards.chain([map]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_leads_nothing_once_others_are_known_to_lead_everything() {
        let left = |first: Option<&str>, second: Option<&str>, map: Option<&str>| {
            let row = |shard: u32, leader: Option<&str>| json!({"shard": shard, "range": ["0", "1"], "leader": leader, "replicas": [], "vectors": 0});
            let sharding = json!({"strategy": "", "hash": "", "shard_count": 2, "moves_in_progress": [],
                                  "shards": [row(0, first), row(1, second)]});
            let status = json!({"total_nodes": 3, "healthy_nodes": 3, "total_shards": 2, "total_collections": 0,
                                "total_vectors": 0, "replication_factor": 3, "consistency_level": "quorum",
                                "meta_leader": map, "nodes": []});
            let (sharding, status) =
                (serde_json::from_value(sharding).unwrap(), serde_json::from_value(status).unwrap());
            still_led("node1", &sharding, &status)
        };
        assert!(left(Some("node2"), Some("node3"), Some("node2")).is_empty());
        assert_eq!(left(Some("node1"), Some("node3"), Some("node2")), ["it leads shard 0"]);
        assert_eq!(left(Some("node2"), None, Some("node2")), ["shard 1 has no leader"]);
        assert_eq!(left(Some("node2"), Some("node2"), Some("node1")), ["it leads the cluster map"]);
    }
}
