//! What clients do, on the public interface alone.
//!
//! Every write has a value of its own, and its vector and payload are functions of that value: a read that shows parts
//! which do not belong together is written down as `:torn`, which nobody wrote. Outcomes: *fail* only where the answer says
//! that nothing was applied; a mutation whose fate is unknown is *info*, and its process is not heard of again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::Workload;
use super::recorder::Recorder;
use crate::client::{Answer, Class, Client};
use crate::history::Type;
use crate::history::edn::Edn;
use crate::synth::query_of;

/// The collection that all clients share.
pub const COLLECTION: &str = "jepsen";

/// Registers that are written at one time.
const HOT: i64 = 4;

/// Operations on the hot registers before they are left for new ones, so that a search for an order stays small.
const ROTATE: i64 = 240;

/// Points of the search workload.
const POINTS: i64 = 16;

/// What all clients of a run share.
pub struct Shared {
    /// What they do.
    pub workload: Workload,
    /// The read level, and that of writes.
    pub level: String,
    /// Where all is written down.
    pub recorder: Recorder,
    /// One for each node.
    pub clients: Vec<Client>,
    /// Ends them.
    pub stop: AtomicBool,
    counter: AtomicI64,
    processes: AtomicI64,
}

impl Shared {
    /// For clients of these nodes.
    pub fn new(workload: Workload, level: &str, recorder: Recorder, clients: Vec<Client>) -> Self {
        let clients = clients.iter().map(|client| client.with_deadline(Duration::from_secs(3))).collect();
        let (counter, processes) = (AtomicI64::new(1), AtomicI64::new(0));
        Self { workload, level: level.to_owned(), recorder, clients, stop: AtomicBool::new(false), counter, processes }
    }

    fn next(&self) -> i64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Every register that was ever hot.
    pub fn registers(&self) -> std::ops::Range<i64> {
        0..(self.counter.load(Ordering::Relaxed) / ROTATE + 1) * HOT
    }
}

/// The vector of a write: whole numbers that single precision holds.
fn vector_of(write: i64) -> [f64; 2] {
    [(write * 7919 % 10_007) as f64, (write % 65_536) as f64]
}

fn payload_of(write: i64) -> Value {
    json!({"write": write, "check": write * 31 % 1009})
}

fn keyed(key: i64, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::Int(key), value])
}

/// One client.
pub struct Worker {
    shared: Arc<Shared>,
    rng: StdRng,
    process: i64,
    node: usize,
    /// The last version and value read of a key, for compare-and-set.
    known: Option<(i64, u64, Edn)>,
}

impl Worker {
    /// The client of this number.
    pub fn new(shared: Arc<Shared>, seed: u64, number: usize) -> Self {
        let process = shared.processes.fetch_add(1, Ordering::Relaxed);
        let node = number % shared.clients.len();
        Self { shared, rng: StdRng::seed_from_u64(seed ^ ((number as u64 + 1) << 32)), process, node, known: None }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            let good = match self.shared.workload {
                Workload::Register => self.register().await,
                Workload::Set => self.set().await,
                Workload::Search => self.points().await,
            };
            if !good {
                // Another node may do better, and a refusal that comes at once says nothing new.
                self.node = self.rng.random_range(0..self.shared.clients.len());
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            let pause = self.rng.random_range(2..20);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn client(&self) -> Client {
        self.shared.clients[self.node].clone()
    }

    fn begin(&self, f: &str, value: &Edn) {
        let extra = vec![("level".to_owned(), Edn::keyword(&self.shared.level))];
        self.shared.recorder.client(self.process, Type::Invoke, f, value.clone(), extra);
    }

    fn end(&mut self, kind: Type, f: &str, value: Edn, mut extra: Vec<(String, Edn)>) -> bool {
        if !extra.iter().any(|(name, _)| name == "node") {
            extra.push(("node".to_owned(), Edn::Str(format!("node{}", self.node + 1))));
        }
        self.shared.recorder.client(self.process, kind, f, value, extra);
        if kind == Type::Info {
            self.process = self.shared.processes.fetch_add(1, Ordering::Relaxed);
        }
        kind == Type::Ok
    }

    /// Ends a mutation by what its answer says of it.
    fn end_write(&mut self, f: &str, value: Edn, answer: &Answer) -> bool {
        let version = answer.body["results"][0]["version"].as_i64();
        let mut extra: Vec<_> = version.map(|version| ("version".to_owned(), Edn::Int(version))).into_iter().collect();
        let kind = match answer.class {
            Class::Ok => Type::Ok,
            Class::Fail => Type::Fail,
            Class::Unknown => Type::Info,
        };
        if answer.status == Some(412) && answer.code() == "version_mismatch" {
            extra.push(("error".to_owned(), Edn::keyword("mismatch")));
        } else if kind != Type::Ok {
            extra.push(("error".to_owned(), Edn::Str(answer.problem.chars().take(160).collect())));
        }
        self.end(kind, f, value, extra)
    }

    fn more(&self) -> Value {
        json!({"consistency": self.shared.level, "timeout_ms": 2500})
    }

    async fn register(&mut self) -> bool {
        let key = self.shared.counter.load(Ordering::Relaxed) / ROTATE * HOT + self.rng.random_range(0..HOT);
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
            _ => {
                let write = self.shared.next();
                let value = keyed(key, Edn::Int(write));
                self.begin("write", &value);
                let point = json!({"id": key, "vector": vector_of(write), "payload": payload_of(write)});
                let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
                self.end_write("write", value, &answer)
            }
        }
    }

    async fn compare_and_set(&mut self, key: i64) -> bool {
        let Some((_, version, from)) = self.known.take() else { return true };
        let write = self.shared.next();
        let value = keyed(key, Edn::Vector(vec![from, Edn::Int(write)]));
        self.begin("cas", &value);
        let point = json!({"id": key, "vector": vector_of(write), "payload": payload_of(write), "if_version": version});
        let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
        self.end_write("cas", value, &answer)
    }

    /// Reads one register and writes down what was shown.
    pub async fn read(&mut self, key: i64) -> bool {
        self.begin("read", &keyed(key, Edn::Nil));
        let query = format!("?consistency={}&with_vector=true&timeout_ms=2500", self.shared.level);
        let answer = self.client().point(COLLECTION, &key.to_string(), &query).await;
        let at_one = self.shared.level == "one";
        if answer.code() == "point_not_found" && !at_one {
            return self.end(Type::Ok, "read", keyed(key, Edn::Nil), Vec::new());
        }
        if !answer.success() {
            // At ONE an answer of nothing does not say whose it is, so it belongs to no session.
            let error = Edn::Str(answer.problem.chars().take(160).collect());
            return self.end(Type::Fail, "read", keyed(key, Edn::Nil), vec![("error".to_owned(), error)])
                || answer.code() == "point_not_found";
        }
        let shown = shown(&answer.body);
        let version = answer.body["version"].as_u64();
        self.known = version.filter(|_| shown.int().is_some()).map(|version| (key, version, shown.clone()));
        let mut extra: Vec<_> =
            version.map(|version| ("version".to_owned(), Edn::Int(version as i64))).into_iter().collect();
        if let Some(node) = answer.body["shards"][0]["served_by"].as_str() {
            extra.push(("node".to_owned(), Edn::Str(node.to_owned())));
        }
        self.end(Type::Ok, "read", keyed(key, shown), extra)
    }

    async fn set(&mut self) -> bool {
        if self.rng.random_ratio(1, 12) {
            return self.read_set().await;
        }
        let write = self.shared.next();
        self.begin("add", &Edn::Int(write));
        let point = json!({"id": write, "vector": vector_of(write), "payload": payload_of(write)});
        let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
        self.end_write("add", Edn::Int(write), &answer)
    }

    /// Reads the whole set by an exact search for more than there is.
    pub async fn read_set(&mut self) -> bool {
        self.begin("read", &Edn::Nil);
        let Some(results) = self.search([0.0, 0.0], 10_000, true).await else {
            return self.end(Type::Fail, "read", Edn::Nil, Vec::new());
        };
        let element = |record: &Value| match shown(record) {
            Edn::Int(write) if record["id"] == json!(write) => Edn::Int(write),
            _ => Edn::keyword("torn"),
        };
        let elements = Edn::Vector(results.iter().map(element).collect());
        self.end(Type::Ok, "read", elements, Vec::new())
    }

    async fn search(&mut self, query: [f32; 2], limit: usize, whole: bool) -> Option<Vec<Value>> {
        let more = json!({"consistency": self.shared.level, "params": {"exact": true}, "with_payload": whole,
            "with_vector": whole, "timeout_ms": 2500});
        let answer = self.client().search(COLLECTION, &query, limit, more).await;
        answer.success().then(|| answer.body["results"].as_array().cloned().unwrap_or_default())
    }

    async fn points(&mut self) -> bool {
        let key = self.rng.random_range(0..POINTS);
        match self.rng.random_range(0..8) {
            0..3 => self.nearest(5).await,
            3 => {
                self.begin("delete", &Edn::Int(key));
                let answer = self.client().delete(COLLECTION, vec![json!(key)], self.more()).await;
                self.end_write("delete", Edn::Int(key), &answer)
            }
            _ => {
                let write = self.shared.next();
                let at = vector_of(write);
                let value = keyed(key, Edn::Vector(at.iter().map(|part| Edn::Float(*part)).collect()));
                self.begin("upsert", &value);
                let point = json!({"id": key, "vector": at, "payload": payload_of(write)});
                let answer = self.client().upsert(COLLECTION, vec![point], self.more()).await;
                self.end_write("upsert", value, &answer)
            }
        }
    }

    /// The nearest points of a random place.
    pub async fn nearest(&mut self, limit: usize) -> bool {
        let query = [self.rng.random_range(0..10_000) as f32, 0.0];
        let asked = query_of(&query.map(f64::from), limit as i64, true);
        self.begin("search", &asked);
        let Some(results) = self.search(query, limit, false).await else {
            return self.end(Type::Fail, "search", asked, Vec::new());
        };
        let hit = |record: &Value| {
            let score = Edn::Float(record["score"].as_f64().unwrap_or(f64::NAN));
            Edn::Vector(vec![record["id"].as_i64().map_or(Edn::Nil, Edn::Int), score])
        };
        let hits = Edn::Vector(results.iter().map(hit).collect());
        self.end(Type::Ok, "search", hits, Vec::new())
    }
}

/// The write that a record is from, if its parts belong together.
fn shown(record: &Value) -> Edn {
    let write = record["payload"]["write"].as_i64();
    let whole = write.filter(|write| record["payload"] == payload_of(*write));
    let same = |write: &i64| {
        let shown: Option<Vec<f64>> =
            record["vector"].as_array().map(|parts| parts.iter().filter_map(Value::as_f64).collect());
        shown.is_some_and(|shown| shown == vector_of(*write))
    };
    whole.filter(same).map_or_else(|| Edn::keyword("torn"), Edn::Int)
}
