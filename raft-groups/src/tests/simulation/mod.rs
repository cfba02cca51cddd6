//! Deterministic simulation of one group: five nodes under load, with every kind of fault. Invariants are checked
//! after every message, and `jepsen-lite`'s checkers judge the clients' histories.
//!
//! Each seed runs twice, and both runs must send the same messages. `QUIVER_SEED` sets the first seed and
//! `QUIVER_SEEDS` their number. A seed that fails leaves its histories and messages in a file, and prints its path.

mod coverage;
mod faults;
mod leases;
mod mutants;
mod recorder;
mod second;
mod workload;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::coverage::Coverage;
use self::recorder::Recorder;
use self::world::World;
use crate::sim::network::SimMessage;
use crate::tests::kit::simulate;

/// Faults of one run.
const ROUNDS: usize = 8;
/// Seeds that run unless `QUIVER_SEEDS` says otherwise.
const SEEDS: u64 = 300;

/// Faults of the harness itself.
#[derive(Debug, Clone, Copy, Default)]
struct Mischief {
    /// The harness records unknown outcomes as failures.
    lies: bool,
    /// The nemesis does nothing.
    idle: bool,
}

/// The outcome of a run.
struct Outcome {
    /// What is wrong, each with the name of the checker that found it.
    problems: Vec<(&'static str, String)>,
    coverage: Coverage,
    messages: Vec<SimMessage>,
    recorder: Recorder,
}

impl Outcome {
    /// Returns a hash of all messages between the nodes, and of their times.
    fn trace_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.messages.hash(&mut hasher);
        hasher.finish()
    }

    fn judged(mut self) -> Self {
        self.problems.extend(self.recorder.judge());
        self
    }

    /// Writes problems, histories and messages to a file. Returns its path.
    fn keep(&self, seed: u64) -> PathBuf {
        let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/simulation"));
        let path = dir.join(format!("seed-{seed}.txt"));
        let mut text = String::new();
        for (checker, what) in &self.problems {
            let _ = writeln!(text, "// {checker}: {what}");
        }
        text += &self.recorder.lines();
        for SimMessage { at, from, to, bytes, crc, delay } in &self.messages {
            let _ = writeln!(text, "// {at:?} {from} -> {to}: {bytes} B, {crc:08x}, {delay:?}");
        }
        let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, text));
        written.unwrap_or_else(|error| println!("{}: {error}", path.display()));
        path
    }
}

/// Runs a seed once.
fn run(seed: u64, mischief: Mischief) -> Outcome {
    simulate(async move {
        // Fault and repair alternate. The first problem ends the run.
        let recorder = Recorder::new(mischief.lies);
        let mut world = World::start(seed, recorder.clone()).await;
        for _ in 0..ROUNDS {
            if !mischief.idle && !world.is_over() {
                world.one_fault().await;
            }
            if !world.is_over() {
                world.heal().await;
            }
        }
        let (problems, coverage, cluster) = world.finish().await;
        Outcome { problems, coverage, messages: cluster.net.messages(), recorder }
    })
}

/// Returns the seeds to run.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = variable("QUIVER_SEED").unwrap_or(1);
    let count = variable("QUIVER_SEEDS").unwrap_or(count);
    println!("seeds {first}..{} (QUIVER_SEED, QUIVER_SEEDS)", first + count);
    first..first + count
}

/// Runs `work` for every seed, on all processors, each cluster on one thread. Returns its results by seed.
fn for_all<T: Send>(seeds: std::ops::Range<u64>, work: impl Fn(u64) -> T + Sync) -> BTreeMap<u64, T> {
    let (next, done) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // The seed of a simulation is bound to its thread, so a cluster never changes threads.
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end) {
                    let outcome = work(seed);
                    done.lock().expect("nobody panics with it").insert(seed, outcome);
                }
            });
        }
    });
    done.into_inner().expect("nobody panics with it")
}

/// Runs a seed twice. Returns what is wrong, if anything is, and what was covered.
fn twice(seed: u64) -> (Option<String>, Coverage) {
    let (first, second) = (run(seed, Mischief::default()).judged(), run(seed, Mischief::default()));
    if first.trace_hash() != second.trace_hash() {
        let parted = first.messages.iter().zip(&second.messages).find(|(one, other)| one != other);
        return (Some(format!("seed {seed}: two runs of it part at {parted:?}")), first.coverage);
    }
    let told = |(checker, what): &(&str, String)| format!("{checker}: {what}");
    let problems: Vec<_> = first.problems.iter().map(told).collect();
    let wrong = (!problems.is_empty())
        .then(|| format!("seed {seed}: {}; see {}", problems.join("; "), first.keep(seed).display()));
    (wrong, first.coverage)
}

#[test]
fn no_anomaly_under_any_fault_and_one_trace_for_a_seed() {
    let outcomes = for_all(seeds(SEEDS), twice);
    let mut coverage = Coverage::default();
    outcomes.values().for_each(|(_, seen)| coverage.merge(seen));
    println!("{coverage:#?}");
    let wrong: Vec<_> = outcomes.into_values().filter_map(|(wrong, _)| wrong).collect();
    assert!(wrong.is_empty(), "{} seeds show something wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(coverage.missing().is_empty(), "never seen, so never tested: {:?}", coverage.missing());
    let (ok, all) = (coverage.times("operations done"), coverage.times("operations"));
    assert!(ok * 10 >= all * 3, "of {all} operations only {ok} were done: the faults leave nothing to judge");
}
