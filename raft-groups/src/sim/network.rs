//! The transport of simulations: nodes in one process, on links that delay, reorder, lose and repeat messages as a
//! seed decides. Tests cut links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until};

use crate::network::{Lane, Transport, Unreachable};
use crate::{Host, NodeId};

/// A network between simulated nodes. Clones share it.
#[derive(Clone)]
pub struct SimNet(Arc<Mutex<NetState>>);

struct NetState {
    began: Instant,
    hosts: BTreeMap<NodeId, Host>,
    /// The links that are cut, as (from, to).
    cut: BTreeSet<(NodeId, NodeId)>,
    rng: SmallRng,
    conditions: LinkConditions,
    messages: Vec<SimMessage>,
    repeated: u64,
    observer: Option<Observer>,
}

/// Called after every message.
type Observer = Arc<dyn Fn() + Send + Sync>;

/// What the links do to messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkConditions {
    /// Longest delay of a message, one way. Each message has its own delay, so messages overtake each other.
    pub delay: Duration,
    /// The share of messages that is lost, from 0 to 1.
    pub loss: f64,
    /// The share of requests that arrive twice, the second time a delay later; from 0 to 1.
    pub repeats: f64,
}

/// One message, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SimMessage {
    /// When it was sent, since the network began.
    pub at: Duration,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// Its size in bytes.
    pub bytes: usize,
    /// CRC32C of its bytes.
    pub crc: u32,
    /// How long it takes; `None` if it is lost.
    pub delay: Option<Duration>,
}

/// One node's end of a [`SimNet`].
pub struct SimTransport {
    net: SimNet,
    from: NodeId,
}

impl SimNet {
    /// Makes a network whose delays and losses follow from `seed`.
    pub fn new(seed: u64, conditions: LinkConditions) -> Self {
        Self(Arc::new(Mutex::new(NetState {
            began: Instant::now(),
            hosts: BTreeMap::new(),
            cut: BTreeSet::new(),
            rng: SmallRng::seed_from_u64(seed),
            conditions,
            messages: Vec::new(),
            repeated: 0,
            observer: None,
        })))
    }

    /// Returns the transport of `node`.
    pub fn transport(&self, node: NodeId) -> Arc<SimTransport> {
        Arc::new(SimTransport { net: self.clone(), from: node })
    }

    /// Connects a started node.
    pub fn join(&self, host: Host) {
        self.0.lock().hosts.insert(host.identity().node, host);
    }

    /// Disconnects a crashed node. Requests to it are lost.
    pub fn leave(&self, node: NodeId) {
        self.0.lock().hosts.remove(&node);
    }

    /// Drops all nodes and the observer. They hold this network and it holds them, so none would be freed.
    pub fn disband(&self) {
        let mut inner = self.0.lock();
        let (hosts, observer) = (std::mem::take(&mut inner.hosts), inner.observer.take());
        drop(inner);
        drop((hosts, observer));
    }

    /// Sets a function that is called whenever a message was handled.
    pub fn observe(&self, look: impl Fn() + Send + Sync + 'static) {
        self.0.lock().observer = Some(Arc::new(look));
    }

    /// Cuts the link from `from` to `to`. The other direction still works.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.0.lock().cut.insert((from, to));
    }

    /// Cuts the links between `node` and all of `others`, both ways.
    pub fn isolate(&self, node: NodeId, others: impl IntoIterator<Item = NodeId>) {
        for other in others {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Restores all links.
    pub fn heal(&self) {
        self.0.lock().cut.clear();
    }

    /// Returns what the links do to messages now.
    pub fn conditions(&self) -> LinkConditions {
        self.0.lock().conditions
    }

    /// Changes what the links do to messages from now on.
    pub fn set_conditions(&self, conditions: LinkConditions) {
        self.0.lock().conditions = conditions;
    }

    /// Returns how long ago the network began: the clock of [`SimMessage::at`].
    pub fn now(&self) -> Duration {
        self.0.lock().began.elapsed()
    }

    /// Returns every message so far, in order. Two runs of one seed have the same messages.
    pub fn messages(&self) -> Vec<SimMessage> {
        self.0.lock().messages.clone()
    }

    /// Returns how many requests arrived twice.
    pub fn repeated(&self) -> u64 {
        self.0.lock().repeated
    }

    /// Records a message. Returns how long it takes; `None` if it is lost.
    fn passage(&self, from: NodeId, to: NodeId, message: &[u8]) -> Option<Duration> {
        let mut inner = self.0.lock();
        // Both are drawn for every message, so a cut link does not change what later messages meet.
        let (delay, lost) = (inner.rng.random::<f64>(), inner.rng.random::<f64>());
        let both_run = inner.hosts.contains_key(&from) && inner.hosts.contains_key(&to);
        let passes = both_run && !inner.cut.contains(&(from, to)) && lost >= inner.conditions.loss;
        let delay = passes.then(|| inner.conditions.delay.mul_f64(delay));
        let (at, bytes, crc) = (inner.began.elapsed(), message.len(), crc32c::crc32c(message));
        inner.messages.push(SimMessage { at, from, to, bytes, crc, delay });
        delay
    }

    async fn carry(self, from: NodeId, to: NodeId, request: Bytes) -> Option<Bytes> {
        sleep(self.passage(from, to, &request)?).await;
        let host = self.0.lock().hosts.get(&to).cloned()?;
        if self.draws_a_repeat() {
            tokio::spawn(self.clone().repeat(from, to, request.clone()));
        }
        let reply = host.handle(request).await;
        self.notify_observer();
        sleep(self.passage(to, from, &reply)?).await;
        self.notify_observer();
        Some(reply)
    }

    fn draws_a_repeat(&self) -> bool {
        let mut inner = self.0.lock();
        let repeats = inner.rng.random::<f64>() < inner.conditions.repeats;
        inner.repeated += u64::from(repeats);
        repeats
    }

    /// Delivers the same request once more. Nobody waits for its reply.
    async fn repeat(self, from: NodeId, to: NodeId, request: Bytes) {
        let Some(delay) = self.passage(from, to, &request) else { return };
        sleep(delay).await;
        let host = self.0.lock().hosts.get(&to).cloned();
        if let Some(host) = host {
            host.handle(request).await;
            self.notify_observer();
        }
    }

    fn notify_observer(&self) {
        let observer = self.0.lock().observer.clone();
        if let Some(observer) = observer {
            observer();
        }
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn call(&self, to: NodeId, _: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable> {
        let until = Instant::now() + deadline;
        let unreachable = || Unreachable { node: to, reason: "no reply in time".to_owned() };
        // Spawned: a request that was sent is carried out even if its sender no longer waits.
        let carried = tokio::spawn(self.net.clone().carry(self.from, to, request));
        match tokio::time::timeout_at(until, carried).await {
            Ok(Ok(Some(reply))) => Ok(reply),
            // The message was lost: the sender learns nothing before its deadline.
            Ok(_) => {
                sleep_until(until).await;
                Err(unreachable())
            }
            Err(_) => Err(unreachable()),
        }
    }
}
