//! What clients do, on the public interface alone.
//!
//! Every write has a value of its own, and its vector and payload are functions of that value ([`content`]): a read that
//! shows parts which do not belong together is written down as `:torn`, which nobody wrote. Outcomes: *fail* only where the
//! answer says that nothing was applied; a mutation whose fate is unknown is *info*, and its process is not heard of again.

mod collections;
pub(super) mod content;
mod points;
mod registers;
mod request_parts;
mod retries;
mod sets;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::Workload;
use super::recorder::{HistoryRecorder, outcome, problem};
use crate::harness::client::{ApiAnswer, ApiClient};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;

/// The collection that all clients share.
pub const COLLECTION: &str = "jepsen";
/// The size of its vectors.
pub const SIZE: usize = 2;

/// How long a client waits for an answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Where a node, or a gateway, is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// By which it is asked.
    pub client: ApiClient,
}

/// Where clients go at the moment, and where each member is reached by itself.
#[derive(Clone, Debug)]
pub struct Entries {
    /// For clients: the members, or the gateway in front of them.
    pub clients: Vec<Endpoint>,
    /// The members.
    pub members: Vec<Endpoint>,
}

/// The entries of the moment. Clones share them.
#[derive(Clone, Debug)]
pub struct Endpoints(Arc<RwLock<Entries>>);

impl Endpoints {
    /// These.
    pub fn new(entries: Entries) -> Self {
        Self(Arc::new(RwLock::new(entries)))
    }

    /// From now on these.
    pub fn set(&self, entries: Entries) {
        *self.0.write().expect("nothing under the lock panics") = entries;
    }

    /// All that clients know.
    pub fn all(&self) -> Vec<Endpoint> {
        self.0.read().expect("nothing under the lock panics").clients.clone()
    }

    /// The members, each by itself.
    pub fn members(&self) -> Vec<Endpoint> {
        self.0.read().expect("nothing under the lock panics").members.clone()
    }
}

/// What all clients of a run share.
pub struct WorkloadState {
    /// What they do.
    pub workload: Workload,
    /// The read level, and that of writes.
    pub level: String,
    /// Where all is written down.
    pub recorder: HistoryRecorder,
    /// Of the nodes.
    pub endpoints: Endpoints,
    /// Ends them.
    pub stop: AtomicBool,
    /// Elements that were added and that nobody tried to remove.
    present: Mutex<Vec<i64>>,
    counter: AtomicI64,
    processes: AtomicI64,
    /// Answered writes that are to be sent again.
    again: Mutex<Vec<retries::Answered>>,
}

impl WorkloadState {
    /// For clients of these nodes.
    pub fn new(workload: Workload, level: &str, recorder: HistoryRecorder, endpoints: Endpoints) -> Self {
        let (counter, processes) = (AtomicI64::new(1), AtomicI64::new(0));
        let (level, stop, present) = (level.to_owned(), AtomicBool::new(false), Mutex::default());
        Self { workload, level, recorder, endpoints, stop, present, counter, processes, again: Mutex::default() }
    }

    fn next(&self) -> i64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }
}

/// One client.
pub struct Worker {
    shared: Arc<WorkloadState>,
    rng: StdRng,
    process: i64,
    endpoint: Endpoint,
    /// The last version and value read of a key, for compare-and-set.
    known: Option<(i64, u64, Edn)>,
    /// How far each shard's log was when this session last saw or wrote it.
    session: BTreeMap<u64, u64>,
    /// Processes that do parts of one request.
    part_processes: Vec<i64>,
}

impl Worker {
    /// The client of this number.
    pub fn new(shared: Arc<WorkloadState>, seed: u64, number: usize) -> Self {
        let process = shared.processes.fetch_add(1, Ordering::Relaxed);
        let endpoints = shared.endpoints.all();
        let endpoint = endpoints[number % endpoints.len()].clone();
        let rng = StdRng::seed_from_u64(seed ^ ((number as u64 + 1) << 32));
        Self { shared, rng, process, endpoint, known: None, session: BTreeMap::new(), part_processes: Vec::new() }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            let good = match self.shared.workload {
                Workload::Register => self.register().await,
                Workload::Session => self.session().await,
                Workload::Batch => self.batch().await,
                Workload::Set => self.set().await,
                Workload::Scan => self.scanned_set().await,
                Workload::Sweep => self.swept_set().await,
                Workload::Indexed => self.indexed_set().await,
                Workload::Drops => self.collections().await,
                Workload::Retry => self.retried().await,
                Workload::Spread => self.spread().await,
                Workload::Search | Workload::SearchBatch | Workload::Approximate => self.points().await,
            };
            if !good || self.shared.workload == Workload::Session {
                // Another node may do better; and a session is of use where it goes from node to node.
                self.elsewhere();
            }
            if !good {
                // A refusal that comes at once says nothing new.
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            let pause = self.rng.random_range(2..20);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Shows once more everything there is.
    ///
    /// # Errors
    /// Where the node does not answer.
    pub async fn last_reads(&mut self) -> Result<()> {
        let good = match self.shared.workload {
            Workload::Set => self.read_set().await,
            Workload::Scan | Workload::Sweep | Workload::Indexed => self.scan().await && self.count().await,
            Workload::Drops => self.read_collections().await,
            Workload::Search => self.nearest(100).await,
            Workload::SearchBatch => self.nearest_of_several(100).await,
            Workload::Approximate => self.nearest(10).await,
            Workload::Register | Workload::Session | Workload::Batch | Workload::Retry | Workload::Spread => {
                self.read_registers().await
            }
        };
        ensure!(good, "{} did not answer a last read although all faults were undone", self.endpoint.name);
        Ok(())
    }

    fn elsewhere(&mut self) {
        let endpoints = self.shared.endpoints.all();
        self.endpoint = endpoints[self.rng.random_range(0..endpoints.len())].clone();
    }

    fn client(&self) -> ApiClient {
        self.endpoint.client.with_deadline(DEADLINE)
    }

    fn begin(&self, f: &str, value: &Edn) {
        let extra = vec![("level".to_owned(), Edn::keyword(&self.shared.level))];
        self.shared.recorder.client(self.process, Type::Invoke, f, value.clone(), extra);
    }

    fn end(&mut self, kind: Type, f: &str, value: Edn, mut extra: Vec<(String, Edn)>) -> bool {
        if !extra.iter().any(|(name, _)| name == "node") {
            extra.push(("node".to_owned(), Edn::Str(self.endpoint.name.clone())));
        }
        self.shared.recorder.client(self.process, kind, f, value, extra);
        if kind == Type::Info {
            self.process = self.shared.processes.fetch_add(1, Ordering::Relaxed);
        }
        kind == Type::Ok
    }

    /// Ends a read that was not answered.
    fn refused(&mut self, f: &str, value: Edn, answer: &ApiAnswer) -> bool {
        self.end(Type::Fail, f, value, vec![("error".to_owned(), problem(answer))])
    }

    /// Ends a mutation by what its answer says of it.
    fn end_write(&mut self, f: &str, value: Edn, answer: &ApiAnswer) -> bool {
        let version = answer.body["results"][0]["version"].as_i64().or_else(|| deleted_at(answer));
        let mut extra: Vec<_> = version.map(|version| ("version".to_owned(), Edn::Int(version))).into_iter().collect();
        let kind = outcome(answer.class);
        if answer.status == Some(412) && answer.code() == "version_mismatch" {
            extra.push(("error".to_owned(), Edn::keyword("mismatch")));
        } else if kind != Type::Ok {
            extra.push(("error".to_owned(), problem(answer)));
        }
        self.end(kind, f, value, extra)
    }

    fn more(&self) -> Value {
        json!({"consistency": self.shared.level, "timeout_ms": 2500})
    }
}

/// The version at which a deletion in one shard was carried out: the only index in its token.
fn deleted_at(answer: &ApiAnswer) -> Option<i64> {
    answer.body["deleted"].as_u64()?;
    let (version, part) = answer.body["token"].as_str()?.split_once('.')?;
    let (_, index) = part.split_once('-').filter(|_| version == "s1" && !part.contains('.'))?;
    i64::from_str_radix(index, 16).ok()
}
