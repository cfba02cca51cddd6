//! Engines as one replicated group, in the deterministic simulation: clients repeat a request until they know what came of
//! it, copies of requests that were answered long ago arrive late, and nodes that were away come back by snapshot and lead.
//! Every other client's requests are remembered as a gateway's are, until no copy of them may be carried out any more; so
//! some copies find what was done, and some come too late.
//!
//! What clients saw is judged as linearizable registers by `jepsen-lite`, which knows nothing of requests. Bugs planted on
//! purpose must be seen by that judge, within the stated number of seeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jepsen_lite::check::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use jepsen_lite::history::edn::Edn;
use jepsen_lite::history::{History, HistoryEvent, Type};
use parking_lot::Mutex;
use raft_groups::mutants::{Mutant, plant};
use raft_groups::sim::{SimCluster, SimPlan};
use raft_groups::{Group, NodeId, RaftSettings, ReadMode, Role, WriteError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

use super::*;

const NODES: u64 = 3;
const CLIENTS: u64 = 4;
/// Times that a node is away.
const ROUNDS: u64 = 6;
/// Points of one round; each round has its own, so that the search for an order of operations stays short.
const POINTS: u64 = 2;
/// How long a client waits for an answer, and how often it asks.
const PATIENCE: Duration = Duration::from_millis(250);
const ATTEMPTS: u32 = 12;
/// How long a write may be carried out whose name is forgotten after that.
const LASTS_MS: u32 = 1_200;
/// Process numbers of a client's successive lives are so far apart.
const LIVES_APART: i64 = 100;

/// What clients share: the replicas they reach, and what they write down.
#[derive(Clone)]
struct Shared {
    groups: Arc<Mutex<BTreeMap<NodeId, Group<Engine>>>>,
    history: Arc<Mutex<History>>,
    began: Instant,
    round: Arc<AtomicU64>,
    /// The last value that was written, and the last request's number.
    used: Arc<AtomicU64>,
    /// Late copies that were answered.
    late: Arc<AtomicU64>,
    /// Copies that came too late.
    too_late: Arc<AtomicU64>,
    /// Replies that no command here can have.
    nonsense: Arc<Mutex<Vec<Reply>>>,
}

impl Shared {
    fn new() -> Self {
        Self {
            groups: Arc::default(),
            history: Arc::default(),
            began: Instant::now(),
            round: Arc::default(),
            used: Arc::default(),
            late: Arc::default(),
            too_late: Arc::default(),
            nonsense: Arc::default(),
        }
    }

    fn pick(&self, rng: &mut StdRng) -> Option<Group<Engine>> {
        let groups = self.groups.lock();
        let leads = |group: &&Group<Engine>| group.status().role == Role::Leader;
        let place = rng.random_range(0..groups.len().max(1));
        groups.values().find(leads).filter(|_| rng.random_bool(0.8)).or_else(|| groups.values().nth(place)).cloned()
    }

    fn next(&self) -> u64 {
        self.used.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The time of the group, as its leader has it at best.
    fn time_ms(&self) -> u64 {
        1 + self.began.elapsed().as_millis() as u64
    }

    /// Asks until somebody answers; the reply, and whether it may have been carried out where there is none.
    async fn ask(&self, write: &Write, rng: &mut StdRng) -> (Option<Reply>, bool) {
        let mut may_be_done = false;
        for _ in 0..ATTEMPTS {
            if let Some(group) = self.pick(rng) {
                let Write { command, lifetime } = write;
                // Leaders differ by what was lost when the last one went.
                let time_ms = self.time_ms().saturating_sub(rng.random_range(0..200));
                let entry = Entry { time_ms, lifetime: *lifetime, command }.encode();
                match group.write(entry, Instant::now() + PATIENCE).await {
                    Ok(written) => match Reply::decode(&written.reply).unwrap() {
                        // It says nothing of the copies before.
                        Reply::Refused(Refusal::RequestExpired) => {
                            self.too_late.fetch_add(1, Ordering::Relaxed);
                            return (None, may_be_done);
                        }
                        reply => return (Some(reply), true),
                    },
                    Err(error) => may_be_done |= matches!(error, WriteError::Indeterminate { .. }),
                }
            }
            sleep(Duration::from_millis(rng.random_range(5..60))).await;
        }
        (None, may_be_done)
    }

    /// A copy of an answered request that was held up somewhere.
    async fn repeat(self, write: Write, mut rng: StdRng) {
        sleep(Duration::from_millis(rng.random_range(30..2500))).await;
        if self.ask(&write, &mut rng).await.0.is_some() {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A write as it is sent, each time the same.
#[derive(Clone)]
struct Write {
    command: Bytes,
    lifetime: Option<Lifetime>,
}

/// A client with its own chance.
struct Client {
    shared: Shared,
    process: i64,
    rng: StdRng,
    /// The last value and its version that was seen of a point.
    seen: BTreeMap<u64, (u64, u64)>,
}

impl Client {
    fn new(shared: &Shared, seed: u64, number: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1009).wrapping_add(number));
        Self { shared: shared.clone(), process: number as i64, rng, seen: BTreeMap::new() }
    }

    fn note(&mut self, kind: Type, f: &str, id: u64, value: Edn) {
        let now = self.shared.began.elapsed().as_nanos() as i64;
        let event = HistoryEvent::new(self.process, kind, f, Edn::Vector(vec![number(id), value]));
        self.shared.history.lock().events.push(event.at(now));
        if kind == Type::Info {
            self.process += LIVES_APART;
        }
    }

    async fn work(mut self) {
        loop {
            sleep(Duration::from_millis(self.rng.random_range(1..40))).await;
            let id = self.shared.round.load(Ordering::Relaxed) * POINTS + self.rng.random_range(0..POINTS);
            match (self.rng.random_range(0..10), self.seen.get(&id).copied()) {
                (0..4, _) => drop(self.read(id).await),
                (4..6, Some((from, version))) => {
                    let to = self.shared.next();
                    let value = Edn::Vector(vec![number(from), number(to)]);
                    self.write("cas", id, value, upsert(id, to, Some(version))).await;
                }
                (9, _) => self.write("delete", id, Edn::Nil, deletion(id)).await,
                _ => {
                    let value = self.shared.next();
                    self.write("write", id, number(value), upsert(id, value, None)).await;
                }
            }
        }
    }

    async fn write(&mut self, f: &str, id: u64, value: Edn, command: impl FnOnce(Option<RequestId>) -> Command) {
        let command = command(request(u128::from(self.shared.next()))).encode();
        let born_ms = self.shared.time_ms();
        let named_by_gateway = Lifetime { made_by: MadeBy::Gateway, born_ms, lasts_ms: LASTS_MS };
        let write = Write { command, lifetime: (self.process % 2 == 0).then_some(named_by_gateway) };
        self.note(Type::Invoke, f, id, value.clone());
        let (reply, may_be_done) = self.shared.ask(&write, &mut self.rng).await;
        let answered = reply.is_some();
        let kind = match reply {
            Some(Reply::Upserted(_) | Reply::Deleted { .. }) => Type::Ok,
            Some(Reply::Refused(Refusal::VersionMismatch { .. })) => Type::Fail,
            None if !may_be_done => Type::Fail,
            None => Type::Info,
            Some(reply) => return self.shared.nonsense.lock().push(reply),
        };
        self.note(kind, f, id, value);
        if answered {
            let rng = StdRng::seed_from_u64(self.rng.random());
            tokio::spawn(self.shared.clone().repeat(write, rng));
        }
    }

    /// Whether somebody served it.
    async fn read(&mut self, id: u64) -> bool {
        let Some(group) = self.shared.pick(&mut self.rng) else { return false };
        self.note(Type::Invoke, "read", id, Edn::Nil);
        let mode = if self.rng.random() { ReadMode::Linearizable } else { ReadMode::Lease };
        let served = group.read(mode, Instant::now() + PATIENCE).await.is_ok();
        let found = shown(&group, id).filter(|_| served);
        self.seen.extend(found.map(|found| (id, found)));
        let (kind, value) = match (served, found) {
            (false, _) => (Type::Fail, Edn::Nil),
            (true, found) => (Type::Ok, found.map_or(Edn::Nil, |(value, _)| number(value))),
        };
        self.note(kind, "read", id, value);
        served
    }
}

fn number(value: u64) -> Edn {
    Edn::Int(value as i64)
}

fn upsert(id: u64, value: u64, if_version: Option<u64>) -> impl FnOnce(Option<RequestId>) -> Command {
    let payload = payload(json!({"value": value}));
    move |request| Command::Upsert {
        collection: DOCS,
        request,
        points: vec![PointWrite { payload, if_version, ..point(id, &[value as f32]) }],
    }
}

fn deletion(id: u64) -> impl FnOnce(Option<RequestId>) -> Command {
    move |request| Command::Delete { collection: DOCS, request, selector: Selector::Ids(vec![PointId::Num(id)]) }
}

/// Value and version of a point in one replica.
fn shown(group: &Group<Engine>, id: u64) -> Option<(u64, u64)> {
    let query = GetQuery {
        collection: DOCS,
        ids: vec![PointId::Num(id)],
        with_payload: PayloadSelector::All,
        with_vector: VectorSelector::None,
    };
    let record = group.machine().get(&query).ok()?.pop()?;
    Some((json!(record.payload)["value"].as_u64()?, record.version))
}

/// What came of a run.
struct Outcome {
    verdict: HistoryVerdict,
    violation: Option<String>,
    nonsense: Vec<Reply>,
    /// Snapshots installed, late copies answered, and copies that came too late.
    seen: (u64, u64, u64),
}

/// One run of a seed.
fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story(seed))
}

async fn story(seed: u64) -> Outcome {
    let settings = RaftSettings {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        snapshot_after: 20,
        keep_entries: 5,
        ..RaftSettings::default()
    };
    let mut cluster = SimCluster::<Engine>::start(SimPlan::new(seed, NODES, settings)).await.unwrap();
    let (shared, mut rng) = (Shared::new(), StdRng::seed_from_u64(seed));
    *shared.groups.lock() = cluster.groups().map(|(id, group)| (id, group.clone())).collect();
    let create = Command::CreateCollection { collection: DOCS, config: CollectionConfig::single(1, Distance::Dot) };
    assert!(matches!(
        shared.ask(&Write { command: create.encode(), lifetime: None }, &mut rng).await,
        (Some(Reply::Created), _)
    ));
    // From now on some answers are lost, so that clients have reason to repeat themselves.
    let conditions = raft_groups::sim::LinkConditions { loss: 0.03, repeats: 0.03, ..cluster.net.conditions() };
    cluster.net.set_conditions(conditions);
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(Client::new(&shared, seed, number).work())).collect();
    for _ in 0..ROUNDS {
        away_and_back(&mut cluster, &shared, &mut rng).await;
        shared.round.fetch_add(1, Ordering::Relaxed);
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    // Until the last copy has arrived.
    sleep(Duration::from_secs(5)).await;
    last_reads(&cluster, &shared, seed).await;
    let history = shared.history.lock().clone();
    Outcome {
        verdict: check(&history, ConsistencyModel::CasRegister, CheckLimits::default()).unwrap(),
        violation: cluster.violation(),
        nonsense: shared.nonsense.lock().clone(),
        seen: (
            cluster.sightings().installations,
            shared.late.load(Ordering::Relaxed),
            shared.too_late.load(Ordering::Relaxed),
        ),
    }
}

/// Everybody leads once, and shows every point.
async fn last_reads(cluster: &SimCluster<Engine>, shared: &Shared, seed: u64) {
    for next in 1..=NODES {
        if let Some(leader) = cluster.leader().and_then(|leader| cluster.group(leader)) {
            let _ = leader.transfer_leader(next).await;
        }
        sleep(Duration::from_secs(1)).await;
        let mut reader = Client::new(shared, seed, CLIENTS + next);
        for id in 0..ROUNDS * POINTS {
            while !reader.read(id).await {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// A node is cut off or without power for longer than the logs of the others reach back; then it leads.
async fn away_and_back(cluster: &mut SimCluster<Engine>, shared: &Shared, rng: &mut StdRng) {
    let victim = rng.random_range(1..=NODES);
    let loses_power: bool = rng.random();
    if loses_power {
        shared.groups.lock().remove(&victim);
        cluster.crash(victim).await;
    } else {
        cluster.net.isolate(victim, (1..=NODES).filter(|id| *id != victim));
    }
    sleep(Duration::from_millis(rng.random_range(1500..2500))).await;
    cluster.net.heal();
    if loses_power {
        cluster.restart(victim).await.unwrap();
        shared.groups.lock().extend(cluster.group(victim).map(|group| (victim, group)));
    }
    sleep(Duration::from_millis(700)).await;
    if let Some(leader) = cluster.leader().and_then(|leader| cluster.group(leader)) {
        // It need not be heard, and the victim need not be fit: then whoever leads goes on.
        let _ = leader.transfer_leader(victim).await;
    }
    sleep(Duration::from_millis(rng.random_range(500..1000))).await;
}

#[test]
fn repeated_requests_are_carried_out_once_whoever_leads() {
    let mut seen = (0, 0, 0);
    for seed in 1..=10 {
        let outcome = run(seed);
        assert_eq!(outcome.verdict, HistoryVerdict::Ok, "seed {seed}");
        assert_eq!((outcome.violation, outcome.nonsense), (None, Vec::new()), "seed {seed}");
        seen = (seen.0 + outcome.seen.0, seen.1 + outcome.seen.1, seen.2 + outcome.seen.2);
    }
    println!("snapshots installed, late copies answered, come too late: {seen:?}");
    assert!(seen.0 > 20 && seen.1 > 200 && seen.2 > 50, "{seen:?}: too little happened to show anything");
}

/// The bug is seen by clients alone, within `seeds` seeds.
fn must_be_caught(mutant: Mutant, seeds: u64) {
    let caught = (1..=seeds).find(|seed| {
        let _planted = plant(mutant);
        matches!(run(*seed).verdict, HistoryVerdict::Illegal(_))
    });
    println!("{mutant:?}: caught at seed {caught:?} of {seeds} by linearizability");
    assert!(caught.is_some(), "{mutant:?} is not caught in {seeds} seeds");
}

#[test]
fn requests_that_are_carried_out_again() {
    must_be_caught(Mutant::RepeatsRequests, 3);
}

#[test]
fn requests_that_a_snapshot_makes_forgotten() {
    must_be_caught(Mutant::ForgetsRequests, 5);
}

#[test]
fn late_copies_that_are_carried_out() {
    must_be_caught(Mutant::TakesLateCopies, 5);
}

/// What was deleted is there again once a replica was opened from what is stored.
#[test]
fn deletions_that_a_snapshot_makes_forgotten() {
    must_be_caught(Mutant::LosesDeletes, 5);
}
