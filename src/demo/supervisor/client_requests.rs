//! Reads and writes of the demo's own client, through the node that the request names.
//!
//! In: a level, a key, a value. Out: the node's answer, whether it is older than an acknowledged write, and an event
//! that tells of it.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::demo_client::{COLLECTION, ClientRequest, RequestKind};
use super::refused::{Refused, answered};
use super::{ProcessState, Supervisor};

/// How many keys there are; they are numbered from 1. All are points of the first shard, so that one group shows every
/// request.
const KEYS: usize = 8;
/// So many points are written once, to find out which of them the first shard holds.
const TRIED: u64 = 256;
/// How long the cluster may take to come up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Writes or reads, adds an event to the log, and answers as `/api/client` does. A request that the node refuses is
    /// an answer with `ok: false`.
    ///
    /// # Errors
    /// The request cannot be made: no such level, key or node, or the node is not up.
    pub async fn request_as_client(&self, request: &ClientRequest) -> Result<Value, Refused> {
        if !["one", "quorum", "all"].contains(&request.level.as_str()) {
            return Err(Refused::Conflict(format!("`{}` is no level: one, quorum or all", request.level)));
        }
        // Keys count from 1. Their points are known once the cluster has answered.
        let id = match request.key.checked_sub(1).and_then(|key| self.client.ids.lock().get(key).copied()) {
            Some(id) => id,
            None if !self.client.is_ready() => {
                return Err(Refused::Conflict("the cluster is not ready for reads and writes yet".to_owned()));
            }
            None => return Err(Refused::Unknown(format!("there is no key {}: choose 1 to {KEYS}", request.key))),
        };
        let node = self.up(&request.via)?;
        // What was promised is read before the request: a write that ends meanwhile makes no earlier answer stale.
        let promised = self.client.promised.lock().get(&request.key).copied().unwrap_or(0);
        let begun = Instant::now();
        let outcome = match request.op {
            RequestKind::Write => self.put(request, &node.url, id).await,
            RequestKind::Read => self.get(request, &node.url, id, promised).await,
        };
        let mut answer = outcome.unwrap_or_else(|error| json!({"ok": false, "error": error.to_string()}));
        answer["took_ms"] = (begun.elapsed().as_micros() as f64 / 1000.0).into();
        let value = if request.op == RequestKind::Write { request.value.clone() } else { Value::Null };
        // Also a failed request is told, with its reason.
        self.tell(json!({
            "kind": "client", "op": if request.op == RequestKind::Write { "write" } else { "read" }, "level": request.level,
            "via": request.via, "key": request.key, "value": value, "answer": answer["value"], "ok": answer["ok"],
            "stale": answer["stale"] == true, "error": answer["error"], "served_by": answer["served_by"],
            "role": answer["role"],
        }));
        Ok(answer)
    }

    async fn put(&self, request: &ClientRequest, url: &str, id: u64) -> Result<Value, Refused> {
        let point = json!({"id": id, "vector": [1.0, 0.0], "payload": {"value": request.value}});
        let body = json!({"collection": COLLECTION, "vectors": [point], "consistency": request.level,
                          "timeout_ms": self.request_timeout()});
        let answer = answered(self.http.post(format!("{url}/vectors")).json(&body).send().await?).await?;
        let version = answer["results"][0]["version"].as_u64().unwrap_or(0);
        // Answers of two writes may cross; the newest version counts.
        let mut promised = self.client.promised.lock();
        let newest = promised.entry(request.key).or_default();
        *newest = version.max(*newest);
        let by = &answer["shards"][0];
        Ok(json!({"ok": true, "value": request.value, "version": version, "stale": false, "served_by": by["served_by"],
                  "role": by["role"]}))
    }

    async fn get(&self, request: &ClientRequest, url: &str, id: u64, promised: u64) -> Result<Value, Refused> {
        let query = format!("consistency={}&timeout_ms={}", request.level, self.request_timeout());
        let answer = self.http.get(format!("{url}/vectors/{COLLECTION}/{id}?{query}")).send().await?;
        let answer = answered(answer).await?;
        let (by, version) = (&answer["shards"][0], answer["version"].as_u64().unwrap_or(0));
        Ok(json!({"ok": true, "value": answer["payload"]["value"], "version": version, "stale": version < promised,
                  "served_by": by["served_by"], "role": by["role"], "staleness_ms": by["staleness_ms"]}))
    }

    /// How long a request may take in milliseconds: long enough for an election, and not too long for people.
    fn request_timeout(&self) -> u64 {
        self.timings.election_max_ms * 2 + 2000
    }
}

/// Waits for the cluster, makes the client's collection, and finds points of the first shard.
pub(crate) async fn settle_in(supervisor: &Supervisor) -> anyhow::Result<()> {
    let start = Instant::now();
    let create = json!({"name": COLLECTION, "vector_size": 2, "distance": "euclid"});
    let points: Vec<Value> =
        (1..=TRIED).map(|id| json!({"id": id, "vector": [1.0, 0.0], "payload": {"value": "first"}})).collect();
    let seed = json!({"collection": COLLECTION, "vectors": points, "timeout_ms": supervisor.request_timeout()});
    // All of it is tried again: at first, shards may have no leader yet.
    loop {
        match seeded(supervisor, &create, &seed).await {
            // With eight shards, about one in eight of the points is in the first.
            Ok(ids) => {
                anyhow::ensure!(ids.len() >= KEYS, "only {} of {TRIED} points are in the first shard", ids.len());
                let mut known = supervisor.client.ids.lock();
                known.extend(ids.into_iter().take(KEYS));
                return Ok(());
            }
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn seeded(supervisor: &Supervisor, create: &Value, seed: &Value) -> anyhow::Result<Vec<u64>> {
    let node = supervisor.nodes().into_values().find(|node| node.state == ProcessState::Up).context("no node is up")?;
    let created = supervisor.http.post(format!("{}/collections", node.url)).json(create).send().await?;
    // An earlier try may have made it, and its answer was lost.
    anyhow::ensure!(created.status().is_success() || created.status() == 409, "no collection: {}", created.status());
    let written = supervisor.http.post(format!("{}/vectors", node.url)).json(seed).send().await?;
    let written = answered(written).await.map_err(|error| anyhow::anyhow!("no points: {error}"))?;
    let rows = written["results"].as_array().into_iter().flatten().filter(|row| row["shard"] == 0);
    Ok(rows.filter_map(|row| row["id"].as_u64()).collect())
}
