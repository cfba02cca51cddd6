//! The clients of a run. They write, delete, compare and read registers, add to a set, and read followers with and
//! without session tokens. Each tries any node, follows hints, and continues whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jepsen_lite::history::edn::Edn;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::recorder::{Book, End, Pen, Recorder, TOKENLESS};
use crate::tests::kit::{Order, Registers};
use crate::{Group, NodeId, ReadMode, WriteError, Written};

/// Registers of one round. Each round has its own, so the search for an order of operations stays short.
pub const REGISTERS: u64 = 2;
/// Registers that are read on followers. Each has one writer.
pub const SESSION_REGISTERS: u64 = 2;

/// The register of the client that passes tokens.
const OWN: &str = "own";

/// Returns the registers that must be written before the first fault. Without one write whose version is known, the
/// order of later writes of unknown outcome could stay unknown.
pub fn first_registers() -> impl Iterator<Item = String> {
    (0..SESSION_REGISTERS).map(session_register).chain([OWN.to_owned()])
}

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What all clients share: the round, and the handles on the nodes, which the nemesis replaces.
#[derive(Clone, Default)]
pub struct Doors(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    groups: BTreeMap<NodeId, Group<Registers>>,
    round: u64,
    values: u64,
    /// How often a node's replica was erased. The replica in its place has shown nothing before.
    erasures: BTreeMap<NodeId, u64>,
}

impl Doors {
    /// Replaces all handles.
    pub fn open(&self, groups: BTreeMap<NodeId, Group<Registers>>) {
        self.0.lock().groups = groups;
    }

    /// Removes the handle on a node.
    pub fn close(&self, node: NodeId) {
        self.0.lock().groups.remove(&node);
    }

    /// Notes that a node's replica was erased, and another opened in its place.
    pub fn erased(&self, node: NodeId) {
        *self.0.lock().erasures.entry(node).or_default() += 1;
    }

    /// Returns a replica's name in histories. An erased replica and the next one on its node have different names.
    fn name(&self, node: NodeId) -> String {
        let erasures = self.0.lock().erasures.get(&node).copied().unwrap_or(0);
        format!("n{node}.{erasures}")
    }

    /// Begins the next round. Returns its number.
    pub fn next_round(&self) -> u64 {
        let mut open = self.0.lock();
        open.round += 1;
        open.round
    }

    /// Returns all handles.
    pub fn all(&self) -> Vec<Group<Registers>> {
        self.0.lock().groups.values().cloned().collect()
    }

    /// Returns a replica that says that it leads.
    pub fn leader(&self) -> Option<Group<Registers>> {
        let leads = |group: &&Group<Registers>| group.status().role == crate::Role::Leader;
        self.0.lock().groups.values().find(leads).cloned()
    }

    fn pick(&self, rng: &mut SmallRng, hint: Option<NodeId>) -> Option<(NodeId, Group<Registers>)> {
        let open = self.0.lock();
        let at = rng.random_range(0..open.groups.len().max(1));
        let hinted = hint.filter(|_| rng.random_bool(0.8)).and_then(|hint| open.groups.get_key_value(&hint));
        hinted.or_else(|| open.groups.iter().nth(at)).map(|(id, group)| (*id, group.clone()))
    }

    /// Returns a value that nobody wrote before.
    fn value(&self) -> u64 {
        let mut open = self.0.lock();
        open.values += 1;
        open.values
    }

    fn register(&self, rng: &mut SmallRng) -> String {
        register_of(self.0.lock().round, rng.random_range(0..REGISTERS))
    }
}

/// Returns the name of a register of a round.
pub fn register_of(round: u64, register: u64) -> String {
    format!("{round}.{register}")
}

/// Returns the name of a register that is read on followers.
pub fn session_register(register: u64) -> String {
    format!("session {register}")
}

/// A client with its own random generator.
pub struct Client {
    pub doors: Doors,
    pub pen: Pen,
    rng: SmallRng,
    hint: Option<NodeId>,
    seen: BTreeMap<String, u64>,
}

/// Starts all clients of a run.
pub fn start(seed: u64, doors: &Doors, recorder: &Recorder) -> Vec<tokio::task::JoinHandle<()>> {
    let client = |book, number| Client::new(seed, doors.clone(), recorder.pen(book, number));
    let mut clients: Vec<_> =
        (0..4).map(|number| tokio::spawn(client(Book::Registers, number).use_registers())).collect();
    clients.extend((4..6).map(|number| tokio::spawn(client(Book::Set, number).use_set())));
    let writers =
        (0..SESSION_REGISTERS).map(|at| tokio::spawn(client(Book::Sessions, 6 + at as i64).write_sessions(at)));
    clients.extend(writers);
    clients.push(tokio::spawn(client(Book::Sessions, 10).read_sessions(true)));
    clients.push(tokio::spawn(client(Book::Sessions, TOKENLESS).read_sessions(false)));
    clients
}

fn number(value: u64) -> Edn {
    Edn::Int(value as i64)
}

fn keyed(key: &str, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::Str(key.to_owned()), value])
}

fn nothing_or(value: Option<u64>) -> Edn {
    value.map_or(Edn::Nil, number)
}

/// Returns the freshness that a client asks for, as histories name it.
pub fn level(mode: ReadMode) -> (&'static str, Edn) {
    let name = match mode {
        ReadMode::Follower => "one",
        ReadMode::Lease => "quorum",
        ReadMode::Linearizable => "all",
    };
    ("level", Edn::keyword(name))
}

impl Client {
    pub fn new(seed: u64, doors: Doors, pen: Pen) -> Self {
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(1009).wrapping_add(pen.number()));
        Self { doors, pen, rng, hint: None, seen: BTreeMap::new() }
    }

    async fn pause(&mut self, up_to: u64) {
        sleep(Duration::from_millis(self.rng.random_range(1..up_to))).await;
    }

    /// Writes through some node, and records the outcome. Returns the log index if the write was acknowledged.
    async fn write(&mut self, f: &'static str, value: Edn, order: Order) -> Option<u64> {
        let (node, group) = self.doors.pick(&mut self.rng, self.hint)?;
        self.pen.begin(f, value.clone(), self.doors.name(node));
        let written = group.write(order.encode(), Instant::now() + PATIENCE).await;
        // The next attempt goes to the leader that was named, if one was.
        self.hint = match &written {
            Err(WriteError::NotLeader { leader }) => *leader,
            Err(_) => None,
            Ok(_) => self.hint,
        };
        let index = written.as_ref().ok().map(|written| written.index);
        let version: Vec<_> = index.iter().map(|index| ("version", number(*index))).collect();
        self.pen.end(f, value.clone(), end_of(written, value), &version);
        index
    }

    async fn use_registers(mut self) {
        loop {
            self.pause(60).await;
            // 4 of 10 operations read, 3 write, 2 compare and set, 1 deletes.
            let register = self.doors.register(&mut self.rng);
            match self.rng.random_range(0..10) {
                0..4 => {
                    let mode = if self.rng.random_bool(0.5) { ReadMode::Lease } else { ReadMode::Linearizable };
                    if let Some((node, group)) = self.doors.pick(&mut self.rng, self.hint) {
                        self.read(node, &group, &register, mode).await;
                    }
                }
                4..7 => {
                    let value = self.doors.value();
                    self.write("write", keyed(&register, number(value)), Order::set(&register, value)).await;
                }
                7..9 => {
                    let to = self.doors.value();
                    let from = self.seen.get(&register).copied().unwrap_or(0);
                    let value = keyed(&register, Edn::Vector(vec![number(from), number(to)]));
                    self.write("cas", value, Order::Cas { register, from, to }).await;
                }
                _ => {
                    let value = keyed(&register, Edn::Nil);
                    self.write("delete", value, Order::Delete { register }).await;
                }
            }
        }
    }

    /// Reads a register in a mode that must be linearizable. Returns `true` if it was served.
    pub async fn read(&mut self, node: NodeId, group: &Group<Registers>, register: &str, mode: ReadMode) -> bool {
        self.pen.begin("read", keyed(register, Edn::Nil), self.doors.name(node));
        let served = group.read(mode, Instant::now() + PATIENCE).await.is_ok();
        let value = group.machine().get(register);
        if served && let Some(value) = value {
            self.seen.insert(register.to_owned(), value);
        }
        let end = if served { End::Ok(keyed(register, nothing_or(value))) } else { End::Fail("refused") };
        self.pen.end("read", keyed(register, Edn::Nil), end, &[level(mode)]);
        served
    }

    async fn use_set(mut self) {
        loop {
            self.pause(120).await;
            if self.rng.random_bool(0.8) {
                let element = self.doors.value();
                self.write("add", number(element), Order::Add(element)).await;
            } else if let Some((node, group)) = self.doors.pick(&mut self.rng, self.hint) {
                self.read_set(node, &group, ReadMode::Linearizable).await;
            }
        }
    }

    /// Reads the set. Returns `true` if it was served.
    pub async fn read_set(&mut self, node: NodeId, group: &Group<Registers>, mode: ReadMode) -> bool {
        self.pen.begin("read", Edn::Nil, self.doors.name(node));
        let served = group.read(mode, Instant::now() + PATIENCE).await.is_ok();
        let elements = group.machine().elements().into_iter().map(number).collect();
        let end = if served { End::Ok(Edn::Vector(elements)) } else { End::Fail("refused") };
        self.pen.end("read", Edn::Nil, end, &[level(mode)]);
        served
    }

    async fn write_sessions(mut self, register: u64) {
        let register = session_register(register);
        loop {
            self.pause(80).await;
            let value = self.doors.value();
            self.write("write", keyed(&register, number(value)), Order::set(&register, value)).await;
        }
    }

    /// Reads followers, without end. With tokens, a read waits for all that this client has seen or written.
    async fn read_sessions(mut self, with_tokens: bool) {
        let mut token = 0;
        let own = OWN.to_owned();
        // Without one write whose version is known, the order of the others could stay unknown.
        while with_tokens && !self.write_own(&own, &mut token).await {
            self.pause(40).await;
        }
        loop {
            self.pause(40).await;
            let Some((node, group)) = self.doors.pick(&mut self.rng, None) else { continue };
            if with_tokens && self.rng.random_bool(0.2) {
                self.write_own(&own, &mut token).await;
                let seen = self.read_follower(node, &group, &own, token).await;
                token = token.max(seen.unwrap_or(0));
                continue;
            }
            let register = session_register(self.rng.random_range(0..SESSION_REGISTERS));
            if let Some(index) = self.read_follower(node, &group, &register, token).await
                && with_tokens
            {
                token = token.max(index);
            }
        }
    }

    /// Writes this client's own register. Returns `true` if it was acknowledged, and so is in the token.
    async fn write_own(&mut self, own: &str, token: &mut u64) -> bool {
        let value = self.doors.value();
        let written = self.write("write", keyed(own, number(value)), Order::set(own, value)).await;
        *token = (*token).max(written.unwrap_or(0));
        written.is_some()
    }

    /// Reads a register on one replica, once that has applied `token`. Returns the index that the answer reflects,
    /// if there is an answer.
    async fn read_follower(
        &mut self,
        node: NodeId,
        group: &Group<Registers>,
        register: &str,
        token: u64,
    ) -> Option<u64> {
        self.pen.begin("read", keyed(register, Edn::Nil), self.doors.name(node));
        let deadline = Instant::now() + PATIENCE;
        let served = match group.wait_applied(token, deadline).await {
            Ok(_) => group.read(ReadMode::Follower, deadline).await.ok(),
            Err(_) => None,
        };
        // Read after the index was known, so the state may be newer than that index, never older.
        let seen = group.machine().read(register);
        let end = match served {
            Some(_) => End::Ok(keyed(register, nothing_or(seen.map(|(value, _)| value)))),
            None => End::Fail("refused"),
        };
        let mut members = vec![level(ReadMode::Follower)];
        members.extend(seen.map(|(_, version)| ("version", number(version))).filter(|_| served.is_some()));
        self.pen.end("read", keyed(register, Edn::Nil), end, &members);
        Some(served?.index.max(seen.map_or(0, |(_, version)| version)))
    }
}

/// Returns how a write ends in a history. Only a write that was certainly not appended, or a failed comparison, has
/// failed.
fn end_of(written: Result<Written, WriteError>, value: Edn) -> End {
    match written {
        Ok(written) if written.reply[..] == [1] => End::Ok(value),
        Ok(_) => End::Fail("mismatch"),
        Err(WriteError::Indeterminate { .. }) => End::Unknown,
        Err(WriteError::NotLeader { .. } | WriteError::Busy | WriteError::Stopped { .. }) => End::Fail("refused"),
    }
}
