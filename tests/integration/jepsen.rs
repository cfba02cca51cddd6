//! Histories of real clients under real faults, judged by the checkers: the same runs as `jepsen-lite run`, only short.

use std::time::Duration;

use anyhow::{Result, ensure};
use jepsen_lite::check::{Limits, Model, Verdict, check};
use jepsen_lite::run::nemesis::Fault;
use jepsen_lite::run::{Outcome, Plan, Workload, run};
use jepsen_lite::seed::{from_env, seed};

use crate::support::{binary, place};

async fn judged(name: &str, workload: Workload, level: &str, faults: &[Fault]) -> Result<Outcome> {
    let _place = place().await;
    let plan = Plan {
        binary: binary(),
        workload,
        faults: faults.to_vec(),
        level: level.to_owned(),
        seed: seed(name),
        time: Duration::from_secs(from_env("QUIVER_JEPSEN_SECONDS").unwrap_or(20)),
        nodes: 3,
    };
    run(&plan).await
}

async fn explained(name: &str, workload: Workload, level: &str, faults: &[Fault]) -> Result<Outcome> {
    let outcome = judged(name, workload, level, faults).await?;
    if outcome.verdict != Verdict::Ok {
        let kept = std::env::temp_dir().join(format!("{name}-{}.edn", std::process::id()));
        std::fs::write(&kept, outcome.history.to_edn())?;
        println!("the history is in {}", kept.display());
    }
    ensure!(outcome.verdict == Verdict::Ok, "{:?}", outcome.verdict);
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_at_all() -> Result<()> {
    explained("jepsen_register_all", Workload::Register, "all", &[Fault::Kill, Fault::Partition]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable_at_quorum() -> Result<()> {
    explained("jepsen_register_quorum", Workload::Register, "quorum", &[Fault::Pause, Fault::Flapping]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_loses_nothing_when_all_nodes_are_killed() -> Result<()> {
    explained("jepsen_set", Workload::Set, "quorum", &[Fault::KillAll, Fault::Bridge]).await.map(drop)
}

/// What reads at ONE promise is kept; and what they do not promise is seen to be missing, so that the judge of the
/// others is known to have something to find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_one_never_go_back_on_a_node_and_are_not_linearizable() -> Result<()> {
    let outcome = explained("jepsen_register_one", Workload::Register, "one", &[Fault::Partition]).await?;
    let stricter = check(&outcome.history, Model::CasRegister, Limits::default())?;
    ensure!(matches!(stricter, Verdict::Illegal(_)), "no read at ONE was ever stale: {stricter:?}");
    Ok(())
}
