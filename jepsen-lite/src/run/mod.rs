//! A run: real processes, clients that write down all they see, faults by a schedule, and a verdict.
//!
//! The seed is printed first and fixes every choice of the harness (real processes are not deterministic under it). At the
//! end all faults are undone, every node must answer, everything is read once more, replicas are held against each other,
//! and the history is judged. What the run was meant to do is checked too ([`coverage`]): a run whose faults did nothing, or
//! whose clients got nothing done, is *unknown*, not ok.

mod coverage;
mod environment;
mod finals;
mod keep;
pub mod load;
pub mod nemesis;
mod plan;
mod recorder;
pub mod register_collection;
mod watch;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use crate::judge::check;
use crate::judge::check::{CheckLimits, ConsistencyModel, HistoryVerdict};
use crate::judge::history::History;
use environment::TestEnvironment;
use nemesis::{Fault, Nemesis};
pub use plan::{MUTANT, RunPlan, Through, Workload};
use recorder::HistoryRecorder;
use watch::LeaderWatch;
use workload::{COLLECTION, Endpoints, SIZE, Worker, WorkloadState};

/// How many clients work at once.
const CLIENTS: usize = 6;

/// What came of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// All that happened.
    pub history: History,
    /// What the history is judged against.
    pub model: ConsistencyModel,
    /// What the judge says.
    pub verdict: HistoryVerdict,
    /// Faults that this machine has no means for, and why.
    pub skipped: Vec<(Fault, String)>,
    /// Where the nodes' logs are, where the verdict is not ok.
    pub logs: Option<PathBuf>,
    /// The command that does it again.
    pub replay: String,
}

impl RunOutcome {
    /// How many faults were done and undone.
    pub fn faults(&self) -> usize {
        self.history.events.iter().filter(|event| event.f.starts_with("end-")).count()
    }
}

/// Runs the plan. Node logs stay where a run fails.
///
/// # Errors
/// What keeps a run from being one: nodes that do not start.
pub async fn run(plan: &RunPlan) -> Result<RunOutcome> {
    let mut environment = TestEnvironment::start(plan).await?;
    // Before the clients start, there is something to work on, and somewhere to write it down.
    let made = environment.cluster.client(0).create_collection(COLLECTION, SIZE, "euclid").await;
    ensure!(made.status == Some(201), "making the collection: {}", made.problem);
    let recorder =
        HistoryRecorder::start(plan.header(&environment.faults), &environment.cluster.logs().join("history.edn"))?;
    let endpoints = Endpoints::new(environment.entries()?);
    let shared = Arc::new(WorkloadState::new(plan.workload, &plan.level, recorder.clone(), endpoints.clone()));
    shared.prepare().await?;
    let watch = LeaderWatch::start(endpoints.clone(), recorder.clone());
    // Clients work while faults come and go, until the last fault was undone.
    let mut workers = JoinSet::new();
    for number in 0..CLIENTS {
        workers.spawn(Worker::new(shared.clone(), plan.seed, number).run());
    }
    if plan.workload == Workload::Retry {
        shared.load();
    }
    let struck = strike(plan, &mut environment, endpoints, &recorder).await;
    shared.stop.store(true, Ordering::SeqCst);
    while workers.join_next().await.is_some() {}
    // Only a cluster in which all faults were undone owes an answer to the last reads.
    let finals = match struck {
        Ok(()) => finals::all(plan, &mut environment, &shared).await,
        failed => failed.map(|()| HistoryVerdict::Ok),
    };
    drop(watch);
    // Worst first: what the history shows, then the replicas, then a run that did not do what it was meant to.
    let history = recorder.history();
    let verdict = check::check(&history, plan.model(), CheckLimits::default())?;
    let verdict = verdict.and(|| finals.unwrap_or_else(|error| HistoryVerdict::Unknown(format!("{error:#}"))));
    let verdict = verdict.and(|| coverage::check(plan, &environment.faults, &history));
    // A node that does not end well makes no good run. Logs stay where a run fails.
    let (skipped, logs) = (std::mem::take(&mut environment.skipped), environment.cluster.logs());
    let verdict = if verdict == HistoryVerdict::Ok {
        environment
            .cluster
            .finish()
            .map_or_else(|error| HistoryVerdict::Unknown(format!("{error:#}")), |()| HistoryVerdict::Ok)
    } else {
        verdict
    };
    let logs = (verdict != HistoryVerdict::Ok).then_some(logs);
    Ok(RunOutcome { history, model: plan.model(), verdict, skipped, logs, replay: plan.replay() })
}

async fn strike(
    plan: &RunPlan,
    environment: &mut TestEnvironment,
    endpoints: Endpoints,
    recorder: &HistoryRecorder,
) -> Result<()> {
    let start = Instant::now();
    let faults = environment.faults.clone();
    let mut nemesis = Nemesis { environment, endpoints, recorder, rng: StdRng::seed_from_u64(plan.seed) };
    for turn in 0.. {
        // A pause between two faults, cut short at the end, but not before each fault had its turn.
        let quiet = Duration::from_millis(nemesis.rng.random_range(800..2500));
        let all_had_their_turn = turn >= faults.len();
        let quiet = if all_had_their_turn { quiet.min(plan.time.saturating_sub(start.elapsed())) } else { quiet };
        tokio::time::sleep(quiet).await;
        if all_had_their_turn && start.elapsed() >= plan.time {
            break;
        }
        // Each fault in turn, then any; a plan without faults only waits.
        let Some(last) = faults.len().checked_sub(1) else { continue };
        let choice = if all_had_their_turn { nemesis.rng.random_range(0..=last) } else { turn };
        nemesis.strike(faults[choice]).await?;
    }
    Ok(())
}
