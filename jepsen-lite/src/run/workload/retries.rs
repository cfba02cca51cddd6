//! Writes that are sent again under their request id: at once where no answer came, and once more long after the answer,
//! through any node, with other writes between. The second time nothing may happen, which the registers show: every value is
//! written once, and one that comes back is seen.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::{Value, json};

use super::content::{keyed, point};
use super::{COLLECTION, SIZE, Worker, WorkloadState};
use crate::harness::client::{AnswerClass, ApiAnswer};
use crate::judge::history::edn::Edn;

/// How often a client sends what is not answered.
const TRIES: usize = 3;

/// How long after its answer a write is sent again, at most.
const LATEST: Duration = Duration::from_secs(20);

/// Clients that write beside, so that a shard has much else to remember, and points that they write.
const LOADERS: i64 = 4;
const LOAD: i64 = 1 << 40;

/// A write that was answered.
pub(super) struct Answered {
    due: Instant,
    point: Value,
    more: Value,
    version: Value,
}

impl Worker {
    pub(super) async fn retried(&mut self) -> bool {
        let key = self.hot();
        match self.rng.random_range(0..10) {
            0..4 => self.read(key).await,
            4..6 => self.again().await,
            _ => self.write_until_answered(key).await,
        }
    }

    async fn write_until_answered(&mut self, key: i64) -> bool {
        let write = self.shared.next();
        let value = keyed(key, Edn::Int(write));
        let mut more = self.more();
        more["request_id"] = json!(format!("{:032x}", self.rng.random::<u128>()));
        self.begin("write", &value);
        let mut answer = self.send_write(point(key, write, SIZE), &more).await;
        for _ in 1..TRIES {
            if answer.class != AnswerClass::Unknown {
                break;
            }
            self.elsewhere();
            // What an earlier try may have done no later answer takes back.
            let next = self.send_write(point(key, write, SIZE), &more).await;
            answer = if next.success() { next } else { answer };
        }
        if answer.success() {
            let due = Instant::now() + self.rng.random_range(Duration::ZERO..LATEST);
            let version = answer.body["results"][0]["version"].clone();
            let again = Answered { due, point: point(key, write, SIZE), more, version };
            self.shared.again.lock().expect("nothing under the lock panics").push(again);
        }
        self.end_write("write", value, &answer)
    }

    async fn send_write(&self, point: Value, more: &Value) -> ApiAnswer {
        self.client().upsert(COLLECTION, vec![point], more.clone()).await
    }

    /// Sends an answered write again, if one is due.
    async fn again(&mut self) -> bool {
        let due = {
            let mut waiting = self.shared.again.lock().expect("nothing under the lock panics");
            let place = waiting.iter().position(|answered| answered.due <= Instant::now());
            place.map(|place| waiting.swap_remove(place))
        };
        let Some(Answered { point, more, version, .. }) = due else { return true };
        self.elsewhere();
        let answer = self.send_write(point.clone(), &more).await;
        if answer.success() {
            let same = answer.body["results"][0]["version"] == version;
            let f = if same { "answered-again" } else { "answered-otherwise" };
            let told = format!("{}: version {version}, then {}", point["id"], answer.body["results"][0]["version"]);
            self.shared.recorder.note("late copy", f, Edn::Str(told));
        }
        true
    }
}

impl WorkloadState {
    /// Writes beside the clients until they end; nobody looks at it.
    pub fn load(self: &Arc<Self>) {
        for number in 0..LOADERS {
            let shared = self.clone();
            tokio::spawn(async move {
                let endpoints = shared.endpoints.all();
                let client = endpoints[number as usize % endpoints.len()].client.with_deadline(super::DEADLINE);
                // Ids are used again and again: what counts is how many requests a shard has to remember.
                for turn in 0.. {
                    if shared.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = LOAD + number * 1_000 + turn % 1_000;
                    let answer =
                        client.upsert(COLLECTION, vec![point(id, id, SIZE)], json!({"timeout_ms": 2500})).await;
                    if !answer.success() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            });
        }
    }
}
