//! The command line. Exit codes: 0 the history is ok, 1 it is illegal, 2 the command was not understood or a file not
//! read, 3 nobody can say (a failed run, never a pass), 4 nothing was tested, for this machine has no means for the faults.

mod bench;
mod hostile;
mod run;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::hostile::apart;
use crate::judge::check;
use crate::judge::check::CheckLimits;
use crate::judge::history::History;
use crate::judge::report;
use crate::judge::report::Page;
use crate::judge::shrink;

/// Not understood, or not read.
const USAGE: u8 = 2;

/// No verdict: a run that failed, or was interrupted.
const UNKNOWN: u8 = 3;

/// None of the faults can be done here.
const SKIPPED: u8 = 4;

#[derive(Debug, Parser)]
#[command(name = "jepsen-lite", version, about = "Judges what a store did to its clients")]
struct JepsenCli {
    #[command(subcommand)]
    verb: JepsenCommand,
}

#[derive(Debug, Subcommand)]
enum JepsenCommand {
    /// Judge a history: JSON lines, Jepsen's EDN or its text log, told apart by content.
    Check {
        /// The history.
        file: PathBuf,
        #[command(flatten)]
        judged: JudgeOptions,
    },
    /// Make an illegal history as small as it can be while still illegal in the same class.
    Shrink {
        /// The history.
        file: PathBuf,
        #[command(flatten)]
        judged: JudgeOptions,
        /// Where the small history goes, in EDN; to standard output without it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Draw a history, judged, as one page of HTML.
    View {
        /// The history.
        file: PathBuf,
        #[command(flatten)]
        judged: JudgeOptions,
        /// Where the page goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Start a cluster of real processes, work on it, hurt it, and judge what its clients saw.
    Run(run::RunArgs),
    /// The same with one seed after the other, until the time is over or a run is not ok.
    Soak {
        #[command(flatten)]
        args: run::RunArgs,
        /// For how long.
        #[arg(long)]
        hours: f64,
    },
    /// Measure the judges on histories of the sizes they are promised for.
    Bench,
    /// Attack three real processes in every way that strangers can, and print what each attack costs a good client.
    Hostile(hostile::HostileArgs),
    /// The attackers of `hostile`, which starts them itself.
    #[command(name = apart::VERB, hide = true)]
    Attackers(hostile::AttackersArgs),
}

/// Against what, and at what cost.
#[derive(Clone, Copy, Debug, Args)]
struct JudgeOptions {
    /// What the history is a history of.
    #[arg(long)]
    model: ModelName,
    /// Steps that the search for a linearization may take, for each key.
    #[arg(long, default_value_t = CheckLimits::default().steps)]
    max_steps: u64,
    /// MiB that the search may remember, for each key.
    #[arg(long, default_value_t = CheckLimits::default().memory >> 20)]
    max_memory: usize,
}

impl JudgeOptions {
    fn limits(self) -> CheckLimits {
        CheckLimits { steps: self.max_steps, memory: self.max_memory << 20 }
    }
}

/// The models by their names on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModelName {
    Register,
    CasRegister,
    Set,
    Scan,
    Drops,
    Append,
    Search,
    Session,
    NodeSession,
}

impl ModelName {
    fn model(self) -> check::ConsistencyModel {
        match self {
            Self::Register => check::ConsistencyModel::Register,
            Self::CasRegister => check::ConsistencyModel::CasRegister,
            Self::Set => check::ConsistencyModel::Set,
            Self::Scan => check::ConsistencyModel::Scan,
            Self::Drops => check::ConsistencyModel::Drops,
            Self::Append => check::ConsistencyModel::Append,
            Self::Search => check::ConsistencyModel::Search,
            Self::Session => check::ConsistencyModel::Session,
            Self::NodeSession => check::ConsistencyModel::NodeSession,
        }
    }
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = match JepsenCli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version were asked for; clap has its own codes for the rest.
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match execute(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("jepsen-lite: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

fn execute(verb: JepsenCommand) -> Result<u8> {
    match verb {
        JepsenCommand::Check { file, judged } => {
            let history = read(&file)?;
            let verdict = check::check(&history, judged.model.model(), judged.limits())?;
            say(&verdict.describe(&history)?);
            Ok(verdict.exit_code())
        }
        JepsenCommand::Shrink { file, judged, out } => shrunk(&file, judged, out.as_deref()),
        JepsenCommand::View { file, judged, out } => view(&file, judged, &out),
        JepsenCommand::Run(args) => run::run(&args),
        JepsenCommand::Soak { args, hours } => run::soak(&args, hours),
        JepsenCommand::Bench => bench::run(),
        JepsenCommand::Hostile(args) => hostile::run(&args),
        JepsenCommand::Attackers(args) => hostile::attackers(&args),
    }
}

/// A line to standard output. That a reader such as `head` has gone takes nothing from the verdict, which is the exit code.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn shrunk(file: &Path, judged: JudgeOptions, out: Option<&Path>) -> Result<u8> {
    let history = read(file)?;
    let Some((small, verdict)) = shrink::shrink(&history, judged.model.model(), judged.limits())? else {
        let verdict = check::check(&history, judged.model.model(), judged.limits())?;
        eprintln!("nothing to make small: {}", verdict.describe(&history)?);
        return Ok(verdict.exit_code());
    };
    eprintln!("{}", verdict.describe(&small)?);
    match out {
        Some(out) => std::fs::write(out, small.to_edn()).with_context(|| format!("writing {}", out.display()))?,
        None => say(small.to_edn().trim_end()),
    }
    Ok(verdict.exit_code())
}

fn view(file: &Path, judged: JudgeOptions, out: &Path) -> Result<u8> {
    let history = read(file)?;
    let verdict = check::check(&history, judged.model.model(), judged.limits())?;
    let small = shrink::shrink(&history, judged.model.model(), judged.limits())?;
    let (title, model) = (file.display().to_string(), judged.model.model().name());
    let replay = format!("jepsen-lite check {title} --model {model}");
    let page = Page { title: &title, history: &history, verdict: &verdict, small: small.as_ref(), replay: &replay };
    std::fs::write(out, report::page(&page)?).with_context(|| format!("writing {}", out.display()))?;
    say(&verdict.describe(&history)?);
    Ok(verdict.exit_code())
}

fn read(file: &Path) -> Result<History> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    History::parse(&text).with_context(|| format!("{}", file.display()))
}
