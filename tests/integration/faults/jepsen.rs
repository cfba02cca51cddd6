//! Histories of real clients under real faults, judged by the checkers: the same runs as `jepsen-lite run`, only short.
//! What takes root, or a library that is not there, is left out loudly.

use std::time::Duration;

use anyhow::{Error, Result};
use jepsen_lite::check::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use jepsen_lite::history::edn::Edn;
use jepsen_lite::history::ops::{HistoryOperation, pair};
use jepsen_lite::history::{History, HistoryEvent, HistoryProcess, Type};
use jepsen_lite::run::nemesis::Fault;
use jepsen_lite::run::{RunOutcome, RunPlan, Through, Workload, run};
use jepsen_lite::scratch::ScratchDirectory;
use jepsen_lite::seed::{from_env, seed};

use crate::support::{binary, place};

async fn judged(name: &str, workload: Workload, level: &str, faults: &[Fault]) -> Result<RunOutcome> {
    judged_through(Through::Nodes, name, workload, level, faults).await
}

async fn judged_through(
    through: Through,
    name: &str,
    workload: Workload,
    level: &str,
    faults: &[Fault],
) -> Result<RunOutcome> {
    let _place = place().await;
    let time = Duration::from_secs(from_env("QUIVER_JEPSEN_SECONDS").unwrap_or(30));
    let outcome =
        run(&RunPlan { through, ..RunPlan::new(binary(), workload, level, faults, seed(name), time) }).await?;
    for (fault, why) in &outcome.skipped {
        println!("  SKIPPED, NOT TESTED: {}: {why}", fault.name());
    }
    if outcome.verdict != HistoryVerdict::Ok {
        return Err(failed(name, &outcome, outcome.verdict.describe(&outcome.history)?));
    }
    println!("  {} faults, {} events", outcome.faults(), outcome.history.events.len());
    Ok(outcome)
}

/// Keeps what shows the failure, where the gate looks for it, and says where.
fn failed(name: &str, outcome: &RunOutcome, why: String) -> Error {
    let kept = ScratchDirectory::new(name).and_then(|kept| outcome.keep(&kept.logs()));
    let unkept = kept.err().map_or(String::new(), |error| format!("; nothing could be kept of it: {error:#}"));
    Error::msg(format!("{name}: {why}{unkept}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_at_all() -> Result<()> {
    let faults = [Fault::Kill, Fault::Pause, Fault::Partition, Fault::OneWay, Fault::Bridge, Fault::Flapping];
    judged("jepsen_register_all", Workload::Register, "all", &faults).await.map(drop)
}

/// Clients know a gateway alone, which is killed and stopped in its tracks as nodes are; and a copy of a node's directory
/// runs beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_through_a_gateway() -> Result<()> {
    let faults = [Fault::Kill, Fault::KillGateway, Fault::PauseGateway, Fault::Pause, Fault::Doubled];
    judged_through(Through::Gateway, "jepsen_gateway", Workload::Register, "quorum", &faults).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_at_quorum_over_power_losses() -> Result<()> {
    let faults = [Fault::PowerLoss, Fault::PowerLossAll];
    judged("jepsen_power_loss", Workload::Register, "quorum", &faults).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_and_counts_are_whole_while_nodes_come_and_go() -> Result<()> {
    judged("jepsen_churn", Workload::Scan, "quorum", &[Fault::Churn, Fault::LeftBehind]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_loses_nothing_on_disks_that_fill_and_fail() -> Result<()> {
    judged("jepsen_disks", Workload::Set, "quorum", &[Fault::DiskFull, Fault::DiskError]).await.map(drop)
}

/// Any node, whoever is away, shows a session what it has written and nothing older than it has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_at_one_never_go_back() -> Result<()> {
    judged("jepsen_session", Workload::Session, "one", &[Fault::KillAll, Fault::Partition]).await.map(drop)
}

/// The same history without its reads, whatever they showed.
fn without_reads(history: &History) -> History {
    let events = history.events.iter().filter(|event| event.f != "read").cloned().collect();
    History { events, ..history.clone() }
}

/// The same history with one more read at its end, which shows what an acknowledged write had overwritten long before;
/// `None` if no two writes of one register were acknowledged one after the other.
fn with_a_stale_read(history: &History) -> Result<Option<History>> {
    let ops = pair(history)?.ops;
    let written: Vec<_> = ops.iter().filter(|op| op.ok() && op.f == "write").collect();
    let key = |op: &HistoryOperation| op.input.items().and_then(|items| items.first().cloned());
    let overwritten = written.iter().find(|old| written.iter().any(|new| old.ret < new.call && key(old) == key(new)));
    let Some((old, key)) = overwritten.and_then(|old| Some((old, key(old)?))) else { return Ok(None) };
    let clients = history.events.iter().filter_map(|event| match event.process {
        HistoryProcess::Client(number) => Some(number),
        HistoryProcess::Named(_) => None,
    });
    let reader = clients.max().unwrap_or_default() + 1;
    let end = history.events.iter().filter_map(|event| event.time).max().unwrap_or_default();
    let mut stale = history.clone();
    stale.events.push(HistoryEvent::new(reader, Type::Invoke, "read", Edn::Vector(vec![key, Edn::Nil])).at(end + 1));
    stale.events.push(HistoryEvent::new(reader, Type::Ok, "read", old.input.clone()).at(end + 2));
    Ok(Some(stale))
}

/// What reads at ONE promise without a session is kept, over restarts too. The writes beside them are linearizable. And
/// the judge of the other levels finds a stale read in this very history: one that is put in, since chance decides
/// whether any read of the run was stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_one_never_go_back_on_a_node_and_a_stale_read_is_seen_by_the_stricter_judge() -> Result<()> {
    let name = "jepsen_register_one";
    let outcome = judged(name, Workload::Register, "one", &[Fault::Partition, Fault::KillAll]).await?;
    let strictly = |history: &History| check(history, ConsistencyModel::CasRegister, CheckLimits::default());
    let by_chance = matches!(strictly(&outcome.history)?, HistoryVerdict::Illegal(_));
    println!("  a read at ONE was {}stale in this run", if by_chance { "" } else { "never " });

    let writes = without_reads(&outcome.history);
    let verdict = strictly(&writes)?;
    if verdict != HistoryVerdict::Ok {
        return Err(failed(name, &outcome, verdict.describe(&writes)?));
    }
    let Some(stale) = with_a_stale_read(&writes)? else {
        return Err(failed(name, &outcome, "no register was written twice, so nothing was tested".to_owned()));
    };
    let verdict = strictly(&stale)?;
    if !matches!(verdict, HistoryVerdict::Illegal(_)) {
        return Err(failed(name, &outcome, format!("a stale read passes for linearizable: {verdict:?}")));
    }
    Ok(())
}
