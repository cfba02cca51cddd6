//! `run` and `soak`: real processes under faults, judged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::check::Limits;
use crate::report::{self, Page};
use crate::run::nemesis::Fault;
use crate::run::{self, Outcome, Plan, Workload};
use crate::{seed, shrink};

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
    level: Level,
    /// Of all choices; drawn and printed where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How long clients work.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many nodes; 3 or more.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// Where history.edn and report.html go.
    #[arg(long, default_value = "jepsen-lite-run")]
    out: PathBuf,
}

/// The levels by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    One,
    Quorum,
    All,
}

impl RunArgs {
    fn plan(&self, seed: u64) -> Result<Plan> {
        ensure!(
            self.level != Level::One || self.workload == Workload::Register,
            "at ONE only the register workload has a promise to be judged by"
        );
        let level = format!("{:?}", self.level).to_lowercase();
        Ok(Plan {
            binary: self.binary.clone(),
            workload: self.workload,
            faults: self.nemesis.clone(),
            level,
            seed,
            time: Duration::from_secs(self.seconds),
            nodes: usize::from(self.nodes),
        })
    }

    fn replay(&self, seed: u64) -> String {
        let faults: Vec<&str> = self.nemesis.iter().map(|fault| fault.name()).collect();
        let nemesis = if faults.is_empty() { String::new() } else { format!(" --nemesis {}", faults.join(",")) };
        let (workload, level) =
            (format!("{:?}", self.workload).to_lowercase(), format!("{:?}", self.level).to_lowercase());
        format!(
            "jepsen-lite run --workload {workload}{nemesis} --level {level} --seed {seed} --seconds {} --nodes {}",
            self.seconds, self.nodes
        )
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
    let replay = args.replay(seed);
    println!("{replay}");
    let plan = args.plan(seed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run::run(&plan))?;
    save(&outcome, &replay, out)?;
    println!("{}", super::told(&outcome.history, &outcome.verdict)?);
    println!("  {} and {}", out.join("history.edn").display(), out.join("report.html").display());
    Ok(outcome.verdict.exit_code())
}

fn save(outcome: &Outcome, replay: &str, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    std::fs::write(out.join("history.edn"), outcome.history.to_edn())?;
    let small = if outcome.verdict.exit_code() == 1 {
        shrink::shrink(&outcome.history, outcome.model, Limits::default())?
    } else {
        None
    };
    let page =
        Page { title: replay, history: &outcome.history, verdict: &outcome.verdict, small: small.as_ref(), replay };
    std::fs::write(out.join("report.html"), report::page(&page)?)?;
    Ok(())
}
