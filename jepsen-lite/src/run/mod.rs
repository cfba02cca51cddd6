//! A run: real processes, clients that write down all they see, faults by a schedule, and a verdict.
//!
//! The seed is printed first and fixes every choice of the harness (real processes are not deterministic under it). At the
//! end all faults are undone, every node must answer, everything is read once more, and the history is judged. What the run
//! was meant to do is checked too ([`coverage`]): a run whose faults did nothing, or whose clients got nothing done, is
//! *unknown*, not ok.

pub mod nemesis;
mod recorder;
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
use crate::cluster::{Cluster, Options};
use crate::history::edn::Edn;
use crate::history::{History, Process, Type};
use nemesis::{Fault, Nemesis};
use recorder::Recorder;
use workload::{COLLECTION, Shared, Worker};

/// How many clients work at once.
const CLIENTS: usize = 6;

/// Operations that must have been acknowledged while a fault lasted.
const ACKNOWLEDGED_UNDER_FAULTS: usize = 20;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Read, write, delete and compare-and-set of single points.
    Register,
    /// Points are added, and all are read by one exact search. One shard.
    Set,
    /// Points move, and exact searches show the nearest. One shard.
    Search,
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
}

/// Runs the plan. Node logs stay where a run fails.
///
/// # Errors
/// What keeps a run from being one: nodes that do not start, or do not get healthy after a fault.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let shards = if plan.workload == Workload::Register { "4" } else { "1" };
    let options =
        Options { nodes: plan.nodes, ..Options::new("jepsen-lite", &plan.binary).args(&["--shards", shards]) };
    let mut cluster = Cluster::start(options).await?;
    let made = cluster.client(0).create_collection(COLLECTION, 2, "euclid").await;
    ensure!(made.status == Some(201), "making the collection: {}", made.problem);
    let recorder = Recorder::default();
    let shared = Arc::new(Shared::new(plan.workload, &plan.level, recorder.clone(), cluster.clients()));
    let mut workers = JoinSet::new();
    for number in 0..CLIENTS {
        workers.spawn(Worker::new(shared.clone(), plan.seed, number).run());
    }
    let struck = strike(plan, &mut cluster, &recorder).await;
    shared.stop.store(true, Ordering::SeqCst);
    while workers.join_next().await.is_some() {}
    let finals = match struck {
        Ok(()) => final_reads(plan, &mut cluster, &shared).await,
        failed => failed,
    };
    let history = History { header: header(plan), events: recorder.events() };
    let model = model(plan);
    let verdict = check::check(&history, model, Limits::default())?;
    let verdict = verdict.and(|| finals.err().map_or(Verdict::Ok, |error| Verdict::Unknown(format!("{error:#}"))));
    let verdict = verdict.and(|| coverage(plan, &history));
    let verdict = if verdict == Verdict::Ok {
        cluster.finish().map_or_else(|error| Verdict::Unknown(format!("{error:#}")), |()| Verdict::Ok)
    } else {
        verdict
    };
    Ok(Outcome { history, model, verdict })
}

async fn strike(plan: &Plan, cluster: &mut Cluster, recorder: &Recorder) -> Result<()> {
    let start = Instant::now();
    let mut nemesis = Nemesis { cluster, recorder, rng: StdRng::seed_from_u64(plan.seed) };
    nemesis.leading().await;
    for turn in 0.. {
        let quiet = Duration::from_millis(nemesis.rng.random_range(800..2500));
        tokio::time::sleep(quiet.min(plan.time.saturating_sub(start.elapsed()))).await;
        if start.elapsed() >= plan.time {
            break;
        }
        // Each has its turn before any comes again at random.
        let Some(last) = plan.faults.len().checked_sub(1) else { continue };
        let choice = if turn <= last { turn } else { nemesis.rng.random_range(0..=last) };
        nemesis.strike(plan.faults[choice]).await?;
    }
    Ok(())
}

/// Every node shows everything once more, at the level of the run.
async fn final_reads(plan: &Plan, cluster: &mut Cluster, shared: &Arc<Shared>) -> Result<()> {
    cluster.wait_healthy().await?;
    for node in 0..plan.nodes {
        let mut worker = Worker::new(shared.clone(), plan.seed, node);
        let good = match plan.workload {
            Workload::Set => worker.read_set().await,
            Workload::Search => worker.nearest(100).await,
            Workload::Register => {
                let mut good = true;
                for key in shared.registers() {
                    good &= worker.read(key).await;
                }
                good
            }
        };
        ensure!(good, "node{} did not answer a last read although all faults were undone", node + 1);
    }
    Ok(())
}

fn header(plan: &Plan) -> Vec<(String, Edn)> {
    let text = |text: String| Edn::Str(text);
    let faults: Vec<&str> = plan.faults.iter().map(|fault| fault.name()).collect();
    vec![
        ("faults".to_owned(), text(faults.join(","))),
        ("level".to_owned(), text(plan.level.clone())),
        ("nodes".to_owned(), Edn::Int(plan.nodes as i64)),
        ("seconds".to_owned(), Edn::Int(plan.time.as_secs() as i64)),
        ("seed".to_owned(), text(plan.seed.to_string())),
        ("workload".to_owned(), text(format!("{:?}", plan.workload).to_lowercase())),
    ]
}

fn model(plan: &Plan) -> Model {
    match plan.workload {
        // A client asks every node in turn, so the session whose reads may not go back is the node's.
        Workload::Register if plan.level == "one" => Model::NodeSession,
        Workload::Register => Model::CasRegister,
        Workload::Set => Model::Set,
        Workload::Search => Model::Search,
    }
}

/// Whether the run was one: each fault was done, each kind of operation was acknowledged, and some under faults.
fn coverage(plan: &Plan, history: &History) -> Verdict {
    let named =
        |name: &str| history.events.iter().any(|event| event.f == name && matches!(event.process, Process::Named(_)));
    if let Some(fault) = plan.faults.iter().find(|fault| !named(&format!("end-{}", fault.name()))) {
        return Verdict::Unknown(format!("the run was too short for the fault {}", fault.name()));
    }
    let wanted: &[&str] = match plan.workload {
        Workload::Register => &["read", "write", "delete", "cas"],
        Workload::Set => &["add", "read"],
        Workload::Search => &["upsert", "delete", "search"],
    };
    let acknowledged = |f: &str| history.events.iter().any(|event| event.f == f && event.kind == Type::Ok);
    if let Some(missing) = wanted.iter().find(|f| !acknowledged(f)) {
        return Verdict::Unknown(format!("no {missing} was ever acknowledged"));
    }
    let (mut under, mut hurt) = (0, false);
    for event in &history.events {
        match &event.process {
            Process::Named(name) if name == "nemesis" => hurt = !event.f.starts_with("end-"),
            Process::Client(_) if hurt && event.kind == Type::Ok => under += 1,
            _ => {}
        }
    }
    if !plan.faults.is_empty() && under < ACKNOWLEDGED_UNDER_FAULTS {
        return Verdict::Unknown(format!("only {under} operations were acknowledged while a fault lasted"));
    }
    Verdict::Ok
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Event;

    #[test]
    fn a_run_that_did_nothing_is_unknown() {
        let plan = Plan {
            binary: "quiver".into(),
            workload: Workload::Set,
            faults: vec![Fault::Kill],
            level: "all".into(),
            seed: 1,
            time: Duration::from_secs(1),
            nodes: 3,
        };
        let unknown = |events: &[Event], told: &str| {
            let verdict = coverage(&plan, &History::new(events.to_vec()));
            assert!(matches!(&verdict, Verdict::Unknown(why) if why.contains(told)), "{verdict:?}");
        };
        let note =
            |f: &str| Event { process: Process::Named("nemesis".into()), ..Event::new(0, Type::Info, f, Edn::Nil) };
        let ok = |f: &str| Event::new(1, Type::Ok, f, Edn::Nil);
        unknown(&[ok("add"), ok("read")], "too short for the fault kill");
        unknown(&[note("kill"), note("end-kill"), ok("add")], "no read was ever acknowledged");
        let quiet = [[note("kill"), note("end-kill")].to_vec(), vec![ok("add"); 30], vec![ok("read")]].concat();
        unknown(&quiet, "only 0 operations");
        let busy = [vec![note("kill")], vec![ok("add"); 30], vec![note("end-kill"), ok("read")]].concat();
        assert_eq!(coverage(&plan, &History::new(busy)), Verdict::Ok);
    }
}
