//! `quiver shard`: where shards are, and whether their replicas are equal.
//!
//! In: numbers of shards, names of nodes. Out: one request of the API, and a table. Compares hashes, and reads no data
//! itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reqwest::Method;

use super::ask::{Ask, How};
use super::print;
use crate::api::{ClusterSharding, MoveReplica, ShardDetail, TransferLeader};
use crate::cli::exit::Exit;
use crate::cli::target::seconds;
use crate::client::Client;
use crate::output::table::{Table, thousands};

/// Arguments of `quiver shard`.
#[derive(clap::Args)]
pub(crate) struct ShardArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List the shards.
    List(Ask),
    /// Show one shard and the state of each replica.
    Show {
        /// Its number.
        shard: u32,
        #[command(flatten)]
        ask: Ask,
    },
    /// Move a replica from one node to another.
    Move {
        /// The shard's number.
        shard: u32,
        /// The node that holds a replica.
        #[arg(long, value_name = "NODE")]
        from: String,
        /// The node that gets it.
        #[arg(long, value_name = "NODE")]
        to: String,
        #[command(flatten)]
        how: How,
    },
    /// Have another node lead a shard.
    TransferLeader {
        /// The shard's number.
        shard: u32,
        /// The node that takes over.
        #[arg(long, value_name = "NODE")]
        to: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Compare the state hashes of all replicas at one log index. Exit codes: 0 all are equal, 1 some differ, 3 some
    /// could not be compared.
    Verify {
        /// The shard's number [default: all].
        shard: Option<u32>,
        /// Seconds that the replicas of one shard may take to be seen at one index while writes go on.
        #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs(), value_parser = seconds(0))]
        within: u64,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Runs the verb.
pub(crate) async fn run(args: ShardArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::List(ask) => list(ask).await,
        Verb::Show { shard, ask } => {
            let detail: ShardDetail = ask.client()?.get(&format!("/quiver/v1/shards/{shard}")).await?;
            print::one(&detail, ask.output, text)?;
            Ok(Exit::Ok)
        }
        Verb::Move { shard, from, to, how } => {
            let asked = format!("Move a replica of shard {shard} from {from} to {to}?");
            let (client, body) = (how.ask.client()?, MoveReplica { from, to });
            let path = format!("/quiver/v1/shards/{shard}/move");
            match how.consider(&client, (&Method::POST, &path, &body), &asked).await? {
                Some(exit) => Ok(exit),
                None => how.make(&client, (&Method::POST, &path, &body)).await,
            }
        }
        Verb::TransferLeader { shard, to, ask } => {
            let path = format!("/quiver/v1/shards/{shard}/leader");
            let body = TransferLeader { to };
            let change: crate::api::Change = ask.client()?.change(&Method::POST, &path, &body).await?;
            print::change(&change, ask.output)?;
            Ok(Exit::Ok)
        }
        Verb::Verify { shard, within, ask } => verify(shard, Duration::from_secs(within), ask).await,
    }
}

async fn list(ask: Ask) -> anyhow::Result<Exit> {
    let sharding: ClusterSharding = ask.client()?.get("/cluster/sharding").await?;
    print::rows(&sharding.shards, ask.output, |rows| {
        let mut table = Table::new(["shard", "leader", "points", "replicas"]);
        for row in rows {
            let replicas = row.replicas.iter().map(|replica| format!("{} {}", replica.node, replica.state));
            let leader = row.leader.clone().unwrap_or_else(|| "none".to_owned());
            let replicas: Vec<String> = replicas.collect();
            table.row([row.shard.to_string(), leader, thousands(row.vectors), replicas.join(", ")]);
        }
        table
    })?;
    Ok(Exit::Ok)
}

fn text(detail: &ShardDetail) -> String {
    let mut table = Table::new(["replica", "role", "applied", "state index", "state hash"]);
    for replica in &detail.replicas {
        let (applied, index) = (replica.applied.to_string(), replica.state_index.to_string());
        table.row([
            replica.node.clone(),
            format!("{:?}", replica.role).to_lowercase(),
            applied,
            index,
            replica.state_hash.clone(),
        ]);
    }
    // What the map wants and what is confirmed stand beside each other.
    let leader = detail.leader.as_deref().unwrap_or("none");
    let way = if detail.settled { "settled" } else { "on its way" };
    format!(
        "shard {}, {} to {}: {} points\nled by {leader}, meant to be led by {}\nmeant to be on {}, confirmed on {}: {way}\n{}",
        detail.shard,
        detail.range[0],
        detail.range[1],
        thousands(detail.vectors),
        detail.preferred_leader,
        detail.target.join(" "),
        detail.actual.join(" "),
        table.render(0).trim_end(),
    )
}

/// What the comparison of one shard's replicas came to.
#[derive(serde::Serialize)]
struct Verdict {
    shard: u32,
    /// `equal`, `differ`, or `behind` if the replicas were never seen at one index.
    verdict: &'static str,
    /// The log index at which they were compared.
    index: Option<u64>,
    /// By node.
    hashes: BTreeMap<String, String>,
    /// Why they could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How long the replicas of one shard may take to be seen at one index, if the command line does not say.
const PATIENCE: Duration = Duration::from_secs(15);

async fn verify(shard: Option<u32>, within: Duration, ask: Ask) -> anyhow::Result<Exit> {
    let client = ask.client()?;
    let shards = match shard {
        Some(shard) => vec![shard],
        None => client.get::<ClusterSharding>("/cluster/sharding").await?.shards.iter().map(|row| row.shard).collect(),
    };
    // Shards are compared one after the other, since each may need many looks.
    let mut verdicts = Vec::new();
    for shard in shards {
        verdicts.push(verify_one(&client, shard, within).await?);
    }
    print::rows(&verdicts, ask.output, |verdicts| {
        let mut table = Table::new(["shard", "replicas", "index", "hashes, or why there are none"]);
        for verdict in verdicts {
            let index = verdict.index.map_or_else(|| "-".to_owned(), |index| index.to_string());
            let hashes = verdict.hashes.iter().map(|(node, hash)| format!("{node} {hash}"));
            table.row([
                verdict.shard.to_string(),
                verdict.verdict.to_owned(),
                index,
                verdict.reason.clone().unwrap_or_else(|| hashes.collect::<Vec<_>>().join(", ")),
            ]);
        }
        table
    })?;
    // Different hashes are a failure. Replicas that never met at one index prove nothing.
    let all = |word| verdicts.iter().all(|verdict| verdict.verdict == word);
    let differ = verdicts.iter().any(|verdict| verdict.verdict == "differ");
    Ok(if all("equal") {
        Exit::Ok
    } else if differ {
        Exit::Failed
    } else {
        Exit::Degraded
    })
}

/// Looks again and again until all replicas were seen at one index. Two different hashes at one index end it at once.
async fn verify_one(client: &Client, shard: u32, within: Duration) -> anyhow::Result<Verdict> {
    let (start, mut seen) = (Instant::now(), BTreeMap::<u64, BTreeMap<String, String>>::new());
    loop {
        let detail: ShardDetail = client.get(&format!("/quiver/v1/shards/{shard}")).await?;
        for replica in &detail.replicas {
            let at = seen.entry(replica.state_index).or_default();
            at.insert(replica.node.clone(), replica.state_hash.clone());
        }
        // Replicas need not be at one index at the same moment: each look is remembered by its index.
        let whole = |hashes: &BTreeMap<String, String>| detail.target.iter().all(|node| hashes.contains_key(node));
        let differs = |hashes: &BTreeMap<String, String>| hashes.values().collect::<BTreeSet<_>>().len() > 1;
        if let Some((index, hashes)) = seen.iter().find(|(_, hashes)| differs(hashes)) {
            return Ok(Verdict { shard, verdict: "differ", index: Some(*index), hashes: hashes.clone(), reason: None });
        }
        // Equality needs the hash of every replica that the map wants.
        if let Some((index, hashes)) = seen.iter().rev().find(|(_, hashes)| whole(hashes)) {
            return Ok(Verdict { shard, verdict: "equal", index: Some(*index), hashes: hashes.clone(), reason: None });
        }
        if start.elapsed() > within {
            let reason = Some(obstacle(&detail, within));
            return Ok(Verdict { shard, verdict: "behind", index: None, hashes: BTreeMap::new(), reason });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Why the replicas of a shard were not seen at one index within this time.
fn obstacle(detail: &ShardDetail, within: Duration) -> String {
    let answers = |node: &&String| detail.replicas.iter().any(|replica| replica.node == **node);
    let silent: Vec<&str> = detail.target.iter().filter(|node| !answers(node)).map(String::as_str).collect();
    match silent.is_empty() {
        true => format!("not seen at one index within {} s: wait longer with --within", within.as_secs()),
        false => format!("no replica answers on {}: see `quiver cluster health`", silent.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_compared_is_told_with_the_reason() {
        let reason = |answering: &[&str]| {
            let row = |node: &&str| json!({"node": node, "role": "follower", "applied": 1, "state_index": 1, "state_hash": "0"});
            let replicas: Vec<_> = answering.iter().map(row).collect();
            let detail = json!({"shard": 0, "range": ["0", "1"], "leader": null, "preferred_leader": "node1",
                                "target": ["node1", "node2", "node3"], "actual": ["node1", "node2", "node3"],
                                "settled": true, "vectors": 0, "replicas": replicas});
            obstacle(&serde_json::from_value(detail).unwrap(), Duration::from_secs(2))
        };
        assert!(reason(&["node1"]).starts_with("no replica answers on node2, node3"));
        assert!(reason(&["node1", "node2", "node3"]).contains("within 2 s"));
    }
}
