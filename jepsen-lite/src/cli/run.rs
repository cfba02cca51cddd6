//! `run` and `soak`: real processes under faults, judged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::harness::{netns, seed};
use crate::judge::check::HistoryVerdict;
use crate::run::nemesis::{Fault, Need};
use crate::run::{self, RunOutcome, RunPlan, Through, Workload};

/// How a run is.
#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    /// The `quiver` binary.
    #[arg(long, env = "QUIVER_BINARY", default_value = "target/debug/quiver")]
    binary: PathBuf,
    /// What clients do.
    #[arg(long)]
    workload: Workload,
    /// What is done to the nodes; none for a quiet run.
    #[arg(long, value_delimiter = ',')]
    nemesis: Vec<Fault>,
    /// The level of reads and writes.
    #[arg(long, default_value = "quorum")]
    level: ConsistencyLevel,
    /// Of all choices; drawn and printed where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How long clients work.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many nodes; 3 or more.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// Whom clients talk to.
    #[arg(long, default_value = "nodes")]
    through: Through,
    /// Log entries of a shard after which it takes a snapshot [default: the store's, or 40 with left-behind].
    #[arg(long)]
    snapshot_after: Option<u64>,
    /// Break the store on purpose, where the binary was built with the feature `mutants`: a run that passes then is bad news.
    #[arg(long)]
    mutant: Option<String>,
    /// Where history.edn, report.html, summary.md and the logs of a failed run's nodes go.
    #[arg(long, default_value = "jepsen-lite-run")]
    out: PathBuf,
}

/// The levels by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConsistencyLevel {
    One,
    Quorum,
    All,
}

impl RunArgs {
    fn plan(&self, seed: u64) -> Result<RunPlan> {
        // Workload, level and faults must promise something together; what the plan itself asks is asked last.
        let sessions = matches!(self.workload, Workload::Register | Workload::Session);
        ensure!(
            self.level != ConsistencyLevel::One || sessions,
            "at ONE only the register and session workloads have a promise to be judged by"
        );
        ensure!(
            self.level == ConsistencyLevel::One || self.workload != Workload::Session,
            "a session is what reads at ONE can have: run it with --level one"
        );
        ensure!(
            self.level == ConsistencyLevel::All || !self.nemesis.contains(&Fault::ClockRate),
            "only ALL promises anything where a clock runs at half the rate: run it with --level all"
        );
        ensure!(
            self.binary.is_file(),
            "{} is no file; build quiver first, or name its binary with --binary",
            self.binary.display()
        );
        let level = self.level.name();
        let time = Duration::from_secs(self.seconds);
        let env = self.mutant.iter().map(|mutant| (run::MUTANT.to_owned(), mutant.clone())).collect();
        let plan = RunPlan {
            nodes: usize::from(self.nodes),
            through: self.through,
            snapshot_after: self.snapshot_after,
            env,
            ..RunPlan::new(self.binary.clone(), self.workload, level, &self.nemesis, seed, time)
        };
        plan.fits().map(|()| plan)
    }
}

impl ConsistencyLevel {
    fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Quorum => "quorum",
            Self::All => "all",
        }
    }
}

/// One run; the exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let seed = args.seed.unwrap_or_else(|| seed::seed("jepsen-lite run"));
    once(args, seed, &args.out)
}

/// Runs with one seed after the other for `hours`; stops at the first that is not ok.
pub(super) fn soak(args: &RunArgs, hours: f64) -> Result<u8> {
    let first = args.seed.unwrap_or_else(|| seed::seed("jepsen-lite soak"));
    let time =
        Duration::try_from_secs_f64(hours * 3600.0).with_context(|| format!("{hours} hours cannot be waited for"))?;
    let start = Instant::now();
    let mut seed = first;
    loop {
        let code = once(args, seed, &args.out)?;
        if code != 0 || start.elapsed() >= time {
            return Ok(code);
        }
        seed += 1;
    }
}

fn once(args: &RunArgs, seed: u64, out: &Path) -> Result<u8> {
    let plan = args.plan(seed)?;
    super::say(&plan.replay());
    if args.nemesis.iter().any(|fault| fault.need() == Need::Namespaces) {
        // Before there are threads; where it cannot be done, the run says so of each fault that it lacks.
        let _said_by_the_run = netns::enter();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let start = Instant::now();
    let outcome = match runtime.block_on(interruptible(run::run(&plan))) {
        Ok(outcome) => outcome,
        Err(why) => {
            eprintln!("unknown: the run did not come to its end: {why:#}");
            return Ok(super::UNKNOWN);
        }
    };
    for (fault, why) in &outcome.skipped {
        super::say(&format!("SKIPPED, NOT TESTED: {}: {why}", fault.name()));
    }
    outcome.keep(out)?;
    std::fs::write(out.join("summary.md"), summary(&plan, &outcome, start.elapsed())?)?;
    super::say(&outcome.verdict.describe(&outcome.history)?);
    super::say(&format!("  {} and {}", out.join("history.edn").display(), out.join("report.html").display()));
    if !args.nemesis.is_empty() && outcome.skipped.len() == args.nemesis.len() {
        return Ok(super::SKIPPED);
    }
    Ok(outcome.verdict.exit_code())
}

/// Gives up where a person or a script says so, in a way that lets every fault be undone.
async fn interruptible(run: impl Future<Output = Result<RunOutcome>>) -> Result<RunOutcome> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = run => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

/// A row of a table: workload and level, faults, seed and seconds, operations, faults done, verdict.
fn summary(plan: &RunPlan, outcome: &RunOutcome, took: Duration) -> Result<String> {
    let ops = crate::judge::history::ops::pair(&outcome.history)?.ops;
    let skipped: Vec<&str> = outcome.skipped.iter().map(|(fault, _)| fault.name()).collect();
    let skipped = if skipped.is_empty() { String::new() } else { format!("; SKIPPED {}", skipped.join(", ")) };
    let verdict = match &outcome.verdict {
        HistoryVerdict::Ok => "ok".to_owned(),
        HistoryVerdict::Illegal(violation) => format!("**illegal**: {} ({})", violation.cause, violation.class),
        HistoryVerdict::Unknown(why) => format!("**unknown**: {why}"),
    };
    Ok(format!(
        "| {}, {}{} | {} | {}, {} | {} | {} | {}{skipped} |\n",
        plan.workload.name(),
        plan.level.to_uppercase(),
        if plan.through == Through::Gateway { ", through a gateway" } else { "" },
        plan.names().replace(',', ", "),
        plan.seed,
        took.as_secs(),
        ops.len(),
        outcome.faults(),
        verdict.lines().next().unwrap_or_default().replace('|', "/"),
    ))
}
