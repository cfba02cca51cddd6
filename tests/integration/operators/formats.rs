//! Data directories that earlier releases wrote: each opens, and what it holds is as it was when it was written.
//!
//! `tests/data/formats` has for each format of the disk a packed directory and what its node had answered. Its README says
//! how one is made: by [`write_a_directory`], with the binary of that release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::{Options, TestCluster};
use serde_json::{Value, json};

use crate::support::{PATIENCE, place, shards, single};

/// A key that releases before format 3 took for more than a key: an entry with it stopped its shard.
const POISON: &str = "$serde_json::private::RawValue";

/// Few shards and few entries, so that a small directory has snapshots, purged logs and entries behind them.
fn small(name: &str) -> Options {
    single(name).args(&["--shards", "2", "--snapshot-after", "40", "--keep-entries", "10"])
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not run"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// One write under a request id, with what was answered.
async fn write(client: &ApiClient, number: u64, rows: &mut Vec<Value>) -> Result<()> {
    let request = format!("00000000-0000-4000-8000-{number:012x}");
    let lang = ["en", "de", "fr"][number as usize % 3];
    let payload = json!({"lang": lang, "number": number, "deep": {"list": [1, "two", null]}});
    let point = json!({"id": number % 90, "vector": [1, number, 2, 0.5], "payload": payload});
    let answer = client.upsert("docs", vec![point.clone()], json!({"request_id": request})).await.ok()?;
    rows.push(json!({"request_id": request, "point": point, "results": answer["results"]}));
    Ok(())
}

/// Everything a node stores: points, remembered requests, deletions, payload indexes, a drop, snapshots, purged logs, and
/// last a point whose payload may stop a shard of an old release.
async fn fill(client: &ApiClient) -> Result<Value> {
    let mut rows = Vec::new();
    client.create_collection("docs", 4, "cosine").await.ok()?;
    client.create_collection("gone", 2, "dot").await.ok()?;
    client.upsert("gone", vec![json!({"id": 1, "vector": [1, 2]})], json!({})).await.ok()?;
    let index = json!({"field_name": "lang", "field_schema": "keyword"});
    client.send(reqwest::Method::PUT, "/collections/docs/index?wait=true", Some(&index)).await.ok()?;
    for number in 0..130 {
        write(client, number, &mut rows).await?;
    }
    client.delete("docs", vec![json!(3), json!(4)], json!({})).await.ok()?;
    let french = json!({"collection": "docs", "filter": {"must": [{"key": "number", "range": {"gte": 120}}]}});
    client.send(reqwest::Method::DELETE, "/vectors", Some(&french)).await.ok()?;
    client.drop_collection("gone").await.ok()?;
    for number in 130..150 {
        write(client, number, &mut rows).await?;
    }
    let points = everything(client).await?;
    client.create_collection("poisoned", 2, "euclid").await.ok()?;
    let index = json!({"field_name": "a", "field_schema": "keyword"});
    client.send(reqwest::Method::PUT, "/collections/poisoned/index?wait=true", Some(&index)).await.ok()?;
    // The key comes second: where it came first, those releases refused the body.
    let payload = format!(r#"{{"a":{{"y":2,"{POISON}":"x"}}}}"#);
    let point = format!(r#"{{"id":1,"vector":[0,0],"payload":{payload}}}"#);
    let body = format!(r#"{{"collection":"poisoned","vectors":[{point}],"timeout_ms":2000}}"#);
    // Acknowledged, or the end of its shard: either way it is in the log.
    let answer = client.send_raw(reqwest::Method::POST, "/vectors", Some("application/json"), body.into()).await;
    ensure!(answer.status != Some(400), "the point is not taken: {}", answer.problem);
    let point: Value = serde_json::from_str(&point)?;
    Ok(json!({"writes": rows, "points": points, "poisoned": point}))
}

/// All points of the collection, by id.
async fn everything(client: &ApiClient) -> Result<BTreeMap<String, Value>> {
    let page = client.scroll("docs", 1000, json!({"with_vector": true, "consistency": "all"})).await.ok()?;
    let points = page["points"].as_array().context("no points")?;
    Ok(points.iter().map(|point| (point["id"].to_string(), point.clone())).collect())
}

/// Writes the directory of the release under test: `QUIVER_BINARY` names another, `QUIVER_CORPUS` the file's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes into the tree: run by hand at a release"]
async fn write_a_directory() -> Result<()> {
    let name = std::env::var("QUIVER_CORPUS").context("QUIVER_CORPUS names no file")?;
    let mut cluster = TestCluster::start(small("corpus")).await?;
    let said = fill(&cluster.client(0)).await?;
    cluster.kill(0);
    let data = cluster.node(0).data().to_owned();
    run(Command::new("tar").arg("-czf").arg(corpus().join(format!("{name}.tar.gz"))).arg("-C").arg(&data).arg("."))?;
    std::fs::write(corpus().join(format!("{name}.json")), serde_json::to_vec(&said)?)?;
    Ok(())
}

/// The names of the packed directories, oldest first.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(corpus())? {
        let file = file?.file_name();
        names.extend(file.to_str().and_then(|name| name.strip_suffix(".tar.gz")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_each_format_opens_and_holds_what_was_written() -> Result<()> {
    let names = names()?;
    ensure!(names.len() >= 2, "the corpus is not there: {names:?}");
    for name in names {
        opens(&name).await.with_context(|| format!("the directory {name}"))?;
    }
    Ok(())
}

async fn opens(name: &str) -> Result<()> {
    let _place = place().await;
    let said: Value = serde_json::from_slice(&std::fs::read(corpus().join(format!("{name}.json")))?)?;
    let mut cluster = TestCluster::prepare(small(name))?;
    let data = cluster.node(0).data().to_owned();
    std::fs::create_dir_all(&data)?;
    run(Command::new("tar").arg("-xzf").arg(corpus().join(format!("{name}.tar.gz"))).arg("-C").arg(&data))?;
    cluster.restart(0)?;
    cluster.wait_healthy().await?;
    let found = digests(&cluster.client(0)).await?;
    ensure!(said["digests"].is_null() || json!(found) == said["digests"], "the states came to {found:?}");
    holds(&cluster.client(0), &said).await?;
    // What was read from old records is written as new ones, and opens again.
    let before = digests(&cluster.client(0)).await?;
    ensure!(cluster.terminate(0).await? == Some(0), "a clean stop");
    cluster.restart(0)?;
    cluster.wait_healthy().await?;
    ensure!(digests(&cluster.client(0)).await? == before, "another state after a restart");
    holds(&cluster.client(0), &said).await?;
    cluster.client(0).upsert("docs", vec![json!({"id": 1, "vector": [9, 9, 9, 9]})], json!({})).await.ok()?;
    cluster.finish()
}

/// What the states of the node's shards come to, once each has applied all that its log holds: a node answers before.
async fn digests(client: &ApiClient) -> Result<BTreeMap<String, String>> {
    everything(&client.with_deadline(PATIENCE)).await?;
    let hash = |row: &Value| row["state_hash"].as_str().map(str::to_owned).context("no hash");
    shards(client).await?.into_iter().map(|(shard, row)| Ok((shard.to_string(), hash(&row)?))).collect()
}

/// Holds what the node shows against what was written.
async fn holds(client: &ApiClient, said: &Value) -> Result<()> {
    let client = client.with_deadline(PATIENCE);
    ensure!(json!(everything(&client).await?) == said["points"], "other points than were written");
    let poisoned = client.point("poisoned", "1", "?consistency=all").await.ok()?;
    ensure!(poisoned["payload"] == said["poisoned"]["payload"], "the poisoned point came back as {poisoned}");
    ensure!(client.point("gone", "1", "").await.code() == "collection_not_found", "what was dropped is back");
    let count =
        client.count("docs", json!({"filter": {"must": [{"key": "lang", "match": {"value": "de"}}]}})).await.ok()?;
    let points = said["points"].as_object().context("no points")?;
    let german = points.values().filter(|point| point["payload"]["lang"] == "de").count();
    ensure!(count["count"] == german, "{count} points are found by the index, {german} were written");
    for row in said["writes"].as_array().context("no writes")? {
        let more = json!({"request_id": row["request_id"]});
        let again = client.upsert("docs", vec![row["point"].clone()], more).await.ok()?;
        ensure!(again["results"] == row["results"], "a repeated request was carried out anew: {again}");
    }
    Ok(())
}
