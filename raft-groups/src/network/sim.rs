//! The transport of simulations: nodes in one process, links that delay, lose and cut as a seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Lane, Transport, Unreachable};
use crate::{Host, NodeId};

/// A network between simulated nodes; clones share it.
#[derive(Clone)]
pub struct SimNet(Arc<Mutex<Inner>>);

struct Inner {
    hosts: BTreeMap<NodeId, Host>,
    /// Directed: from, to.
    cut: BTreeSet<(NodeId, NodeId)>,
    rng: SmallRng,
    max_delay: Duration,
    loss: f64,
    messages: Vec<Message>,
}

/// One message, as it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When, in tokio's time.
    pub at: Instant,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// Its size.
    pub bytes: usize,
    /// How long it takes; `None` if it is lost.
    pub delay: Option<Duration>,
}

/// One node's end of a [`SimNet`].
pub struct SimTransport {
    net: SimNet,
    from: NodeId,
}

impl SimNet {
    /// A network whose delays (up to `max_delay` each way) and losses (a share of messages) follow from `seed`.
    pub fn new(seed: u64, max_delay: Duration, loss: f64) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(Inner {
            hosts: BTreeMap::new(),
            cut: BTreeSet::new(),
            rng,
            max_delay,
            loss,
            messages: Vec::new(),
        })))
    }

    /// The end of `node`.
    pub fn transport(&self, node: NodeId) -> Arc<SimTransport> {
        Arc::new(SimTransport { net: self.clone(), from: node })
    }

    /// Connects a started node.
    pub fn join(&self, host: Host) {
        self.0.lock().hosts.insert(host.identity().node, host);
    }

    /// Disconnects a crashed node: requests to it vanish.
    pub fn leave(&self, node: NodeId) {
        self.0.lock().hosts.remove(&node);
    }

    /// Cuts everything from `from` to `to`; the other direction goes on.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.0.lock().cut.insert((from, to));
    }

    /// Cuts `node` off from all of `others`, both ways.
    pub fn isolate(&self, node: NodeId, others: impl IntoIterator<Item = NodeId>) {
        for other in others {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Mends all links.
    pub fn heal(&self) {
        self.0.lock().cut.clear();
    }

    /// Every message so far, in order: two runs of one seed have the same.
    pub fn messages(&self) -> Vec<Message> {
        self.0.lock().messages.clone()
    }

    /// How long a message takes; `None` if it is lost.
    fn passage(&self, from: NodeId, to: NodeId, bytes: usize) -> Option<Duration> {
        let mut inner = self.0.lock();
        let (delay, lost) = (inner.rng.random::<f64>(), inner.rng.random::<f64>());
        let both_run = inner.hosts.contains_key(&from) && inner.hosts.contains_key(&to);
        let passes = both_run && !inner.cut.contains(&(from, to)) && lost >= inner.loss;
        let delay = passes.then(|| inner.max_delay.mul_f64(delay));
        inner.messages.push(Message { at: Instant::now(), from, to, bytes, delay });
        delay
    }

    async fn carry(&self, from: NodeId, to: NodeId, request: Bytes) -> Option<Bytes> {
        sleep(self.passage(from, to, request.len())?).await;
        let host = self.0.lock().hosts.get(&to).cloned()?;
        let reply = host.handle(request).await;
        sleep(self.passage(to, from, reply.len())?).await;
        Some(reply)
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn call(&self, to: NodeId, _: Lane, request: Bytes, deadline: Duration) -> Result<Bytes, Unreachable> {
        let until = Instant::now() + deadline;
        let unreachable = || Unreachable { node: to, reason: "no reply in time".to_owned() };
        // Spawned: a request that has left is carried out even if its sender no longer waits.
        let (net, from) = (self.net.clone(), self.from);
        let carried = tokio::spawn(async move { net.carry(from, to, request).await });
        match tokio::time::timeout_at(until, carried).await {
            Ok(Ok(Some(reply))) => Ok(reply),
            // Lost: the sender learns nothing before its deadline.
            Ok(_) => {
                sleep_until(until).await;
                Err(unreachable())
            }
            Err(_) => Err(unreachable()),
        }
    }
}
