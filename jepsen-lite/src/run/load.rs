//! Writers and searchers that run beside the faults of a test.
//!
//! Writers upsert and delete a few hot keys of a [`RegisterCollection`] through all clients; searchers read all of it at every
//! level in turn. All of it goes into the collection's history, and is judged there. A write of unknown fate is asked again
//! under the same `request_id` for a while, as a careful client does, so that every run tests the store's promise to apply
//! it once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

use super::register_collection::{OpenMutation, RegisterCollection};
use crate::harness::client::{AnswerClass, ApiAnswer, ApiClient};
use crate::harness::seed::request_id;

/// Concurrent searchers.
const SEARCHERS: usize = 2;
/// The pause of a searcher between two searches: each enters a read of every key.
const SEARCH_PAUSE: Duration = Duration::from_millis(60);
/// One mutation in this many is a delete.
const DELETE_ONE_IN: u32 = 8;
/// The least pause of a writer after a refusal. Where nobody listens, refusals come by the thousand and say nothing new.
const REFUSED_PAUSE: Duration = Duration::from_millis(40);
/// How long a writer or searcher waits for one answer.
const DEADLINE: Duration = Duration::from_secs(4);
/// Most refusals that are kept to be told.
const MAX_TOLD: usize = 20;

/// What the load does.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// How many points there are to fight over: the keys from 0 on.
    pub keys: u64,
    /// Concurrent writers.
    pub writers: usize,
    /// The pause of a writer between two operations.
    pub pause: Duration,
    /// How long an unknown outcome is asked again for.
    pub insist: Duration,
    /// The seed of all choices.
    pub seed: u64,
}

impl LoadPlan {
    /// Six writers on 48 keys.
    pub fn new(seed: u64) -> Self {
        Self { keys: 48, writers: 6, pause: Duration::from_millis(10), insist: Duration::from_secs(8), seed }
    }
}

struct LoadState {
    plan: LoadPlan,
    clients: Vec<ApiClient>,
    points: RegisterCollection,
    stop: AtomicBool,
    searches: AtomicU64,
    refused_searches: AtomicU64,
    hard: Mutex<Vec<String>>,
}

/// What became of the load, beside what is in the history.
#[derive(Debug)]
pub struct LoadOutcome {
    /// Searches that were answered.
    pub searches: u64,
    /// Searches that were refused or not answered.
    pub refused: u64,
    /// Writes and searches that were refused for good, although nothing was wrong with them; the first few.
    pub hard: Vec<String>,
}

impl LoadOutcome {
    /// Every refusal was one that a client may simply repeat.
    ///
    /// # Errors
    /// The others.
    pub fn soft(&self) -> Result<()> {
        ensure!(self.hard.is_empty(), "refused for good: {:#?}", self.hard);
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
    pub fn start(plan: LoadPlan, clients: Vec<ApiClient>, points: RegisterCollection) -> Self {
        let shared = Arc::new(LoadState {
            plan,
            clients,
            points,
            stop: AtomicBool::new(false),
            searches: AtomicU64::new(0),
            refused_searches: AtomicU64::new(0),
            hard: Mutex::default(),
        });
        // Each with a number, from which its client and its choices follow.
        let mut tasks = JoinSet::new();
        for number in 0..shared.plan.writers {
            tasks.spawn(write_on(shared.clone(), number));
        }
        for number in 0..SEARCHERS {
            tasks.spawn(search_on(shared.clone(), number));
        }
        Self { shared, tasks }
    }

    /// Lets every operation under way come to its end.
    pub async fn stop(mut self) -> LoadOutcome {
        self.shared.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer or searcher panicked");
        }
        LoadOutcome {
            searches: self.shared.searches.load(Ordering::SeqCst),
            refused: self.shared.refused_searches.load(Ordering::SeqCst),
            hard: std::mem::take(&mut *self.shared.hard.lock().expect("nothing under the lock panics")),
        }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.points.acknowledged()
    }

    /// Waits until `more` further writes were acknowledged, so that a run is as long as its effect and not as a clock
    /// says.
    ///
    /// # Errors
    /// Fewer writes within `patience`.
    pub async fn progress(&self, more: usize, patience: Duration) -> Result<()> {
        let (start, wanted) = (Instant::now(), self.acknowledged() + more);
        while self.acknowledged() < wanted {
            ensure!(start.elapsed() < patience, "no {more} writes acknowledged within {patience:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

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

    fn client(&self, turn: usize) -> ApiClient {
        self.clients[turn % self.clients.len()].with_deadline(DEADLINE)
    }
}

async fn write_on(shared: Arc<LoadState>, number: usize) {
    let mut rng = StdRng::seed_from_u64(shared.plan.seed ^ ((number as u64) << 32));
    let mut turn = number;
    while !shared.stop.load(Ordering::SeqCst) {
        // A write or delete of a key, drawn anew each time, under an id of its own.
        let key = rng.random_range(0..shared.plan.keys);
        let is_delete = rng.random_ratio(1, DELETE_ONE_IN);
        let open = if is_delete { shared.points.begin_delete(key) } else { shared.points.begin_write(key) };
        let request = request_id(&mut rng);
        let (class, answer) = insist(&shared, &mut turn, &open, &request).await;
        shared.refused(&answer.problem);
        shared.points.end(open, class, &answer);
        let pause = if class == AnswerClass::Fail { REFUSED_PAUSE.max(shared.plan.pause) } else { shared.plan.pause };
        tokio::time::sleep(pause).await;
    }
}

/// Sends the operation until its fate is known or patience ends. Once unknown, a later failure proves nothing about the
/// first attempt.
async fn insist(shared: &LoadState, turn: &mut usize, open: &OpenMutation, request: &str) -> (AnswerClass, ApiAnswer) {
    let start = Instant::now();
    let mut class = AnswerClass::Fail;
    loop {
        let answer = shared.points.send(&shared.client(*turn), open, json!({"request_id": request})).await;
        // An acknowledgement settles it, whatever became of earlier tries.
        match answer.class {
            AnswerClass::Ok => return (AnswerClass::Ok, answer),
            AnswerClass::Unknown => class = AnswerClass::Unknown,
            AnswerClass::Fail => {}
        }
        // The next try goes elsewhere.
        *turn += 1;
        if class == AnswerClass::Fail || start.elapsed() > shared.plan.insist {
            return (class, answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn search_on(shared: Arc<LoadState>, number: usize) {
    let mut turn = number;
    while !shared.stop.load(Ordering::SeqCst) {
        // Each level through every client before the next level.
        let level = ["quorum", "all", "one"][turn / shared.clients.len() % 3];
        match shared.points.read_all(&shared.client(turn), level).await {
            Ok(()) => {
                shared.searches.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                shared.refused(&error.to_string());
                shared.refused_searches.fetch_add(1, Ordering::SeqCst);
            }
        }
        turn += 1;
        tokio::time::sleep(SEARCH_PAUSE).await;
    }
}
