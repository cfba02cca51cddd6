//! Histories of real clients under real faults, judged by the checkers: the same runs as `jepsen-lite run`, only short.
//! What takes root, or a library that is not there, is left out loudly.

use std::time::Duration;

use anyhow::{Error, Result};
use jepsen_lite::check::{Limits, Model, Verdict, check};
use jepsen_lite::run::nemesis::Fault;
use jepsen_lite::run::{Outcome, Plan, Workload, run};
use jepsen_lite::scratch::Scratch;
use jepsen_lite::seed::{from_env, seed};

use crate::support::{binary, place};

async fn judged(name: &str, workload: Workload, level: &str, faults: &[Fault]) -> Result<Outcome> {
    let _place = place().await;
    let time = Duration::from_secs(from_env("QUIVER_JEPSEN_SECONDS").unwrap_or(30));
    let outcome = run(&Plan::new(binary(), workload, level, faults, seed(name), time)).await?;
    for (fault, why) in &outcome.skipped {
        println!("  SKIPPED, NOT TESTED: {}: {why}", fault.name());
    }
    if outcome.verdict != Verdict::Ok {
        return Err(failed(name, &outcome, outcome.verdict.told(&outcome.history)?));
    }
    println!("  {} faults, {} events", outcome.faults(), outcome.history.events.len());
    Ok(outcome)
}

/// Keeps what shows the failure, where the gate looks for it, and says where.
fn failed(name: &str, outcome: &Outcome, why: String) -> Error {
    let kept = Scratch::new(name).and_then(|kept| outcome.keep(&kept.logs()));
    let unkept = kept.err().map_or(String::new(), |error| format!("; nothing could be kept of it: {error:#}"));
    Error::msg(format!("{name}: {why}{unkept}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_at_all() -> Result<()> {
    let faults = [Fault::Kill, Fault::Pause, Fault::Partition, Fault::OneWay, Fault::Bridge, Fault::Flapping];
    judged("jepsen_register_all", Workload::Register, "all", &faults).await.map(drop)
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

/// What reads at ONE promise without a session is kept, over restarts too; and what they do not promise is seen to be
/// missing, so that the judge of the others is known to have something to find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_one_never_go_back_on_a_node_and_are_not_linearizable() -> Result<()> {
    let outcome = judged("jepsen_register_one", Workload::Register, "one", &[Fault::Partition, Fault::KillAll]).await?;
    let stricter = check(&outcome.history, Model::CasRegister, Limits::default())?;
    if !matches!(stricter, Verdict::Illegal(_)) {
        return Err(failed("jepsen_register_one", &outcome, format!("no read at ONE was ever stale: {stricter:?}")));
    }
    Ok(())
}
