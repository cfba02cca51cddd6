//! What the gateway needs of the rest of the process: a way to the shards, the node it runs in, limits, metrics.
//!
//! The composition root fills this in; tests fill it in with fakes. Handlers see no more of the node than is named here.

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raft_groups::events::Listener;
use raft_groups::inspect::{LogTail, NudgeError};
use raft_groups::network::faults::LinkFaults;
use raft_groups::{GroupId, GroupStatus, NodeId};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::api::HealthState;
use crate::gateway::http::limits::{LISTENERS, Limits};
use crate::gateway::http::metrics::{self, Metrics};
use crate::gateway::http::request_body::Budget;
use crate::placement::{ClusterMap, NodeEntry};
use crate::routing::{NodeReport, Router};

/// Everything a handler can reach. Clones share it, and cost little: each layer and each handler of a request has its own.
#[derive(Clone)]
pub struct GatewayState(Arc<GatewayParts>);

/// What all clones of a [`GatewayState`] share.
#[derive(Clone)]
pub struct GatewayParts {
    /// The way to the shards and to the cluster map.
    pub router: Router,
    /// The node this gateway runs in.
    pub node: Arc<dyn LocalNode>,
    /// What one request may ask for.
    pub limits: Limits,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Permits for [`Limits::in_flight`].
    pub(super) in_flight: Arc<Semaphore>,
    /// Permits for those who listen to events.
    pub(super) listeners: Arc<Semaphore>,
    /// Memory for bodies of data that arrive, and for answers that carry data.
    pub(super) budget: Budget,
    /// Memory for what else leaves: pages of this process, the cluster map, on which other nodes wait.
    pub(super) shown: Budget,
    /// The names that this process goes by, beside those of the machine itself.
    pub(super) hosts: Vec<String>,
}

impl GatewayState {
    /// The state of one gateway. Starts the process's metrics recorder if it does not run yet.
    pub fn new(router: Router, node: Arc<dyn LocalNode>, limits: Limits) -> Self {
        metrics::start();
        let in_flight = Arc::new(Semaphore::new(limits.in_flight));
        let (budget, shown) = (Budget::new(limits.arriving_bytes), Budget::new(limits.shown_bytes));
        let (listeners, metrics, hosts) = (Arc::new(Semaphore::new(LISTENERS)), Arc::default(), Vec::new());
        Self(Arc::new(GatewayParts { router, node, limits, metrics, in_flight, listeners, budget, shown, hosts }))
    }

    /// The same, going by these names too.
    pub fn known_as(self, hosts: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(GatewayParts { hosts: hosts.into_iter().collect(), ..Arc::unwrap_or_clone(self.0) }))
    }
}

impl Deref for GatewayState {
    type Target = GatewayParts;

    fn deref(&self) -> &GatewayParts {
        &self.0
    }
}

/// This process, as its own pages show it.
#[async_trait]
pub trait LocalNode: Send + Sync + 'static {
    /// The node's name; a gateway without replicas has one too.
    fn name(&self) -> String;

    /// How long the process has run.
    fn uptime(&self) -> Duration;

    /// Whether it serves, and what was looked at to tell.
    fn health(&self) -> NodeHealth;

    /// What it holds; `None` on a gateway without replicas.
    fn report(&self) -> Option<NodeReport>;

    /// Asks the process at an address who it is.
    ///
    /// # Errors
    /// Why there is no answer that makes sense.
    async fn introduction(&self, host: &str, port: u16) -> Result<Introduction, String>;

    /// The switch for link faults; `None` unless the node was started with `--test-faults`.
    fn faults(&self) -> Option<Arc<dyn LinkSwitch>>;

    /// The map it was formed with, for names as long as there is no other.
    fn first_map(&self) -> Option<ClusterMap> {
        None
    }

    /// Its replicas, to look into; `None` on a gateway, and before the node has opened its stores.
    fn replicas(&self) -> Option<Arc<dyn LocalReplicas>> {
        None
    }

    /// Returns once the process is to stop.
    async fn stopping(&self) {
        std::future::pending().await
    }
}

/// The replicas of this process, as far as a handler may look into them and nudge them. Where a group is named, `None`
/// says that no replica of it is open here.
#[async_trait]
pub trait LocalReplicas: Send + Sync + 'static {
    /// The status of each open replica.
    fn statuses(&self) -> Vec<GroupStatus>;

    /// A place in the ring of events: after event `after`, or from now on.
    fn listen(&self, after: Option<u64>) -> Listener;

    /// The last `last` entries of a replica's log. It may have to be read from disk: not for an async thread.
    ///
    /// # Errors
    /// Where the log cannot be read.
    fn log_tail(&self, group: GroupId, last: u64) -> Option<io::Result<LogTail>>;

    /// Has a replica stand for election at once. For tests and lessons.
    ///
    /// # Errors
    /// Where the replica has stopped.
    async fn campaign(&self, group: GroupId) -> Option<Result<(), NudgeError>>;

    /// Has a leader ask its most advanced voter to take over; who that is. For tests and lessons.
    ///
    /// # Errors
    /// Where the replica does not lead, or nobody could take over.
    async fn step_down(&self, group: GroupId) -> Option<Result<NodeId, NudgeError>>;
}

/// What a process says of itself when it is asked who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The node.
    pub entry: NodeEntry,
    /// The cluster it belongs to, once it does.
    pub cluster: Option<[u8; 16]>,
    /// Whether it forms a cluster, or belongs to one.
    pub taken: bool,
}

/// How this process is.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeHealth {
    /// `healthy` and `degraded` serve; the others answer 503.
    pub state: HealthState,
    /// What was looked at, by name.
    pub checks: BTreeMap<String, Value>,
}

/// Loses and delays what passes between this node and chosen others; for tests.
pub trait LinkSwitch: Send + Sync + 'static {
    /// From now on exactly these faults; the default heals all.
    fn set(&self, faults: LinkFaults);

    /// The faults of this moment.
    fn current(&self) -> LinkFaults;
}
