//! A client of the demo's cluster: writes and reads a few keys through whichever node it is told, and knows when it was
//! given a value older than one it was promised.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::stage::{Condition, Refused, Stage, answered};

/// The visitor's collection.
pub(super) const COLLECTION: &str = "demo";
/// Keys, numbered from 1 on. All are points of the first shard, so that one group shows all of it.
const KEYS: usize = 8;
/// Points written once, to find out which of them the first shard holds.
const TRIED: u64 = 256;
/// How long the cluster may take to come up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What the visitor remembers.
#[derive(Default)]
pub(super) struct Visitor {
    /// The points behind the keys.
    ids: Mutex<Vec<u64>>,
    /// For each key the newest version whose write was acknowledged.
    promised: Mutex<BTreeMap<usize, u64>>,
}

/// What `POST /api/client` asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pub op: Op,
    pub via: String,
    #[serde(default = "quorum")]
    pub level: String,
    #[serde(default = "one")]
    pub key: usize,
    #[serde(default)]
    pub value: Value,
}

/// What a client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Op {
    Read,
    Write,
}

fn quorum() -> String {
    "quorum".to_owned()
}

fn one() -> usize {
    1
}

impl Visitor {
    /// Whether the keys can be read and written.
    pub fn is_ready(&self) -> bool {
        !self.ids.lock().is_empty()
    }
}

impl Stage {
    /// Writes or reads, tells of it on the tape, and answers as `/api/client` does.
    pub async fn visit(&self, wish: &Wish) -> Result<Value, Refused> {
        if !["one", "quorum", "all"].contains(&wish.level.as_str()) {
            return Err(Refused::Conflict(format!("`{}` is no level: one, quorum or all", wish.level)));
        }
        let id = match wish.key.checked_sub(1).and_then(|key| self.visitor.ids.lock().get(key).copied()) {
            Some(id) => id,
            None if !self.visitor.is_ready() => {
                return Err(Refused::Conflict("the cluster is not ready for reads and writes yet".to_owned()));
            }
            None => return Err(Refused::Unknown(format!("there is no key {}: choose 1 to {KEYS}", wish.key))),
        };
        let seat = self.up(&wish.via)?;
        let promised = self.visitor.promised.lock().get(&wish.key).copied().unwrap_or(0);
        let begun = Instant::now();
        let outcome = match wish.op {
            Op::Write => self.put(wish, &seat.url, id).await,
            Op::Read => self.get(wish, &seat.url, id, promised).await,
        };
        let mut answer = outcome.unwrap_or_else(|error| json!({"ok": false, "error": error.to_string()}));
        answer["took_ms"] = (begun.elapsed().as_micros() as f64 / 1000.0).into();
        let value = if wish.op == Op::Write { wish.value.clone() } else { Value::Null };
        self.tell(json!({
            "kind": "client", "op": if wish.op == Op::Write { "write" } else { "read" }, "level": wish.level,
            "via": wish.via, "key": wish.key, "value": value, "answer": answer["value"], "ok": answer["ok"],
            "stale": answer["stale"] == true, "error": answer["error"], "served_by": answer["served_by"],
            "role": answer["role"],
        }));
        Ok(answer)
    }

    async fn put(&self, wish: &Wish, url: &str, id: u64) -> Result<Value, Refused> {
        let point = json!({"id": id, "vector": [1.0, 0.0], "payload": {"value": wish.value}});
        let body = json!({"collection": COLLECTION, "vectors": [point], "consistency": wish.level,
                          "timeout_ms": self.request_timeout()});
        let answer = answered(self.http.post(format!("{url}/vectors")).json(&body).send().await?).await?;
        let version = answer["results"][0]["version"].as_u64().unwrap_or(0);
        let mut promised = self.visitor.promised.lock();
        let newest = promised.entry(wish.key).or_default();
        *newest = version.max(*newest);
        let by = &answer["shards"][0];
        Ok(json!({"ok": true, "value": wish.value, "version": version, "stale": false, "served_by": by["served_by"],
                  "role": by["role"]}))
    }

    async fn get(&self, wish: &Wish, url: &str, id: u64, promised: u64) -> Result<Value, Refused> {
        let query = format!("consistency={}&timeout_ms={}", wish.level, self.request_timeout());
        let answer = self.http.get(format!("{url}/vectors/{COLLECTION}/{id}?{query}")).send().await?;
        let answer = answered(answer).await?;
        let (by, version) = (&answer["shards"][0], answer["version"].as_u64().unwrap_or(0));
        Ok(json!({"ok": true, "value": answer["payload"]["value"], "version": version, "stale": version < promised,
                  "served_by": by["served_by"], "role": by["role"], "staleness_ms": by["staleness_ms"]}))
    }

    /// How long a request may take: an election fits, and people do not wait for ever.
    fn request_timeout(&self) -> u64 {
        self.timings.election_max_ms * 2 + 2000
    }
}

/// Waits for the cluster, makes the visitor's collection, and finds points of the first shard.
pub(super) async fn settle_in(stage: &Stage) -> anyhow::Result<()> {
    let start = Instant::now();
    let create = json!({"name": COLLECTION, "vector_size": 2, "distance": "euclid"});
    let points: Vec<Value> =
        (1..=TRIED).map(|id| json!({"id": id, "vector": [1.0, 0.0], "payload": {"value": "first"}})).collect();
    let seed = json!({"collection": COLLECTION, "vectors": points, "timeout_ms": stage.request_timeout()});
    loop {
        match seeded(stage, &create, &seed).await {
            Ok(ids) => {
                anyhow::ensure!(ids.len() >= KEYS, "only {} of {TRIED} points are in the first shard", ids.len());
                let mut known = stage.visitor.ids.lock();
                known.extend(ids.into_iter().take(KEYS));
                return Ok(());
            }
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn seeded(stage: &Stage, create: &Value, seed: &Value) -> anyhow::Result<Vec<u64>> {
    let seat = stage.seats().into_values().find(|seat| seat.state == Condition::Up).context("no node is up")?;
    let created = stage.http.post(format!("{}/collections", seat.url)).json(create).send().await?;
    // It may be there from a try before, whose answer was lost.
    anyhow::ensure!(created.status().is_success() || created.status() == 409, "no collection: {}", created.status());
    let written = stage.http.post(format!("{}/vectors", seat.url)).json(seed).send().await?;
    let written = answered(written).await.map_err(|error| anyhow::anyhow!("no points: {error}"))?;
    let rows = written["results"].as_array().into_iter().flatten().filter(|row| row["shard"] == 0);
    Ok(rows.filter_map(|row| row["id"].as_u64()).collect())
}
