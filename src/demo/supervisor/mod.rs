//! What the supervisor knows and can do: nodes that are up, down or paused; links; the event log.
//!
//! In: requests of the page, the terminal and the lessons; events of the nodes ([`event_reader`]). Out: orders to the
//! nodes' processes ([`processes`]), and requests to the nodes' own API. Everything that is done to a node is done
//! here, and told in the [`event_log`]. Knows nothing of the page, the lessons or the terminal.

pub(super) mod client_requests;
pub(super) mod cluster_view;
pub(super) mod demo_client;
mod event_log;
pub(super) mod event_reader;
mod leaders;
mod link_changes;
pub(super) mod links;
mod members;
pub(super) mod processes;
pub(super) mod refused;
pub(super) mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::demo::supervisor::cluster_view::ClusterView;
use crate::demo::supervisor::demo_client::DemoClient;
use crate::demo::supervisor::event_log::EventLog;
use crate::demo::supervisor::links::Links;
use crate::demo::supervisor::processes::{ProcessCommand, ProcessOrder, Processes};
use crate::demo::supervisor::refused::{Refused, answered};
use crate::demo::supervisor::settings::DemoTimings;
use crate::demo::supervisor::settings::SHARDS;

/// The state of a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProcessState {
    Up,
    Down,
    Paused,
}

/// A node as the supervisor knows it.
#[derive(Debug, Clone)]
pub(super) struct DemoNode {
    pub url: String,
    pub pid: u32,
    pub state: ProcessState,
    /// How often its process was started.
    pub life: u64,
}

/// The supervisor's state. Its actions return a sentence that says what was done, or [`Refused`] with the way out.
pub(super) struct Supervisor {
    pub events: EventLog,
    pub view: Mutex<ClusterView>,
    pub timings: DemoTimings,
    pub links: Mutex<Links>,
    pub client: DemoClient,
    /// For requests that are answered.
    pub http: reqwest::Client,
    /// For streams that never end.
    pub streams: reqwest::Client,
    nodes: Mutex<BTreeMap<String, DemoNode>>,
    orders: mpsc::UnboundedSender<ProcessOrder>,
}

impl Supervisor {
    /// The supervisor of these nodes, which have just been started.
    pub fn new(processes: &Processes, orders: mpsc::UnboundedSender<ProcessOrder>, timings: DemoTimings) -> Arc<Self> {
        let node = |url: &str, pid| DemoNode { url: url.to_owned(), pid, state: ProcessState::Up, life: 1 };
        let nodes: BTreeMap<_, _> =
            processes.members().map(|(name, url, pid)| (name.to_owned(), node(url, pid))).collect();
        // All nodes are on this machine, so no proxy is asked.
        let client = || reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(1));
        let built = |client: reqwest::ClientBuilder| client.build().expect("a client of nothing but HTTP");
        Arc::new(Self {
            events: EventLog::default(),
            view: Mutex::default(),
            links: Mutex::default(),
            client: DemoClient::default(),
            http: built(client().timeout(timings.election_max() * 4 + Duration::from_secs(20))),
            // A stream has no end, so only connecting has a time limit.
            streams: built(client()),
            nodes: Mutex::new(nodes),
            orders,
            timings,
        })
    }

    /// Adds an event of the supervisor to the event log, with the time in milliseconds since 1970.
    pub fn tell(&self, mut event: Value) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0);
        event["at"] = ((now * 1000.0).round() / 1000.0).into();
        if event.get("node").is_none() {
            event["node"] = Value::Null;
        }
        self.events.add(event);
    }

    /// Adds an event of a node to the event log, and notes what it says of the node.
    pub fn add_node_event(&self, event: Value) {
        self.view.lock().see(&event);
        self.events.add(event);
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> BTreeMap<String, DemoNode> {
        self.nodes.lock().clone()
    }

    /// A node, if there is one of this name.
    pub fn node(&self, name: &str) -> Option<DemoNode> {
        self.nodes.lock().get(name).cloned()
    }

    /// A node of this name.
    ///
    /// # Errors
    /// [`Refused::Unknown`] where there is none.
    pub fn known(&self, name: &str) -> Result<DemoNode, Refused> {
        self.node(name).ok_or_else(|| Refused::Unknown(format!("there is no node `{name}`")))
    }

    /// A node of this name that is up.
    ///
    /// # Errors
    /// [`Refused`] with the way out, where there is none or it is not up.
    pub fn up(&self, name: &str) -> Result<DemoNode, Refused> {
        let node = self.known(name)?;
        match node.state {
            ProcessState::Up => Ok(node),
            ProcessState::Down => Err(Refused::Conflict(format!("{name} is down: restart it first"))),
            ProcessState::Paused => Err(Refused::Conflict(format!("{name} is paused: resume it first"))),
        }
    }

    /// Some node that is up and is not `but`. It is the leader of the cluster map's group, if that is known.
    pub fn another(&self, but: &str) -> Result<(String, DemoNode), Refused> {
        let leader = self.view.lock().leader(0).map(|(node, _)| node);
        let mut up: Vec<_> =
            self.nodes().into_iter().filter(|(name, node)| name != but && node.state == ProcessState::Up).collect();
        up.sort_by_key(|(name, _)| Some(name) != leader.as_ref());
        up.into_iter().next().ok_or_else(|| Refused::Conflict("no other node is up: restart one first".to_owned()))
    }

    /// Kills a node with SIGKILL.
    pub async fn kill(&self, name: &str) -> Result<String, Refused> {
        if self.known(name)?.state == ProcessState::Down {
            return Err(Refused::Conflict(format!("{name} is down already")));
        }
        self.order(name, ProcessCommand::Kill, None).await?;
        // Shown as down only once the process is gone.
        self.now_is(name, ProcessState::Down, None);
        self.view.lock().forget(name);
        self.tell(json!({"kind": "node_killed", "node": name}));
        Ok(format!("{name} is killed"))
    }

    /// Pauses a node with SIGSTOP.
    pub async fn pause(&self, name: &str) -> Result<String, Refused> {
        self.up(name)?;
        self.order(name, ProcessCommand::Pause, None).await?;
        self.now_is(name, ProcessState::Paused, None);
        self.tell(json!({"kind": "node_paused", "node": name}));
        Ok(format!("{name} is paused"))
    }

    /// Lets a paused node go on.
    pub async fn resume(&self, name: &str) -> Result<String, Refused> {
        if self.known(name)?.state != ProcessState::Paused {
            return Err(Refused::Conflict(format!("{name} is not paused")));
        }
        self.order(name, ProcessCommand::Resume, None).await?;
        self.now_is(name, ProcessState::Up, None);
        self.tell(json!({"kind": "node_resumed", "node": name}));
        // Links may have changed while it could not answer.
        self.reapply(name);
        Ok(format!("{name} goes on"))
    }

    /// Starts a node again on its data. A node that is up is killed first.
    pub async fn restart(&self, name: &str) -> Result<String, Refused> {
        self.known(name)?;
        let pid = self.order(name, ProcessCommand::Restart, None).await?;
        self.view.lock().forget(name);
        self.now_is(name, ProcessState::Up, Some(pid));
        self.tell(json!({"kind": "node_restarted", "node": name}));
        Ok(format!("{name} is started again on its data"))
    }

    /// Starts a node that has ended without its data. It waits at `join`, the URL of a node, to be adopted.
    pub async fn renew(&self, name: &str, join: String) -> Result<(), Refused> {
        let pid = self.order(name, ProcessCommand::Renew, Some(join)).await?;
        self.view.lock().forget(name);
        self.now_is(name, ProcessState::Up, Some(pid));
        self.tell(json!({"kind": "node_wiped", "node": name}));
        Ok(())
    }

    /// Notes that a node ended by itself.
    pub fn note_end(&self, name: &str, reason: &str) {
        self.now_is(name, ProcessState::Down, None);
        self.view.lock().forget(name);
        self.tell(json!({"kind": "node_died", "node": name, "reason": reason}));
    }

    /// Has a node's replica of a group stand for election at once (`campaign`), or step down (`step-down`).
    pub async fn nudge(&self, name: &str, group: u64, what: &str) -> Result<String, Refused> {
        let url = format!("{}/quiver/v1/groups/{group}/{what}", self.up(name)?.url);
        answered(self.http.post(url).send().await?).await?;
        let done = if what == "campaign" { "stands for election in" } else { "is asked to step down from" };
        Ok(format!("{name} {done} group {group}"))
    }

    /// What `/api/state` shows, without the lesson.
    pub fn state(&self) -> Value {
        let nodes = self.nodes();
        let nodes = nodes
            .iter()
            .map(|(name, node)| json!({"name": name, "url": node.url, "pid": node.pid, "state": node.state}));
        let shards = (0..u64::from(SHARDS)).map(|shard| json!({"group": shard + 1, "label": format!("shard {shard}")}));
        let groups = std::iter::once(json!({"group": 0, "label": "cluster map"})).chain(shards);
        json!({
            "nodes": nodes.collect::<Vec<_>>(), "links": self.links.lock().as_json(),
            "groups": groups.collect::<Vec<_>>(), "timings": self.timings, "slow": self.timings.slow,
            "collection": crate::demo::supervisor::demo_client::COLLECTION, "lesson": null, "replay": false,
            "seq": self.events.last(),
        })
    }

    /// Gives an order to the main thread, and waits for its outcome: the process id.
    async fn order(&self, name: &str, command: ProcessCommand, join: Option<String>) -> anyhow::Result<u32> {
        let (done, outcome) = oneshot::channel();
        let order = ProcessOrder { name: name.to_owned(), command, join, done };
        let ending = || anyhow::anyhow!("the demo is ending");
        self.orders.send(order).map_err(|_| ending())?;
        outcome.await.map_err(|_| ending())?
    }

    /// Notes the state of a node's process. `started` is the process id of a new start.
    fn now_is(&self, name: &str, state: ProcessState, started: Option<u32>) {
        if let Some(node) = self.nodes.lock().get_mut(name) {
            node.state = state;
            if let Some(pid) = started {
                node.pid = pid;
                node.life += 1;
            }
        }
    }
}
