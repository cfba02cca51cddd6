//! The main job on real data: three nodes hold the whole sample, every node finds at every level what the exact answers
//! name, and after a restart of everything it is all still there.

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use serde_json::{Value, json};

use crate::support::sample::{self, DIMENSION, Query};
use crate::support::{leaders, options, place, same_state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_vectors_are_stored_found_and_kept() -> Result<()> {
    let _place = place().await;
    seed("first_light");
    let mut cluster = TestCluster::start(options("first-light").args(&["--shards", "4"])).await?;
    let created = cluster.client(1).create_collection("words", DIMENSION, "cosine").await;
    ensure!(created.status == Some(201), "{}", created.problem);
    ensure!(created.body["shards"] == 4, "{}", created.body);
    let (again, other) =
        tokio::join!(async { cluster.client(2).create_collection("words", DIMENSION, "cosine").await }, async {
            cluster.client(0).create_collection("words", 7, "cosine").await
        });
    ensure!(again.success() && again.body["created"] == false, "the same collection again: {again:?}");
    ensure!(other.status == Some(409), "the same name with other settings: {other:?}");

    let points = sample::points()?;
    for (number, batch) in points.chunks(250).enumerate() {
        let answer = cluster.client(number % 3).upsert("words", batch.to_vec(), json!({})).await;
        let body = answer.ok().context("ingest")?;
        ensure!(body["upserted"] == batch.len() && body["token"].is_string(), "{}", body["upserted"]);
        let first = &body["results"][0];
        ensure!(first["id"] == batch[0]["id"] && first["version"].as_u64() > Some(0), "{first}");
    }
    let queries = sample::queries()?;
    searches(&cluster, &queries).await?;
    batch(&cluster, &queries[..20]).await?;
    status(&cluster, points.len()).await?;
    one_point(&cluster.client(0), &points[42]).await?;

    for index in 0..3 {
        let code = cluster.terminate(index).await?;
        ensure!(code == Some(0), "a clean stop ends with 0, not {code:?}");
    }
    for index in 0..3 {
        cluster.restart(index)?;
    }
    cluster.wait_healthy().await?;
    leaders(&cluster, 4).await?;
    searches(&cluster, &queries[..20]).await?;
    status(&cluster, points.len()).await?;
    same_state(&cluster).await?;
    cluster.finish()
}

/// Every node at every level: recall against the exact answers, and evidence of who answered.
async fn searches(cluster: &TestCluster, queries: &[Query]) -> Result<()> {
    for level in ["one", "quorum", "all"] {
        let mut found = 0;
        for (number, query) in queries.iter().enumerate() {
            let client = cluster.client(number % 3);
            let more = json!({"consistency": level, "with_payload": ["gloss"], "params": {"exact": true}});
            let body = client.search("words", &query.vector, 10, more).await.ok()?;
            evidence(&body, level)?;
            let results = body["results"].as_array().context("no results")?;
            ensure!(results.len() == 10, "{} results", results.len());
            found += results.iter().filter(|hit| is_exact(hit, query)).count();
        }
        let recall = found as f64 / (queries.len() * 10) as f64;
        println!("  recall@10 at {level}: {recall:.4}");
        ensure!(recall >= 0.999, "an exact search found {recall}");
    }
    Ok(())
}

/// Whether a hit is one of the exact ten; a tie with the tenth counts.
fn is_exact(hit: &Value, query: &Query) -> bool {
    let named = hit["id"].as_u64().is_some_and(|id| query.top.contains(&id));
    let worst = query.scores.last().copied().unwrap_or(1.0);
    named || hit["score"].as_f64().is_some_and(|score| (score - worst).abs() < 2e-5)
}

fn evidence(body: &Value, level: &str) -> Result<()> {
    ensure!(body["consistency"] == level && body["took_ms"].is_number(), "{body}");
    let rows = body["shards"].as_array().context("no evidence")?;
    ensure!(rows.len() == 4, "four shards answered with {} rows", rows.len());
    for row in rows {
        let complete = row["shard"].is_u64() && row["served_by"].is_string() && row["term"].as_u64() > Some(0);
        ensure!(complete && row["role"].is_string() && row["index"].is_u64(), "{row}");
        ensure!(level != "quorum" || row["role"] == "leader", "a lease read is the leader's: {row}");
        ensure!(level == "one" || row["staleness_ms"].is_null(), "a fresh read is not stale: {row}");
    }
    let hit = &body["results"][0];
    ensure!(hit["shard"].is_u64() && hit["version"].as_u64() > Some(0), "{hit}");
    ensure!(
        hit["payload"]["gloss"].is_string() && hit["payload"]["pos"].is_null(),
        "only the gloss was asked for: {hit}"
    );
    Ok(())
}

/// Many searches in one request find what each finds alone, at every node.
async fn batch(cluster: &TestCluster, queries: &[Query]) -> Result<()> {
    let exact = json!({"exact": true});
    let mut searches: Vec<Value> =
        queries.iter().map(|query| json!({"vector": query.vector, "limit": 10, "params": exact})).collect();
    searches.push(json!({"id": 7, "limit": 3, "params": exact}));
    for client in cluster.clients() {
        let body = json!({"collection": "words", "searches": searches, "consistency": "all"});
        let found = client.post("/quiver/v1/search/batch", &body).await.ok()?;
        ensure!(found["shards"].as_array().is_some_and(|rows| rows.len() == 4), "{}", found["shards"]);
        for (place, search) in searches.iter().enumerate() {
            let mut alone = search.clone();
            alone["collection"] = json!("words");
            let alone = client.post("/search", &alone).await.ok()?;
            ensure!(found["searches"][place]["results"] == alone["results"], "search {place} differs in a batch");
        }
    }
    Ok(())
}

async fn status(cluster: &TestCluster, points: usize) -> Result<()> {
    for client in cluster.clients() {
        let body = client.cluster_status().await.ok()?;
        let expected = [
            ("total_nodes", 3),
            ("healthy_nodes", 3),
            ("total_shards", 4),
            ("total_collections", 1),
            ("replication_factor", 3),
        ];
        for (member, number) in expected {
            ensure!(body[member] == number, "{member} is {} instead of {number}: {body}", body[member]);
        }
        ensure!(body["total_vectors"] == points, "total_vectors is {}", body["total_vectors"]);
        ensure!(body["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3), "{body}");
    }
    let listed = cluster.client(0).get("/collections").await.ok()?;
    ensure!(listed["result"]["collections"][0]["name"] == "words", "{listed}");
    Ok(())
}

async fn one_point(client: &ApiClient, point: &Value) -> Result<()> {
    let body = client.point("words", &point["id"].to_string(), "?consistency=all").await.ok()?;
    ensure!(body["payload"] == point["payload"] && body["version"].as_u64() > Some(0), "{body}");
    let absent = client.point("words", "999999", "").await;
    ensure!(absent.status == Some(404), "{absent:?}");
    Ok(())
}
