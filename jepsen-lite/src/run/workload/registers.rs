//! Registers: a point each, a point each within a session, or three points each that are written and read together.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use rand::Rng;
use serde_json::{Value, json};

use super::content::{keyed, point, shown};
use super::{COLLECTION, SIZE, Worker, WorkloadState};
use crate::harness::client::ApiAnswer;
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;

/// Registers that are written at one time.
const HOT: i64 = 4;

/// Operations on the hot registers before they are left for new ones, so that a search for an order stays small.
const ROTATE: i64 = 240;

/// Points of a batch.
const PARTS: i64 = 3;

impl WorkloadState {
    /// Every register that was ever hot.
    fn registers(&self) -> std::ops::Range<i64> {
        0..(self.counter.load(Ordering::Relaxed) / ROTATE + 1) * HOT
    }
}

impl Worker {
    pub(super) fn hot(&mut self) -> i64 {
        self.shared.counter.load(Ordering::Relaxed) / ROTATE * HOT + self.rng.random_range(0..HOT)
    }

    pub(super) async fn register(&mut self) -> bool {
        let key = self.hot();
        match self.rng.random_range(0..10) {
            0..5 => self.read(key).await,
            5 => {
                let value = keyed(key, Edn::Nil);
                self.shared.next();
                self.begin("delete", &value);
                let answer = self.client().delete(COLLECTION, vec![json!(key)], self.more()).await;
                self.end_write("delete", value, &answer)
            }
            6 if self.known.as_ref().is_some_and(|(known, ..)| *known == key) => self.compare_and_set(key).await,
            _ => self.write(key).await,
        }
    }

    /// Reads and writes of one session, which passes on how far it has seen. Nothing is deleted: what does not exist has no
    /// version to be ordered by.
    pub(super) async fn session(&mut self) -> bool {
        let key = self.hot();
        if self.rng.random_ratio(3, 5) { self.read(key).await } else { self.write(key).await }
    }

    pub(super) async fn batch(&mut self) -> bool {
        let key = self.hot();
        let write = self.shared.next();
        // Half of the time it reads; else it deletes now and then, and mostly writes all parts at once.
        match self.rng.random_range(0..8) {
            0..4 => self.read_batch(key).await,
            4 => {
                let value = keyed(key, Edn::Nil);
                self.begin("delete", &value);
                let ids = parts(key).map(|id| json!(id)).collect();
                let answer = self.client().delete(COLLECTION, ids, self.more()).await;
                self.end_write("delete", value, &answer)
            }
            _ => {
                let value = keyed(key, Edn::Int(write));
                self.begin("write", &value);
                let points = parts(key).map(|id| point(id, write, SIZE)).collect();
                let answer = self.client().upsert(COLLECTION, points, self.more()).await;
                self.end_write("write", value, &answer)
            }
        }
    }

    /// The same of points that lie in several shards: each is a register of its own.
    pub(super) async fn spread(&mut self) -> bool {
        let key = self.hot();
        let write = self.shared.next();
        let each = |value: Edn| parts(key).map(|id| keyed(id, value.clone())).collect::<Vec<_>>();
        // As in a batch, but each part is a register by itself.
        match self.rng.random_range(0..8) {
            0..4 => self.read_spread(key).await,
            4 => {
                self.begin_parts("delete", &each(Edn::Nil));
                let ids = parts(key).map(|id| json!(id)).collect();
                let answer = self.client().delete(COLLECTION, ids, self.more()).await;
                self.end_write_parts("delete", each(Edn::Nil), &answer)
            }
            _ => {
                self.begin_parts("write", &each(Edn::Int(write)));
                let points = parts(key).map(|id| point(id, write, SIZE)).collect();
                let answer = self.client().upsert(COLLECTION, points, self.more()).await;
                self.end_write_parts("write", each(Edn::Int(write)), &answer)
            }
        }
    }

    async fn read_spread(&mut self, key: i64) -> bool {
        let asked: Vec<Edn> = parts(key).map(|id| keyed(id, Edn::Nil)).collect();
        self.begin_parts("read", &asked);
        let answer = self.page_of(key).await;
        let Some(records) = answer.body["points"].as_array().filter(|_| answer.success()) else {
            return self.refuse_parts("read", asked, &answer);
        };
        let one = |id: i64| {
            records.iter().find(|record| record["id"] == json!(id)).map_or(Edn::Nil, |record| shown(record, SIZE))
        };
        let shown = parts(key).map(|id| keyed(id, one(id))).collect();
        self.end_parts("read", shown)
    }

    async fn page_of(&self, key: i64) -> ApiAnswer {
        let more = json!({"consistency": self.shared.level, "offset": key * PARTS, "with_payload": true,
            "with_vector": true, "timeout_ms": 2500});
        self.client().scroll(COLLECTION, PARTS as usize, more).await
    }

    pub(super) async fn read_registers(&mut self) -> bool {
        let mut good = true;
        for key in self.shared.registers() {
            good &= match self.shared.workload {
                super::Workload::Batch => self.read_batch(key).await,
                super::Workload::Spread => self.read_spread(key).await,
                _ => self.read(key).await,
            };
        }
        good
    }

    async fn write(&mut self, key: i64) -> bool {
        let write = self.shared.next();
        let value = keyed(key, Edn::Int(write));
        self.begin("write", &value);
        let answer = self.client().upsert(COLLECTION, vec![point(key, write, SIZE)], self.more()).await;
        // A session goes on from the index that its own write has in the shard's log.
        let token = answer.body["token"].as_str().unwrap_or_default().to_owned();
        for part in token.split('.').skip(1) {
            let pair = part.split_once('-').and_then(|(shard, index)| Some((hex(shard)?, hex(index)?)));
            if let Some((shard, index)) = pair {
                self.raise_token(shard, index);
            }
        }
        self.end_write("write", value, &answer)
    }

    async fn compare_and_set(&mut self, key: i64) -> bool {
        let Some((_, version, from)) = self.known.take() else { return true };
        let write = self.shared.next();
        let value = keyed(key, Edn::Vector(vec![from, Edn::Int(write)]));
        self.begin("cas", &value);
        let mut point = point(key, write, SIZE);
        point["if_version"] = json!(version);
        let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
        self.end_write("cas", value, &answer)
    }

    /// Reads one register and writes down what was shown.
    pub(super) async fn read(&mut self, key: i64) -> bool {
        let in_session = self.shared.workload == super::Workload::Session;
        self.begin("read", &keyed(key, Edn::Nil));
        let after = if in_session { self.token() } else { String::new() };
        let query = format!("?consistency={}&with_vector=true&timeout_ms=2500{after}", self.shared.level);
        let answer = self.client().point(COLLECTION, &key.to_string(), &query).await;
        if answer.code() == "point_not_found" {
            return self.absent(key, &answer);
        }
        if !answer.success() {
            return self.refused("read", keyed(key, Edn::Nil), &answer);
        }
        self.take_token(&answer);
        // What is shown may be newer than the evidence says, which is a lower bound; no session may forget it.
        if let (Some(shard), Some(version)) = (answer.body["shard"].as_u64(), answer.body["version"].as_u64()) {
            self.raise_token(shard, version);
        }
        let shown = shown(&answer.body, SIZE);
        let version = answer.body["version"].as_u64();
        self.known = version.filter(|_| shown.int().is_some()).map(|version| (key, version, shown.clone()));
        let mut extra: Vec<_> =
            version.map(|version| ("version".to_owned(), Edn::Int(version as i64))).into_iter().collect();
        if let Some(node) = answer.body["shards"][0]["served_by"].as_str() {
            extra.push(("node".to_owned(), Edn::Str(node.to_owned())));
        }
        self.end(Type::Ok, "read", keyed(key, shown), extra)
    }

    /// Ends a read that was shown nothing: whose answer that is, and how far its state was, is in the answer.
    fn absent(&mut self, key: i64, answer: &ApiAnswer) -> bool {
        let row = &answer.body["status"]["details"]["shards"][0];
        let mut extra = Vec::new();
        extra.extend(row["served_by"].as_str().map(|node| ("node".to_owned(), Edn::Str(node.to_owned()))));
        if self.shared.level == "one" {
            extra.extend(row["index"].as_i64().map(|index| ("version".to_owned(), Edn::Int(index))));
        }
        if let (Some(shard), Some(index)) = (row["shard"].as_u64(), row["index"].as_u64()) {
            self.raise_token(shard, index);
        }
        self.end(Type::Ok, "read", keyed(key, Edn::Nil), extra)
    }

    /// Reads the points of a batch, which lie side by side on one page.
    async fn read_batch(&mut self, key: i64) -> bool {
        self.begin("read", &keyed(key, Edn::Nil));
        let answer = self.page_of(key).await;
        let Some(records) = answer.body["points"].as_array().filter(|_| answer.success()) else {
            return self.refused("read", keyed(key, Edn::Nil), &answer);
        };
        // All parts or none, and all of one write: anything else is torn.
        let of_batch = |record: &&Value| record["id"].as_i64().is_some_and(|id| parts(key).contains(&id));
        let mut values: Vec<Edn> = records.iter().filter(of_batch).map(|record| shown(record, SIZE)).collect();
        let whole = values.len() == PARTS as usize && values.windows(2).all(|pair| pair[0] == pair[1]);
        let value = match values.pop() {
            None => Edn::Nil,
            Some(value) if whole => value,
            Some(_) => Edn::keyword("torn"),
        };
        self.end(Type::Ok, "read", keyed(key, value), Vec::new())
    }

    /// How far this session has seen, as the interface takes it: `s1` and for each shard `.SHARD-INDEX`.
    fn token(&self) -> String {
        if self.session.is_empty() {
            return String::new();
        }
        let mut token = "&after=s1".to_owned();
        for (shard, index) in &self.session {
            let _ = write!(token, ".{shard:x}-{index:x}");
        }
        token
    }

    fn take_token(&mut self, answer: &ApiAnswer) {
        for row in answer.body["shards"].as_array().into_iter().flatten() {
            if let (Some(shard), Some(index)) = (row["shard"].as_u64(), row["index"].as_u64()) {
                self.raise_token(shard, index);
            }
        }
    }

    fn raise_token(&mut self, shard: u64, index: u64) {
        let known = self.session.entry(shard).or_default();
        *known = index.max(*known);
    }
}

fn parts(key: i64) -> std::ops::Range<i64> {
    key * PARTS..(key + 1) * PARTS
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}
