//! Queries that take far longer than anybody waits: they end at their deadlines, and stop nobody else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::ApiClient;
use jepsen_lite::cluster::TestCluster;
use serde_json::{Value, json};

use crate::support::{place, single};

/// Points with long arrays, which a filter of many conditions compares element by element.
async fn fill(client: &ApiClient) -> Result<()> {
    client.create_collection("long", 2, "euclid").await.ok()?;
    for id in 0..8 {
        let payload = json!({"a": (0..100_000).collect::<Vec<u64>>()});
        client.upsert("long", vec![json!({"id": id, "vector": [id, 1], "payload": payload})], json!({})).await.ok()?;
    }
    client.create_collection("other", 2, "euclid").await.ok()?;
    client.upsert("other", vec![json!({"id": 1, "vector": [1, 1], "payload": {"b": 1}})], json!({})).await.ok()?;
    Ok(())
}

/// No element is in any of the lists, so that each is looked for in each.
fn endless() -> Value {
    let conditions: Vec<_> =
        (0..900).map(|number| json!({"key": "a", "match": {"any": [-1 - number, -2000]}})).collect();
    json!({"must_not": conditions})
}

/// What must go on: reads by id at each level, writes, searches and small counts, on the same shards too.
async fn others_go_on(client: &ApiClient, round: u64) -> Result<()> {
    for level in ["one", "quorum", "all"] {
        client.point("long", "1", &format!("?consistency={level}")).await.ok().context("a point of the same shards")?;
    }
    let point = json!({"id": 1000 + round, "vector": [1, round], "payload": {"b": round}});
    client.upsert("long", vec![point], json!({})).await.ok().context("a write to the same shards")?;
    client.search("other", &[1.0, 1.0], 1, json!({})).await.ok().context("a search")?;
    let filter = json!({"filter": {"must": [{"key": "b", "match": {"value": 1}}]}});
    let count = client.count("other", filter).await.ok().context("a small count")?;
    ensure!(count["count"] == 1, "{count}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_queries_end_at_their_deadlines_and_stop_nobody_else() -> Result<()> {
    let _place = place().await;
    let cluster = TestCluster::start(single("long-queries").args(&["--shards", "2"])).await?;
    let client = cluster.client(0);
    fill(&client).await?;
    let more = json!({"filter": endless(), "timeout_ms": 6000});
    let mut under_way = tokio::task::JoinSet::new();
    for kind in 0..6 {
        let (client, more) = (client.with_deadline(Duration::from_secs(60)), more.clone());
        under_way.spawn(async move {
            match kind % 3 {
                0 => client.count("long", more).await,
                1 => client.scroll("long", 10, more).await,
                _ => client.search("long", &[1.0, 1.0], 10, more).await,
            }
        });
    }
    let mut rounds = 0;
    while !under_way.is_empty() {
        others_go_on(&client, rounds).await?;
        rounds += 1;
        while let Some(answer) = under_way.try_join_next() {
            let answer = answer?;
            ensure!(answer.status == Some(408), "it did not end at its deadline: {}", answer.problem);
        }
    }
    ensure!(rounds > 1, "nothing went on while they were under way");
    // Nobody goes on with what nobody waits for: the node is idle again.
    others_go_on(&client, rounds).await?;
    cluster.finish()
}
