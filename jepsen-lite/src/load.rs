//! Writers and searchers that run beside the faults.
//!
//! Writers upsert and delete a few hot keys through all gateways and enter each operation in the ledger; searchers ask
//! for everything at every level in turn and have the ledger judge each answer at once, an answer at ONE by the
//! staleness it admits. An answer of unknown fate is asked again under the same `request_id` for a while, as a careful
//! client does, so the store's promise to apply it once is tested by every run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::{AnswerClass, ApiAnswer, ApiClient};
use crate::ledger::{Fate, Ledger, Problem, ShownPoint, Ticket, content};

/// The least pause of a writer after a refusal.
const REFUSED_PAUSE: Duration = Duration::from_millis(40);

/// How much an answer at ONE may understate its staleness: a message of the leader may have been on its way for so long
/// on a busy machine.
const CLAIM_SLACK: Duration = Duration::from_millis(250);

/// What the load does.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The collection, of distance `euclid` or `dot` (others may change the vectors they keep).
    pub collection: String,
    /// How many points there are to fight over.
    pub keys: u64,
    /// Concurrent writers.
    pub writers: usize,
    /// Concurrent searchers.
    pub searchers: usize,
    /// One operation in this many is a delete; 0 for none.
    pub delete_one_in: u32,
    /// The pause of a writer or searcher between two operations.
    pub pause: Duration,
    /// How long an unknown outcome is asked again for.
    pub insist: Duration,
    /// The seed of all choices.
    pub seed: u64,
}

impl LoadPlan {
    /// Six writers and two searchers on 48 keys of `collection`.
    pub fn new(collection: &str, seed: u64) -> Self {
        Self {
            collection: collection.to_owned(),
            keys: 48,
            writers: 6,
            searchers: 2,
            delete_one_in: 8,
            pause: Duration::from_millis(10),
            insist: Duration::from_secs(8),
            seed,
        }
    }
}

struct LoadState {
    plan: LoadPlan,
    clients: Vec<ApiClient>,
    ledger: Arc<Ledger>,
    stop: AtomicBool,
    searches: AtomicU64,
    refused_searches: AtomicU64,
    problems: Mutex<Vec<Problem>>,
    hard: Mutex<Vec<String>>,
}

/// Most refusals that are kept to be told.
const MAX_TOLD: usize = 20;

impl LoadState {
    /// Keeps what a client may not simply ask again.
    fn refused(&self, problem: &str) {
        if problem.contains("\"retryable\":false") {
            let mut hard = self.hard.lock().expect("nothing under the lock panics");
            if hard.len() < MAX_TOLD {
                hard.push(problem.to_owned());
            }
        }
    }
}

/// What the searchers saw.
#[derive(Debug)]
pub struct Observed {
    /// Searches that were answered, and judged.
    pub searches: u64,
    /// Searches that were refused or not answered.
    pub refused: u64,
    /// Answers that contradict the ledger.
    pub problems: Vec<Problem>,
    /// Writes and searches that were refused for good, although nothing was wrong with them; the first few.
    pub hard: Vec<String>,
}

impl Observed {
    /// Every refusal was one that a client may simply repeat.
    pub fn soft(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.hard.is_empty(), "refused for good: {:#?}", self.hard);
        Ok(())
    }

    /// Nothing contradicts the ledger; otherwise an error with the first contradiction of each key.
    pub fn fresh(&self) -> anyhow::Result<()> {
        let first: BTreeMap<u64, &Problem> = self.problems.iter().rev().map(|problem| (problem.key, problem)).collect();
        let told: Vec<_> = first.values().take(10).map(|problem| format!("\n  {problem}")).collect();
        anyhow::ensure!(told.is_empty(), "{} stale or wrong answers:{}", self.problems.len(), told.concat());
        Ok(())
    }
}

/// A load under way; it ends when this is dropped or [`LoadGenerator::stop`]ped.
pub struct LoadGenerator {
    shared: Arc<LoadState>,
    tasks: JoinSet<()>,
}

impl LoadGenerator {
    /// Starts writers and searchers over all `clients`.
    pub fn start(plan: LoadPlan, clients: Vec<ApiClient>, ledger: Arc<Ledger>) -> Self {
        let shared = Arc::new(LoadState {
            plan,
            clients,
            ledger,
            stop: AtomicBool::new(false),
            searches: AtomicU64::new(0),
            refused_searches: AtomicU64::new(0),
            problems: Mutex::default(),
            hard: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..shared.plan.writers {
            tasks.spawn(write_on(shared.clone(), number));
        }
        for number in 0..shared.plan.searchers {
            tasks.spawn(search_on(shared.clone(), number));
        }
        Self { shared, tasks }
    }

    /// Lets every operation under way come to its end.
    pub async fn stop(mut self) -> Observed {
        self.shared.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer or searcher panicked");
        }
        Observed {
            searches: self.shared.searches.load(Ordering::SeqCst),
            refused: self.shared.refused_searches.load(Ordering::SeqCst),
            problems: std::mem::take(&mut *self.shared.problems.lock().expect("nothing under the lock panics")),
            hard: std::mem::take(&mut *self.shared.hard.lock().expect("nothing under the lock panics")),
        }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.ledger.counts().0
    }

    /// Waits until `more` further writes were acknowledged, so that a run is as long as its effect and not as a clock
    /// says.
    pub async fn progress(&self, more: usize, patience: Duration) -> anyhow::Result<()> {
        let (start, wanted) = (Instant::now(), self.acknowledged() + more);
        while self.acknowledged() < wanted {
            anyhow::ensure!(start.elapsed() < patience, "no {more} writes acknowledged within {patience:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

async fn write_on(shared: Arc<LoadState>, number: usize) {
    let mut rng = StdRng::seed_from_u64(shared.plan.seed ^ ((number as u64) << 32));
    let mut gateway = number;
    while !shared.stop.load(Ordering::SeqCst) {
        let key = rng.random_range(0..shared.plan.keys);
        let delete = shared.plan.delete_one_in > 0 && rng.random_ratio(1, shared.plan.delete_one_in);
        let ticket = if delete { shared.ledger.begin_delete(key) } else { shared.ledger.begin_put(key) };
        let request = request_id(&mut rng);
        let (class, answer) = insist(&shared, &mut gateway, key, &ticket, &request).await;
        let fate = fate(class, &answer);
        shared.refused(&answer.problem);
        shared.ledger.finish(ticket, fate, &answer.problem);
        // Where nobody listens, refusals come by the thousand and say nothing new.
        let pause = if class == AnswerClass::Fail { REFUSED_PAUSE.max(shared.plan.pause) } else { shared.plan.pause };
        tokio::time::sleep(pause).await;
    }
}

fn fate(class: AnswerClass, answer: &ApiAnswer) -> Fate {
    match class {
        AnswerClass::Ok => Fate::Ok(answer.body["results"][0]["version"].as_u64()),
        AnswerClass::Fail => Fate::Fail,
        AnswerClass::Unknown => Fate::Unknown,
    }
}

/// One attempt to write `key`, entered in the ledger; the answer. For tests that follow single writes.
pub async fn put(client: &ApiClient, collection: &str, ledger: &Ledger, key: u64) -> ApiAnswer {
    let ticket = ledger.begin_put(key);
    let (vector, payload) = content(key, ticket.write, ledger.size());
    let point = json!({"id": key, "vector": vector, "payload": payload});
    let answer = client.upsert(collection, vec![point], json!({"timeout_ms": 3000})).await;
    ledger.finish(ticket, fate(answer.class, &answer), &answer.problem);
    answer
}

/// Sends the operation until its fate is known or patience ends. Once unknown, a later failure proves nothing about the
/// first attempt.
async fn insist(
    shared: &LoadState,
    gateway: &mut usize,
    key: u64,
    ticket: &Ticket,
    request: &str,
) -> (AnswerClass, ApiAnswer) {
    let start = Instant::now();
    let mut class = AnswerClass::Fail;
    loop {
        let client = shared.clients[*gateway % shared.clients.len()].with_deadline(Duration::from_secs(4));
        let answer = operate(&client, shared, key, ticket, request).await;
        match answer.class {
            AnswerClass::Ok => return (AnswerClass::Ok, answer),
            AnswerClass::Unknown => class = AnswerClass::Unknown,
            AnswerClass::Fail => {}
        }
        *gateway += 1;
        if class == AnswerClass::Fail || start.elapsed() > shared.plan.insist {
            return (class, answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn operate(client: &ApiClient, shared: &LoadState, key: u64, ticket: &Ticket, request: &str) -> ApiAnswer {
    let more = json!({"request_id": request});
    if ticket.write == 0 {
        return client.delete(&shared.plan.collection, vec![json!(key)], more).await;
    }
    let (vector, payload) = content(key, ticket.write, shared.ledger.size());
    let point = json!({"id": key, "vector": vector, "payload": payload});
    client.upsert(&shared.plan.collection, vec![point], more).await
}

async fn search_on(shared: Arc<LoadState>, number: usize) {
    let mut turn = number;
    while !shared.stop.load(Ordering::SeqCst) {
        let client = shared.clients[turn % shared.clients.len()].with_deadline(Duration::from_secs(4));
        let level = ["quorum", "all", "one"][turn / shared.clients.len() % 3];
        turn += 1;
        match judged_search(&client, &shared, level).await {
            Ok(found) => {
                shared.problems.lock().expect("nothing under the lock panics").extend(found);
                shared.searches.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                shared.refused(&error.to_string());
                shared.refused_searches.fetch_add(1, Ordering::SeqCst);
            }
        }
        tokio::time::sleep(shared.plan.pause * 3).await;
    }
}

/// Reads everything and judges it: at QUORUM and ALL as of the moment of asking, at ONE as of what the answer claims
/// (`staleness_ms`).
async fn judged_search(client: &ApiClient, shared: &LoadState, level: &str) -> anyhow::Result<Vec<Problem>> {
    let (plan, ledger) = (&shared.plan, &shared.ledger);
    let (mut started, asked) = (ledger.now(), Instant::now());
    let (shown, body) = search_all(client, &plan.collection, ledger.size(), plan.keys as usize, level).await?;
    let ended = ledger.now();
    if level == "one" {
        let rows = body["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
        // `null` claims nothing: such an answer may be as old as the store.
        let claims: Option<Vec<u64>> = rows.iter().map(|row| row.get("staleness_ms")?.as_u64()).collect();
        let claimed = claims.map(|claims| Duration::from_millis(claims.into_iter().max().unwrap_or(0)) + CLAIM_SLACK);
        let since = claimed.and_then(|claimed| asked.checked_sub(claimed));
        started = since.map_or(0, |instant| ledger.moment_at(instant));
    }
    Ok((0..plan.keys).filter_map(|key| ledger.judge(key, started, ended, shown.get(&key))).collect())
}

/// Everything a collection holds, by one exact search that asks for more than there can be.
pub async fn read_everything(
    client: &ApiClient,
    collection: &str,
    size: usize,
    at_most: usize,
    level: &str,
) -> anyhow::Result<BTreeMap<u64, ShownPoint>> {
    search_all(client, collection, size, at_most, level).await.map(|(shown, _)| shown)
}

async fn search_all(
    client: &ApiClient,
    collection: &str,
    size: usize,
    at_most: usize,
    level: &str,
) -> anyhow::Result<(BTreeMap<u64, ShownPoint>, Value)> {
    let query = vec![1.0; size];
    let more = json!({"consistency": level, "with_payload": true, "with_vector": true, "params": {"exact": true}});
    let body = client.search(collection, &query, at_most + 100, more).await.ok()?;
    let results = body["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown: BTreeMap<_, _> = results.iter().filter_map(ShownPoint::from_record).collect();
    anyhow::ensure!(shown.len() == results.len(), "a search showed an id twice or no number as id: {body}");
    Ok((shown, body))
}

/// A random version-4 UUID from the run's own generator.
pub fn request_id(rng: &mut StdRng) -> String {
    let bits = (rng.random::<u128>() & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
