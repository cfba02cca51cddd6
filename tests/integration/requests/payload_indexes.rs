//! Payload indexes on a real cluster: they change no answer, come back with a node, and are made where they were missed.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, options, place, same_state};

const POINTS: u64 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexed_or_not_the_answers_are_the_same() -> Result<()> {
    let _place = place().await;
    let seed = seed("payload_indexes");
    let mut cluster = TestCluster::start(options("payload-indexes").args(&["--shards", "4"])).await?;
    let client = cluster.client(0);
    ensure!(client.create_collection("docs", 2, "dot").await.status == Some(201), "not created");
    index(&client, "lang", "keyword").await?;
    client.upsert("docs", (0..POINTS).map(|id| point(id, seed)).collect(), json!({})).await.ok()?;
    let plain = answers(&client).await?;
    let langs = schema(&client).await?["lang"].clone();

    // From here on a node is away while fields become indexed, and one is not any more.
    let victim = seed as usize % 3;
    cluster.kill(victim);
    let survivor = cluster.client((victim + 1) % 3);
    for (field, kind) in [("n", "integer"), ("at", "datetime"), ("parts[].owner", "uuid"), ("draft", "bool")] {
        index(&survivor, field, kind).await?;
    }
    let dropped = survivor.send(Method::DELETE, "/collections/docs/index/lang?wait=true", None).await.ok()?;
    ensure!(dropped["status"] == "ok", "{dropped}");
    ensure!(answers(&survivor).await? == plain, "an index has changed an answer");
    index(&survivor, "lang", "keyword").await?;
    cluster.restart(victim)?;
    cluster.wait_healthy_node(victim).await?;
    same_state(&cluster).await?;

    // Everything is stopped, so that every index is built anew from what is stored.
    for node in 0..3 {
        cluster.kill(node);
    }
    for node in 0..3 {
        cluster.restart(node)?;
    }
    cluster.wait_healthy().await?;
    for client in cluster.clients() {
        ensure!(answers(&client).await? == plain, "{} answers otherwise after a restart", client.base());
        let schema = indexed(&client).await?;
        ensure!(schema["lang"] == langs, "{schema}");
        ensure!(schema["n"] == json!({"data_type": "integer", "points": POINTS}), "{schema}");
    }
    let by_filter = json!({"collection": "docs", "filter": {"must": [{"key": "n", "range": {"lt": 100}}]}});
    let deleted = cluster.client(1).send(Method::DELETE, "/vectors", Some(&by_filter)).await.ok()?;
    let expected = (0..POINTS).filter(|id| number(*id) < 100).count();
    ensure!(deleted["deleted"] == expected, "{deleted}, expected {expected}");
    same_state(&cluster).await?;
    cluster.finish()
}

fn number(id: u64) -> u64 {
    id * 7 % 500
}

fn point(id: u64, seed: u64) -> Value {
    let lang = ["en", "de", "fr"][((id ^ seed) % 3) as usize];
    let owner = format!("00000000-0000-0000-0000-{:012x}", id % 5);
    let payload = json!({"lang": if id.is_multiple_of(10) { json!(null) } else { json!([lang, "any"]) }, "n": number(id),
        "at": format!("2024-01-{:02}T12:00:00Z", id % 28 + 1), "draft": id.is_multiple_of(4), "parts": [{"owner": owner}]});
    json!({"id": id, "vector": [1.0, id], "payload": payload})
}

async fn index(client: &ApiClient, field: &str, kind: &str) -> Result<()> {
    let body = json!({"field_name": field, "field_schema": kind});
    let start = Instant::now();
    loop {
        let answer = client.send(Method::PUT, "/collections/docs/index?wait=true", Some(&body)).await;
        if answer.success() {
            return Ok(());
        }
        ensure!(answer.status.is_none_or(|status| status >= 429 || status == 408), "{field}: {}", answer.problem);
        ensure!(start.elapsed() < PATIENCE, "{field} is never indexed: {}", answer.problem);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What the collection says of its indexed fields.
async fn schema(client: &ApiClient) -> Result<Value> {
    let shown = client.get("/collections/docs").await.ok()?;
    Ok(shown["result"]["payload_schema"].clone())
}

/// The same once every shard has built every index: counts come from the shards' leaders, which may still be elected.
async fn indexed(client: &ApiClient) -> Result<Value> {
    let start = Instant::now();
    loop {
        let schema = schema(client).await?;
        let fields = schema.as_object().context("no fields")?;
        if fields.len() == 5 && fields["n"]["points"] == POINTS {
            return Ok(schema);
        }
        ensure!(start.elapsed() < PATIENCE, "{} never shows all indexes: {schema}", client.base());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What several filters find, by count, by page and by search, at ALL.
async fn answers(client: &ApiClient) -> Result<Vec<Value>> {
    let field = |key: &str, test: Value| json!({"key": key, "match": test});
    let filters = [
        json!({"must": [field("lang", json!({"value": "de"}))]}),
        json!({"must": [field("lang", json!({"except": ["any"]})), {"key": "n", "range": {"gte": 20, "lt": 90}}]}),
        json!({"must": [{"key": "at", "range": {"gte": "2024-01-20"}}], "must_not": [field("draft", json!({"value": true}))]}),
        json!({"should": [{"is_null": {"key": "lang"}}, {"key": "n", "range": {"gt": 490}}]}),
        json!({"must": [{"nested": {"key": "parts", "filter": {"must": [field("owner", json!({"value": "00000000-0000-0000-0000-000000000003"}))]}}}]}),
    ];
    let mut found = Vec::new();
    for filter in filters {
        let all = |more: Value| {
            let mut body = json!({"collection": "docs", "filter": filter, "consistency": "all"});
            body.as_object_mut()
                .into_iter()
                .for_each(|body| body.extend(more.as_object().cloned().unwrap_or_default()));
            body
        };
        let start = Instant::now();
        let count = loop {
            let answer = client.post("/quiver/v1/count", &all(json!({}))).await;
            if answer.success() {
                break answer.body["count"].clone();
            }
            ensure!(start.elapsed() < PATIENCE, "no count at ALL from {}: {}", client.base(), answer.problem);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let page = client.post("/quiver/v1/scroll", &all(json!({"limit": 7, "offset": 50}))).await.ok()?;
        let search = client.post("/search", &all(json!({"vector": [0.0, 1.0], "limit": 5}))).await.ok()?;
        let ids = |rows: &Value| -> Vec<Value> {
            rows.as_array().into_iter().flatten().map(|row| row["id"].clone()).collect()
        };
        let pages = [ids(&page["points"]), ids(&search["results"])];
        ensure!(count.as_u64() > Some(0) && pages.iter().all(|ids| !ids.is_empty()), "{filter} finds nothing");
        found.push(json!({"count": count, "ids": pages}));
    }
    Ok(found)
}
