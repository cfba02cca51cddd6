//! Deterministic simulation of one group: three nodes through writes, reads, partitions, message loss and power losses.
//!
//! Each register has one writer that writes growing numbers, so what a linearizable read may return is exactly known:
//! nothing below the last write acknowledged before it began, nothing above the last one attempted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::sim::SimCluster;
use crate::testing::{Registers, Set};
use crate::{Group, NodeId, RaftSettings, ReadMode};

const WRITERS: u64 = 3;
const ROUNDS: usize = 12;

fn settings() -> RaftSettings {
    RaftSettings {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        snapshot_after: 25,
        keep_entries: 5,
        ..RaftSettings::default()
    }
}

/// What clients know, shared by all tasks of one run.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<u64, u64>,
    attempted: BTreeMap<u64, u64>,
    reads: BTreeMap<&'static str, u64>,
    trace: String,
}

type Shared = Arc<Mutex<Ledger>>;

/// The handles clients reach nodes by; the scenario swaps them as nodes crash and restart.
type Doors = Arc<Mutex<BTreeMap<NodeId, Group<Registers>>>>;

struct Run {
    cluster: SimCluster<Registers>,
    ledger: Shared,
    doors: Doors,
    rng: SmallRng,
    start: Instant,
    leaders: BTreeMap<u64, NodeId>,
}

impl Run {
    fn note(&self, event: &str) {
        let at = self.start.elapsed().as_micros();
        let _ = writeln!(self.ledger.lock().trace, "{at} {event}");
    }

    fn open_doors(&self) {
        *self.doors.lock() = self.cluster.groups().map(|(id, group)| (id, group.clone())).collect();
    }

    /// Election safety: one term, one leader.
    fn check_leaders(&mut self) {
        for (id, group) in self.cluster.groups() {
            let status = group.status();
            if status.role == crate::Role::Leader {
                let leader = *self.leaders.entry(status.term).or_insert(id);
                assert_eq!(leader, id, "term {} has two leaders", status.term);
            }
        }
    }

    async fn one_fault(&mut self) {
        let ids = self.cluster.ids();
        let victim = ids[self.rng.random_range(0..ids.len())];
        let others = ids.iter().copied().filter(|id| *id != victim);
        match self.rng.random_range(0..5) {
            0 => {
                self.note(&format!("isolate {victim}"));
                self.cluster.net.isolate(victim, others);
            }
            1 => {
                self.note(&format!("{victim} is not heard"));
                others.for_each(|other| self.cluster.net.cut(victim, other));
            }
            2 => {
                self.note(&format!("{victim} hears nobody"));
                others.for_each(|other| self.cluster.net.cut(other, victim));
            }
            3 => self.crash(&[victim]).await,
            _ => self.crash(&ids).await,
        }
        sleep(Duration::from_millis(self.rng.random_range(50..1500))).await;
    }

    async fn crash(&mut self, ids: &[NodeId]) {
        self.note(&format!("power loss of {ids:?}"));
        for id in ids {
            self.doors.lock().remove(id);
            self.cluster.crash(*id).await;
        }
    }

    async fn heal(&mut self) {
        self.note("heal");
        self.cluster.net.heal();
        for id in self.cluster.ids() {
            if self.cluster.group(id).is_none() {
                self.cluster.restart(id).await.expect("a crash damages nothing");
            }
        }
        self.open_doors();
        sleep(Duration::from_millis(self.rng.random_range(100..1500))).await;
    }

    fn statuses(&self) -> String {
        self.cluster.groups().map(|(id, group)| format!("{id}: {:?}\n", group.status())).collect()
    }

    /// After the last fault: a write and a read succeed, all replicas agree, nothing acknowledged is missing.
    async fn final_checks(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let leader = self.cluster.leader().and_then(|leader| self.cluster.group(leader));
            if let Some(leader) = leader
                && leader.write(Set::command("last", 1), deadline).await.is_ok()
            {
                let index = leader.status().applied;
                let missing = leader.wait_applied_everywhere(index, deadline).await;
                missing.unwrap_or_else(|missing| panic!("{missing:?} do not catch up:\n{}", self.statuses()));
                break;
            }
            assert!(Instant::now() < deadline, "no write succeeds for 30 s after the last fault:\n{}", self.statuses());
            sleep(Duration::from_millis(50)).await;
        }
        let digests: Vec<_> = self.cluster.groups().map(|(_, group)| group.machine().digest()).collect();
        self.note(&format!("digests {digests:?}"));
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "replicas differ: {digests:?}");
        let ledger = self.ledger.lock();
        for (_, group) in self.cluster.groups() {
            for (writer, acknowledged) in &ledger.acknowledged {
                let value = group.machine().get(&writer.to_string()).unwrap_or(0);
                assert!(value >= *acknowledged, "writer {writer}: {acknowledged} was acknowledged, {value} is there");
                assert!(value <= ledger.attempted[writer], "writer {writer}: {value} was never written");
            }
        }
    }
}

use crate::Machine as _;

/// Writes growing numbers to one register until the run ends.
async fn write_on(writer: u64, seed: u64, doors: Doors, ledger: Shared) {
    let mut rng = SmallRng::seed_from_u64(seed ^ (writer + 1));
    let register = writer.to_string();
    for value in 1.. {
        ledger.lock().attempted.insert(writer, value);
        let door = pick(&doors, &mut rng);
        if let Some(group) = door {
            let deadline = Instant::now() + Duration::from_millis(500);
            if group.write(Set::command(&register, value), deadline).await.is_ok() {
                ledger.lock().acknowledged.insert(writer, value);
            }
        }
        sleep(Duration::from_millis(rng.random_range(1..40))).await;
    }
}

/// Reads registers at all modes until the run ends, and holds each answer against the ledger.
async fn read_on(seed: u64, doors: Doors, ledger: Shared) {
    let mut rng = SmallRng::seed_from_u64(!seed);
    loop {
        sleep(Duration::from_millis(rng.random_range(1..20))).await;
        let Some(group) = pick(&doors, &mut rng) else { continue };
        let writer = rng.random_range(0..WRITERS);
        let (mode, name) = match rng.random_range(0..3) {
            0 => (ReadMode::Follower, "follower"),
            1 => (ReadMode::Lease, "lease"),
            _ => (ReadMode::Linearizable, "linearizable"),
        };
        let before = ledger.lock().acknowledged.get(&writer).copied().unwrap_or(0);
        let deadline = Instant::now() + Duration::from_millis(500);
        if group.read(mode, deadline).await.is_err() {
            continue;
        }
        let value = group.machine().get(&writer.to_string()).unwrap_or(0);
        let mut ledger = ledger.lock();
        let attempted = ledger.attempted.get(&writer).copied().unwrap_or(0);
        assert!(value <= attempted, "{name} read of writer {writer}: {value} was never written");
        if mode != ReadMode::Follower {
            assert!(value >= before, "stale {name} read of writer {writer}: {value}, though {before} was acknowledged");
        }
        *ledger.reads.entry(name).or_default() += 1;
        let _ = writeln!(ledger.trace, "{name} {writer} {value}");
    }
}

fn pick(doors: &Doors, rng: &mut SmallRng) -> Option<Group<Registers>> {
    let doors = doors.lock();
    let at = rng.random_range(0..doors.len().max(1));
    doors.values().nth(at).cloned()
}

/// One run; returns its trace.
fn simulate(seed: u64, loss: f64, prepare: impl FnOnce(&SimCluster<Registers>)) -> (String, Ledger) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async move {
        let cluster = SimCluster::start(seed, 3, settings(), loss).await.expect("empty disks open");
        prepare(&cluster);
        // Until every node knows the membership, the loss of one node's disk contents could leave no group at all.
        while cluster.groups().any(|(_, group)| group.status().committed == 0) {
            sleep(Duration::from_millis(10)).await;
        }
        let (ledger, doors) = (Shared::default(), Doors::default());
        let rng = SmallRng::seed_from_u64(seed);
        let start = Instant::now();
        let mut run = Run { cluster, ledger, doors, rng, start, leaders: BTreeMap::new() };
        run.open_doors();
        let clients = (0..WRITERS).map(|writer| write_on(writer, seed, run.doors.clone(), run.ledger.clone()));
        let mut clients: Vec<_> = clients.map(tokio::spawn).collect();
        clients.push(tokio::spawn(read_on(seed, run.doors.clone(), run.ledger.clone())));
        for _ in 0..ROUNDS {
            run.one_fault().await;
            run.check_leaders();
            run.heal().await;
            run.check_leaders();
            assert!(clients.iter().all(|client| !client.is_finished()), "a client found an anomaly");
        }
        clients.iter().for_each(|client| client.abort());
        run.final_checks().await;
        let mut ledger = std::mem::take(&mut *run.ledger.lock());
        for message in run.cluster.net.messages() {
            let at = message.at.duration_since(run.start).as_micros();
            let _ = writeln!(
                ledger.trace,
                "{at} {} -> {}: {} B, {:?}",
                message.from, message.to, message.bytes, message.delay
            );
        }
        (ledger.trace.clone(), ledger)
    })
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = variable("QUIVER_SEED").unwrap_or(1);
    let count = variable("QUIVER_SEEDS").unwrap_or(count);
    println!("seeds {first}..{} (QUIVER_SEED, QUIVER_SEEDS)", first + count);
    first..first + count
}

#[test]
fn no_anomaly_under_partitions_loss_and_power_loss() {
    let (mut writes, mut reads) = (0, BTreeMap::<_, u64>::new());
    for seed in seeds(100) {
        println!("seed {seed}");
        let (_, ledger) = simulate(seed, if seed % 2 == 0 { 0.05 } else { 0.0 }, |_| ());
        writes += ledger.acknowledged.values().sum::<u64>();
        ledger.reads.into_iter().for_each(|(mode, count)| *reads.entry(mode).or_default() += count);
    }
    println!("{writes} writes acknowledged, reads {reads:?}");
    assert!(writes > 0 && reads.len() == 3, "a run that does nothing proves nothing");
}

#[test]
fn one_seed_gives_one_trace() {
    for seed in seeds(5) {
        let trace = |_| simulate(seed, 0.05, |_| ()).0;
        let (first, second) = (trace(0), trace(1));
        assert!(first.lines().count() > 100);
        // The first message that differs is nearest to the cause.
        for (line, (a, b)) in first.lines().zip(second.lines()).enumerate().filter(|(_, (a, _))| a.contains("->")) {
            assert_eq!(a, b, "seed {seed}: the runs part at line {line}");
        }
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn disks_that_lie_about_syncs_are_caught() {
    let caught = (1..=20).filter(|seed| {
        let lie = |cluster: &SimCluster<Registers>| {
            cluster.ids().into_iter().for_each(|id| cluster.node(id).log.lie_about_syncs());
        };
        std::panic::catch_unwind(|| simulate(*seed, 0.0, lie)).is_err()
    });
    let caught = caught.count();
    assert!(caught >= 15, "only {caught} of 20 runs on lying disks were caught");
}
