//! A run: real processes, clients that write down all they see, faults by a schedule, and a verdict.
//!
//! The seed is printed first and fixes every choice of the harness (real processes are not deterministic under it). At the
//! end all faults are undone, every node must answer, everything is read once more, replicas are held against each other,
//! and the history is judged. What the run was meant to do is checked too ([`coverage`]): a run whose faults did nothing, or
//! whose clients got nothing done, is *unknown*, not ok.

mod coverage;
mod finals;
mod keep;
pub mod nemesis;
mod recorder;
mod rig;
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

use crate::check::{self, Limits, Model, Verdict};
use crate::history::History;
use crate::history::edn::Edn;
use nemesis::{Fault, Need, Nemesis};
use recorder::Recorder;
use rig::Rig;
use watch::Watch;
use workload::{COLLECTION, Doors, Shared, Worker};

/// Tells a node, by its environment, which bug to have. In force only where the binary has bugs to choose from.
pub const MUTANT: &str = "QUIVER_MUTANT";

/// How many clients work at once.
const CLIENTS: usize = 6;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Read, write, delete and compare-and-set of single points.
    Register,
    /// Reads and writes at ONE on any node, each after what the session has seen.
    Session,
    /// Three points are written, deleted and read together. One shard.
    Batch,
    /// Points are added, and all are read by one exact search. One shard.
    Set,
    /// Points are added and removed, read page by page and counted.
    Scan,
    /// The same, and points are removed by a filter on their payload.
    Sweep,
    /// The same as scan by a filter, on a payload field whose index comes and goes.
    Indexed,
    /// Collections are dropped and made again under the same names.
    Drops,
    /// Registers, whose clients send each write again under its request id: at once where it is not answered, and long
    /// after it was, with other writes between.
    Retry,
    /// Three points, in several shards, are written, deleted and read together; each is a register of its own.
    Spread,
    /// Searches, several in one request.
    SearchBatch,
    /// Points move, and exact searches show the nearest. One shard.
    Search,
    /// Many points move, and approximate searches show the nearest.
    Approximate,
}

impl Workload {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Session => "session",
            Self::Batch => "batch",
            Self::Set => "set",
            Self::Scan => "scan",
            Self::Sweep => "sweep",
            Self::Indexed => "indexed",
            Self::Drops => "drops",
            Self::Retry => "retry",
            Self::Spread => "spread",
            Self::SearchBatch => "search-batch",
            Self::Search => "search",
            Self::Approximate => "approximate",
        }
    }

    /// Shards that its promise bears.
    fn shards(self) -> u32 {
        match self {
            Self::Register | Self::Session | Self::Scan | Self::Approximate => 4,
            Self::Sweep | Self::Indexed | Self::Drops | Self::Spread => 4,
            Self::Batch | Self::Set | Self::Search | Self::SearchBatch | Self::Retry => 1,
        }
    }
}

/// How a run is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `quiver` binary.
    pub binary: PathBuf,
    /// What clients do.
    pub workload: Workload,
    /// What is done to them.
    pub faults: Vec<Fault>,
    /// `one`, `quorum` or `all`.
    pub level: String,
    /// Of all choices.
    pub seed: u64,
    /// How long clients work.
    pub time: Duration,
    /// How many nodes.
    pub nodes: usize,
    /// Log entries after which a shard takes a snapshot; the store's own choice without it.
    pub snapshot_after: Option<u64>,
    /// Further environment of every node.
    pub env: Vec<(String, String)>,
}

impl Plan {
    /// A run of three nodes.
    pub fn new(binary: PathBuf, workload: Workload, level: &str, faults: &[Fault], seed: u64, time: Duration) -> Self {
        let (faults, level, env) = (faults.to_vec(), level.to_owned(), Vec::new());
        Self { binary, workload, faults, level, seed, time, nodes: 3, snapshot_after: None, env }
    }

    /// Whether its faults can be done together, to so many nodes.
    ///
    /// # Errors
    /// In words, where they cannot.
    pub fn fits(&self) -> Result<()> {
        let needs = |need: Need| self.faults.iter().any(|fault| fault.need() == need);
        ensure!(
            self.nodes >= 5 || !self.faults.contains(&Fault::Ring),
            "a ring of {} nodes cuts nothing: it takes 5 or more",
            self.nodes
        );
        ensure!(
            !(needs(Need::Namespaces) && needs(Need::PeerProxies)),
            "proxies between nodes are on the loopback interface, and nodes in namespaces are not: run them apart"
        );
        Ok(())
    }

    /// Further arguments of every node.
    fn args(&self) -> Vec<String> {
        let mut args = vec!["--shards".to_owned(), self.workload.shards().to_string()];
        // A node left behind has to come by snapshot, within the time of a run.
        let left_behind = self.faults.contains(&Fault::LeftBehind).then_some(40);
        if let Some(entries) = self.snapshot_after.or(left_behind) {
            args.extend(["--snapshot-after".to_owned(), entries.to_string(), "--keep-entries".to_owned()]);
            args.push((entries / 4).to_string());
        }
        args
    }

    fn model(&self) -> Model {
        match self.workload {
            // A client asks every node in turn, so the session whose reads may not go back is the node's.
            Workload::Register if self.level == "one" => Model::NodeSession,
            Workload::Register | Workload::Batch | Workload::Retry | Workload::Spread => Model::CasRegister,
            Workload::Session => Model::Session,
            Workload::Set => Model::Set,
            Workload::Scan | Workload::Sweep | Workload::Indexed => Model::Scan,
            Workload::Drops => Model::Drops,
            Workload::Search | Workload::SearchBatch | Workload::Approximate => Model::Search,
        }
    }

    /// The command that does it again.
    pub fn replay(&self) -> String {
        let option =
            |name: &str, value: Option<String>| value.map_or(String::new(), |value| format!(" --{name} {value}"));
        let mutant = self.env.iter().find(|(name, _)| name == MUTANT).map(|(_, mutant)| mutant.clone());
        format!(
            "jepsen-lite run --workload {}{} --level {} --seed {} --seconds {} --nodes {}{}{}",
            self.workload.name(),
            option("nemesis", Some(self.names()).filter(|faults| !faults.is_empty())),
            self.level,
            self.seed,
            self.time.as_secs(),
            self.nodes,
            option("snapshot-after", self.snapshot_after.map(|entries| entries.to_string())),
            option("mutant", mutant),
        )
    }

    /// The faults, with commas.
    pub fn names(&self) -> String {
        self.faults.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(",")
    }

    fn header(&self, faults: &[Fault]) -> Vec<(String, Edn)> {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
        vec![
            ("faults".to_owned(), Edn::Str(names.join(","))),
            ("level".to_owned(), Edn::Str(self.level.clone())),
            ("nodes".to_owned(), Edn::Int(self.nodes as i64)),
            ("seconds".to_owned(), Edn::Int(self.time.as_secs() as i64)),
            ("seed".to_owned(), Edn::Str(self.seed.to_string())),
            ("workload".to_owned(), Edn::Str(self.workload.name().to_owned())),
        ]
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// All that happened.
    pub history: History,
    /// What the history is judged against.
    pub model: Model,
    /// What the judge says.
    pub verdict: Verdict,
    /// Faults that this machine has no means for, and why.
    pub skipped: Vec<(Fault, String)>,
    /// Where the nodes' logs are, where the verdict is not ok.
    pub logs: Option<PathBuf>,
    /// The command that does it again.
    pub replay: String,
}

impl Outcome {
    /// How many faults were done and undone.
    pub fn faults(&self) -> usize {
        self.history.events.iter().filter(|event| event.f.starts_with("end-")).count()
    }
}

/// Runs the plan. Node logs stay where a run fails.
///
/// # Errors
/// What keeps a run from being one: nodes that do not start.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let mut rig = Rig::start(plan).await?;
    let made = rig.cluster.client(0).create_collection(COLLECTION, 2, "euclid").await;
    ensure!(made.status == Some(201), "making the collection: {}", made.problem);
    let recorder = Recorder::start(plan.header(&rig.faults), &rig.cluster.logs().join("history.edn"))?;
    let doors = Doors::new(rig.doors()?);
    let shared = Arc::new(Shared::new(plan.workload, &plan.level, recorder.clone(), doors.clone()));
    shared.prepare().await?;
    let watch = Watch::start(doors.clone(), recorder.clone());
    let mut workers = JoinSet::new();
    for number in 0..CLIENTS {
        workers.spawn(Worker::new(shared.clone(), plan.seed, number).run());
    }
    if plan.workload == Workload::Retry {
        shared.load();
    }
    let struck = strike(plan, &mut rig, doors, &recorder).await;
    shared.stop.store(true, Ordering::SeqCst);
    while workers.join_next().await.is_some() {}
    let finals = match struck {
        Ok(()) => finals::all(plan, &mut rig, &shared).await,
        failed => failed.map(|()| Verdict::Ok),
    };
    drop(watch);
    let history = recorder.history();
    let verdict = check::check(&history, plan.model(), Limits::default())?;
    let verdict = verdict.and(|| finals.unwrap_or_else(|error| Verdict::Unknown(format!("{error:#}"))));
    let verdict = verdict.and(|| coverage::check(plan, &rig.faults, &history));
    let (skipped, logs) = (std::mem::take(&mut rig.skipped), rig.cluster.logs());
    let verdict = if verdict == Verdict::Ok {
        rig.cluster.finish().map_or_else(|error| Verdict::Unknown(format!("{error:#}")), |()| Verdict::Ok)
    } else {
        verdict
    };
    let logs = (verdict != Verdict::Ok).then_some(logs);
    Ok(Outcome { history, model: plan.model(), verdict, skipped, logs, replay: plan.replay() })
}

async fn strike(plan: &Plan, rig: &mut Rig, doors: Doors, recorder: &Recorder) -> Result<()> {
    let start = Instant::now();
    let faults = rig.faults.clone();
    let mut nemesis = Nemesis { rig, doors, recorder, rng: StdRng::seed_from_u64(plan.seed) };
    for turn in 0.. {
        let quiet = Duration::from_millis(nemesis.rng.random_range(800..2500));
        let all_had_their_turn = turn >= faults.len();
        let quiet = if all_had_their_turn { quiet.min(plan.time.saturating_sub(start.elapsed())) } else { quiet };
        tokio::time::sleep(quiet).await;
        if all_had_their_turn && start.elapsed() >= plan.time {
            break;
        }
        let Some(last) = faults.len().checked_sub(1) else { continue };
        let choice = if all_had_their_turn { nemesis.rng.random_range(0..=last) } else { turn };
        nemesis.strike(faults[choice]).await?;
    }
    Ok(())
}
