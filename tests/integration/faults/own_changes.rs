//! What a door has said is done holds for the next request at it: a collection made anew is the new one at once.

use anyhow::{Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use serde_json::json;

use crate::support::{options, place, rounds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_made_anew_takes_the_next_requests_at_the_same_door() -> Result<()> {
    let _place = place().await;
    seed("own-changes");
    let cluster = TestCluster::start(options("own-changes").args(&["--shards", "2"])).await?;
    let gateway = cluster.gateway().await?;
    let through = gateway.client();
    through.create_collection("rc", 2, "cosine").await.ok()?;
    for round in 0..rounds(12) {
        for door in [&through, &cluster.client(1)] {
            made_anew(door, 2 + round % 2).await?;
        }
    }
    drop(gateway);
    cluster.finish()
}

/// Drops `rc` and makes it with vectors of `size`, another distance and another level; then each kind of request.
async fn made_anew(door: &ApiClient, size: u64) -> Result<()> {
    door.drop_collection("rc").await.ok()?;
    let gone = door.get("/collections/rc").await;
    ensure!(gone.status == Some(404), "dropped, and still shown: {gone:?}");
    let vector: Vec<f32> = (0..size).map(|place| place as f32).collect();
    door.create_collection("rc", size as usize, "dot").await.ok()?;
    let shown = door.get("/collections/rc").await.ok()?;
    ensure!(shown["result"]["config"]["params"]["vectors"]["size"] == size, "the old one is shown: {shown}");
    let written = door.upsert("rc", vec![json!({"id": 1, "vector": vector})], json!({})).await;
    ensure!(written.status == Some(200), "{written:?}");
    let found = door.search("rc", &vector, 1, json!({})).await.ok()?;
    ensure!(found["results"][0]["id"] == 1, "{found}");
    Ok(())
}
