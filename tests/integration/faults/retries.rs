//! Writes that are asked for again: once applied, the same answer; and of concurrent compare-and-sets exactly one wins.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::{AnswerClass, ApiClient};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::{request_id, seed};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::support::{PATIENCE, leaders, options, place, rounds, same_state};

fn point(id: u64, tag: u64) -> Value {
    json!({"id": id, "vector": [1, 2, 3, tag], "payload": {"tag": tag}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_write_applies_once_and_a_guarded_one_wins_once() -> Result<()> {
    let _place = place().await;
    let seed = seed("retries");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = TestCluster::start(options("retries").args(&["--shards", "4"])).await?;
    cluster.client(0).create_collection("r", 4, "euclid").await.ok()?;

    same_request_twice(&cluster.clients(), &request_id(&mut rng)).await?;
    other_content(&cluster.client(0), &request_id(&mut rng)).await?;
    deletes(&cluster.client(1), &request_id(&mut rng)).await?;
    for round in 0..rounds(8) {
        one_winner(&cluster.clients(), 500 + round).await?;
    }

    // The memory of requests is replicated: it outlives the leaders that took them.
    let request = request_id(&mut rng);
    let more = json!({"request_id": request});
    let batch: Vec<_> = (700..716).map(|id| point(id, 1)).collect();
    let first = cluster.client(0).upsert("r", batch.clone(), more.clone()).await.ok()?;
    let newer = cluster.client(1).upsert("r", vec![point(700, 2)], json!({})).await.ok()?;
    let victim = leaders(&cluster, 4).await?[&0];
    cluster.kill(victim);
    let again = eventually(&cluster.client((victim + 1) % 3), batch, &more).await?;
    ensure!(again["results"] == first["results"], "another answer after the failover: {again} instead of {first}");
    let kept = cluster.client((victim + 1) % 3).point("r", "700", "?consistency=all").await.ok()?;
    ensure!(
        kept["version"] == newer["results"][0]["version"] && kept["payload"]["tag"] == 2,
        "the retry undid a newer write: {kept}"
    );
    cluster.restart(victim)?;
    cluster.wait_healthy().await?;
    same_state(&cluster).await?;
    cluster.finish()
}

async fn same_request_twice(clients: &[ApiClient], request: &str) -> Result<()> {
    let more = json!({"request_id": request});
    let batch: Vec<_> = (1..9).map(|id| point(id, 1)).collect();
    let first = clients[0].upsert("r", batch.clone(), more.clone()).await.ok()?;
    for client in clients {
        let again = client.upsert("r", batch.clone(), more.clone()).await.ok()?;
        ensure!(
            again["results"] == first["results"] && again["upserted"] == first["upserted"],
            "{again} instead of {first}"
        );
    }
    let shown = clients[1].point("r", "1", "?consistency=all").await.ok()?;
    ensure!(shown["version"] == first["results"][0]["version"], "applied again: {shown} after {first}");
    Ok(())
}

async fn other_content(client: &ApiClient, request: &str) -> Result<()> {
    let more = json!({"request_id": request});
    client.upsert("r", vec![point(20, 1)], more.clone()).await.ok()?;
    let other = client.upsert("r", vec![point(20, 2)], more).await;
    ensure!(matches!(other.status, Some(400 | 409 | 422)) && other.class == AnswerClass::Fail, "{other:?}");
    ensure!(client.point("r", "20", "?consistency=all").await.ok()?["payload"]["tag"] == 1, "refused and yet applied");
    Ok(())
}

async fn deletes(client: &ApiClient, request: &str) -> Result<()> {
    let more = json!({"request_id": request});
    client.upsert("r", vec![point(30, 1)], json!({})).await.ok()?;
    let first = client.delete("r", vec![json!(30)], more.clone()).await.ok()?;
    client.upsert("r", vec![point(30, 2)], json!({})).await.ok()?;
    let again = client.delete("r", vec![json!(30)], more).await.ok()?;
    ensure!(again["deleted"] == first["deleted"] && first["deleted"] == 1, "{again} instead of {first}");
    ensure!(
        client.point("r", "30", "?consistency=all").await.success(),
        "a retried delete removed what was written since"
    );
    Ok(())
}

/// Twelve compare-and-sets from the same version, through all nodes at once.
async fn one_winner(clients: &[ApiClient], id: u64) -> Result<()> {
    let created = clients[0].upsert("r", vec![point(id, 0)], json!({})).await.ok()?;
    let version = created["results"][0]["version"].as_u64().context("no version")?;
    let contenders = (1..=12).map(|tag| {
        let client = clients[tag as usize % clients.len()].clone();
        let mut wish = point(id, tag);
        wish["if_version"] = json!(version);
        tokio::spawn(async move { (tag, client.upsert("r", vec![wish], json!({})).await) })
    });
    let mut winners = BTreeSet::new();
    for contender in contenders.collect::<Vec<_>>() {
        let (tag, answer) = contender.await?;
        ensure!(answer.success() || answer.status == Some(412), "neither won nor lost: {answer:?}");
        if answer.success() {
            winners.insert(tag);
        }
    }
    ensure!(winners.len() == 1, "{winners:?} won for point {id}");
    let shown = clients[2].point("r", &id.to_string(), "?consistency=all").await.ok()?;
    ensure!(
        winners.contains(&shown["payload"]["tag"].as_u64().unwrap_or(0)),
        "{shown} is not the winner's of {winners:?}"
    );
    Ok(())
}

async fn eventually(client: &ApiClient, batch: Vec<Value>, more: &Value) -> Result<Value> {
    let start = Instant::now();
    loop {
        let answer = client.upsert("r", batch.clone(), more.clone()).await;
        if answer.success() {
            return Ok(answer.body);
        }
        ensure!(start.elapsed() < PATIENCE, "no answer after the failover: {}", answer.problem);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
