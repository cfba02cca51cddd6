//! The last part of the tour: a leader is killed with SIGKILL, the same searches are answered again, and the killed
//! node comes back.
//!
//! In: the running cluster, and the answers from before. Out: lines on stdout, or an error where a claim does not hold.

use super::Example;
use super::searches::{ask, ask_all, ids};
use crate::api::{ClusterSharding, Consistency, Searched};
use crate::client::{Client, Failure};
use crate::dev::DevCluster;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// Longest wait for the cluster to answer again, and for the killed node to catch up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two attempts.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Kills the leader of shard 0. Fails unless the searches `before` have the same answers afterwards.
pub(super) async fn commit(
    cluster: &mut DevCluster,
    client: &Client,
    examples: &[Example],
    before: &[Searched],
) -> anyhow::Result<()> {
    let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
    // Any leader would do; the leader of shard 0 usually leads other shards, too.
    let victim = sharding.shards[0].leader.clone().context("shard 0 has no leader to kill")?;
    let led: Vec<String> =
        sharding.shards.iter().filter(|s| s.leader.as_ref() == Some(&victim)).map(|s| s.shard.to_string()).collect();
    println!("  {victim} leads shard {}. It is killed with -9 now: no goodbye, no flush.", led.join(", "));
    cluster.kill(&victim)?;
    let died = Instant::now();
    let refusals = wait_for_answer(client, &examples[0], died).await?;
    let outage = died.elapsed();
    if refusals > 0 {
        println!(
            "  The survivors missed its heartbeats, held elections and took over. In between, {refusals} of our searches were"
        );
        println!("  refused with a clear error; none was answered wrongly.");
    } else {
        println!(
            "  The survivors missed its heartbeats, held elections and took over. The gateway held our search meanwhile and"
        );
        println!("  asked the new leaders as soon as there were any.");
    }
    println!("  {:.2} s after the kill the same search at QUORUM is answered again.", outage.as_secs_f64());

    // The survivors hold everything that was acknowledged, so every answer must be the same.
    let after = ask_all(client, examples).await?;
    let same = before.iter().zip(&after).filter(|(before, after)| ids(before) == ids(after)).count();
    println!("  All 100 queries asked again: {same} of {} answers are identical.", before.len());
    ensure!(same == before.len(), "{} answers changed with the leader", before.len() - same);
    show_successor(client, &victim).await?;
    resurrect(cluster, client, &victim).await
}

/// Asks until there is an answer. Returns how many attempts failed.
async fn wait_for_answer(client: &Client, example: &Example, since: Instant) -> anyhow::Result<u32> {
    let (mut refusals, mut last_said) = (0, String::new());
    loop {
        let failure: Failure = match ask(client, example, Consistency::Quorum).await {
            Ok(_) => return Ok(refusals),
            Err(failure) => failure,
        };
        refusals += 1;
        let said = match &failure {
            Failure::Refused { http, status } => format!("HTTP {http} {}", status.code),
            other => other.to_string(),
        };
        // Equal refusals are told once.
        if said != last_said {
            println!("    {:5.2} s  {said}", since.elapsed().as_secs_f64());
            last_said = said;
        }
        ensure!(since.elapsed() < PATIENCE, "no answer {} s after the kill: {failure}", PATIENCE.as_secs());
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn show_successor(client: &Client, victim: &str) -> anyhow::Result<()> {
    let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
    let leader = sharding.shards[0].leader.clone().unwrap_or_else(|| "nobody yet".into());
    ensure!(leader != victim, "shard 0 still names the dead node as its leader");
    println!("  Shard 0 is led by {leader} now. Two of three nodes are enough for every read and write.");
    Ok(())
}

/// Starts the killed node again, and waits until none of its replicas lacks anything.
async fn resurrect(cluster: &mut DevCluster, client: &Client, victim: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    cluster.restart(victim)?;
    cluster.node_serving(victim, PATIENCE).await?;
    loop {
        let sharding: ClusterSharding = client.get("/cluster/sharding").await?;
        let mut replicas = sharding.shards.iter().flat_map(|shard| &shard.replicas);
        // It has caught up once none of its replicas lacks an entry.
        if replicas.all(|replica| replica.node != victim || replica.lag == Some(0)) {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "{victim} has not caught up after {} s", PATIENCE.as_secs());
        tokio::time::sleep(ASK_EVERY).await;
    }
    println!(
        "  {victim} was started again on its data and has caught up, {:.1} s later.",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
