//! How nodes become a cluster: the forming node waits for the others and numbers them. It writes down what it decided
//! before it tells anyone.
//!
//! Comes in: requests of joiners, and how many nodes there are to be. Goes out: the first map, and an answer to each
//! joiner. Must not know how requests come: [`super::join`] does.
//!
//! Until that file is written nothing is decided, and the joiners ask again. Afterwards nothing is decided again: a
//! joiner gets the same answer however often it asks. So either of the two may crash at any moment.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use raft_groups::NodeId;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::placement::{ClusterMap, FormationError, NodeEntry, NodeName, NodeState, RaftTimings, form};

/// A joiner that has not asked for so long does not count.
const JOINER_PATIENCE: Duration = Duration::from_secs(5);

/// How often the log repeats whom a forming node waits for.
const TELL_EVERY: Duration = Duration::from_secs(15);

/// Copies of each shard where the operator gives no number.
const DEFAULT_REPLICAS: usize = 3;

/// What a node says of itself when it asks to join, and when it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::node) struct JoinRequest {
    pub name: NodeName,
    pub incarnation: Uuid,
    /// The host, in brackets if it is an IPv6 address, and the port of the HTTP API.
    pub host: String,
    pub port: u16,
    /// `host:port` of the peer port.
    pub peer_addr: String,
}

/// The answer to a [`JoinRequest`]. It is externally tagged, because serde buffers the members of an internally tagged
/// enum and then cannot read the numbers that are keys of the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JoinAnswer {
    /// Ask again soon.
    Waiting,
    /// The node is a member.
    Member {
        /// Its number.
        node: NodeId,
        /// The map to start from.
        map: Box<ClusterMap>,
    },
    /// Another node has the name, or this node had it with an earlier directory.
    NameTaken,
    /// The cluster exists, and takes a new member only when an operator says so: ask again.
    Unadopted,
    /// This node forms no cluster, and belongs to none yet.
    NotForming,
}

impl JoinRequest {
    /// Returns `true` if `entry` has the addresses at which this node really listens.
    pub fn is_at(&self, entry: &NodeEntry) -> bool {
        (&self.host, self.port, &self.peer_addr) == (&entry.host, entry.port, &entry.peer_addr)
    }

    /// The node's entry in a map.
    pub fn entry(&self) -> NodeEntry {
        let (name, host, peer_addr) = (self.name.clone(), self.host.clone(), self.peer_addr.clone());
        let (incarnation, port) = (*self.incarnation.as_bytes(), self.port);
        let (state, labels) = (NodeState::Member, BTreeMap::new());
        NodeEntry { name, incarnation, host, port, peer_addr, state, labels, life: 0 }
    }
}

/// What the operator asks of a new cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormationPlan {
    pub nodes: usize,
    pub shards: u32,
    /// Copies of each shard; `None` for [`DEFAULT_REPLICAS`], or the number of nodes if that is less.
    pub replication_factor: Option<usize>,
    pub timings: RaftTimings,
}

/// Answers joiners. On the forming node it also waits for enough of them.
pub(in crate::node) struct Formation {
    phase: Mutex<FormationPhase>,
    /// Fires when a joiner asks.
    changed: Notify,
    /// Whom the forming node waits for, in words, while it waits.
    wait: Mutex<Option<String>>,
}

enum FormationPhase {
    /// This node joins another, or has not decided.
    Idle,
    /// It waits for joiners. Each has the moment at which it last asked.
    Waiting(BTreeMap<NodeName, (JoinRequest, Instant)>),
    /// The cluster is decided, and this is its first map.
    Decided(Box<ClusterMap>),
}

impl Formation {
    pub fn new() -> Self {
        Self { phase: Mutex::new(FormationPhase::Idle), changed: Notify::new(), wait: Mutex::default() }
    }

    /// Waits until enough joiners are there. Returns the first map with all of them: this node is 1, and the others
    /// follow in the order of their names. That decides nothing yet: [`Formation::conclude`] does, once the map is on
    /// disk.
    pub(super) async fn gather_nodes(
        &self,
        me: &JoinRequest,
        plan: FormationPlan,
    ) -> Result<ClusterMap, FormationError> {
        *self.phase.lock() = FormationPhase::Waiting(BTreeMap::new());
        let (mut told, mut last_told) = (None, Instant::now());
        loop {
            // A joiner that asks after the look leaves a permit, so the wait below ends at once.
            let changed = self.changed.notified();
            if let Some(others) = self.take_present(plan.nodes) {
                let nodes = (1..).zip(std::iter::once(me.entry()).chain(others)).collect();
                let copies = plan.replication_factor.unwrap_or(DEFAULT_REPLICAS);
                if plan.replication_factor.is_some_and(|copies| copies > plan.nodes) {
                    tracing::warn!(
                        copies,
                        nodes = plan.nodes,
                        "there are fewer nodes than copies: each shard begins with one copy on each node, and gets more as \
                         nodes join"
                    );
                }
                let map = form(*Uuid::new_v4().as_bytes(), nodes, plan.shards, copies)?;
                return Ok(ClusterMap { timings: Some(plan.timings), ..map });
            }
            // The log says whom the node waits for: at each change, and now and then.
            let come = self.joiner_names();
            if told.as_ref() != Some(&come) || last_told.elapsed() >= TELL_EVERY {
                let line = describe_wait(&come, plan.nodes, me);
                tracing::info!("{line}");
                *self.wait.lock() = Some(line);
                (told, last_told) = (Some(come), Instant::now());
            }
            // Joiners ask again and again. After a quiet time, those that went away must be noticed.
            let _ = tokio::time::timeout(TELL_EVERY, changed).await;
        }
    }

    /// The names of the joiners that were there at the last look.
    fn joiner_names(&self) -> Vec<NodeName> {
        match &*self.phase.lock() {
            FormationPhase::Waiting(joiners) => joiners.keys().cloned().collect(),
            FormationPhase::Idle | FormationPhase::Decided(_) => Vec::new(),
        }
    }

    /// Returns `true` if this node neither forms a cluster nor belongs to one.
    pub fn is_idle(&self) -> bool {
        matches!(*self.phase.lock(), FormationPhase::Idle)
    }

    /// Says whom this node waits for before it forms a cluster; `None` if it does not form one.
    pub fn describe(&self) -> Option<String> {
        self.wait.lock().clone()
    }

    /// Answers joiners from `map` from now on. Call it once the map is on disk.
    pub fn conclude(&self, map: ClusterMap) {
        *self.wait.lock() = None;
        *self.phase.lock() = FormationPhase::Decided(Box::new(map));
    }

    /// Answers a joiner of the node named `me`. `current` is the newest map; it counts once it is formed.
    pub(super) fn answer_joiner(&self, request: JoinRequest, me: &NodeName, current: &ClusterMap) -> JoinAnswer {
        match &mut *self.phase.lock() {
            FormationPhase::Idle => JoinAnswer::NotForming,
            FormationPhase::Waiting(_) if request.name == *me => JoinAnswer::NameTaken,
            FormationPhase::Waiting(joiners) => {
                // A second directory of the same name waits until the first has gone away.
                let other_life = joiners.get(&request.name).is_some_and(|(known, at)| {
                    known.incarnation != request.incarnation && at.elapsed() < JOINER_PATIENCE
                });
                if other_life {
                    return JoinAnswer::NameTaken;
                }
                // Each question renews the joiner's presence.
                joiners.insert(request.name.clone(), (request, Instant::now()));
                self.changed.notify_one();
                JoinAnswer::Waiting
            }
            FormationPhase::Decided(first) => {
                answer_from_map(&request, if current.is_formed() { current } else { first })
            }
        }
    }

    /// The other nodes, if enough of them are there. Forgets joiners that went away.
    fn take_present(&self, wanted: usize) -> Option<Vec<NodeEntry>> {
        let FormationPhase::Waiting(joiners) = &mut *self.phase.lock() else { return None };
        joiners.retain(|_, (_, at)| at.elapsed() < JOINER_PATIENCE);
        let enough = joiners.len() + 1 >= wanted;
        enough.then(|| joiners.values().take(wanted - 1).map(|(joiner, _)| joiner.entry()).collect())
    }
}

/// A line for the log: `me` forms a cluster of `nodes` nodes, and the nodes `come` are there.
fn describe_wait(come: &[NodeName], nodes: usize, me: &JoinRequest) -> String {
    let names: Vec<&str> = come.iter().map(NodeName::as_str).collect();
    let who = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
    let missing = (nodes - 1).saturating_sub(names.len());
    format!(
        "forming a new cluster of {nodes}: {} of {} other nodes have come ({who}); {missing} more to come, started \
         with --join http://{}:{} and without --bootstrap",
        names.len(),
        nodes - 1,
        me.host,
        me.port
    )
}

/// The answer of a cluster that exists and has this map.
fn answer_from_map(request: &JoinRequest, map: &ClusterMap) -> JoinAnswer {
    match map.nodes.iter().find(|(_, entry)| entry.name == request.name) {
        Some((node, entry)) if entry.incarnation == *request.incarnation.as_bytes() => {
            JoinAnswer::Member { node: *node, map: Box::new(map.clone()) }
        }
        Some(_) => JoinAnswer::NameTaken,
        None => JoinAnswer::Unadopted,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn node(name: &str) -> JoinRequest {
        let name = NodeName::new(name).unwrap();
        let (host, peer_addr) = ("127.0.0.1".to_owned(), "127.0.0.1:1".to_owned());
        JoinRequest { name, incarnation: Uuid::new_v4(), host, port: 2, peer_addr }
    }

    fn plan(nodes: usize) -> FormationPlan {
        FormationPlan { nodes, shards: 8, replication_factor: None, timings: RaftTimings::default() }
    }

    fn gathering(me: &JoinRequest, nodes: usize) -> (Arc<Formation>, tokio::task::JoinHandle<ClusterMap>) {
        let formation = Arc::new(Formation::new());
        let (waiting, me) = (formation.clone(), me.clone());
        (formation, tokio::spawn(async move { waiting.gather_nodes(&me, plan(nodes)).await.unwrap() }))
    }

    #[tokio::test]
    async fn one_node_is_a_cluster_at_once() {
        let map = Formation::new().gather_nodes(&node("solo"), plan(1)).await.unwrap();
        assert_eq!((map.nodes.len(), map.replication_factor, map.shards.len()), (1, 1, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_are_numbered_by_name_after_the_forming_one() {
        let (me, a, b) = (node("z"), node("a"), node("b"));
        let (formation, gathered) = gathering(&me, 3);
        tokio::task::yield_now().await;
        assert!(formation.describe().is_some_and(|wait| wait.contains("2 more to come")));
        let ask = |joiner: &JoinRequest| formation.answer_joiner(joiner.clone(), &me.name, &ClusterMap::default());
        assert_eq!(ask(&b), JoinAnswer::Waiting);
        assert_eq!(ask(&b), JoinAnswer::Waiting);
        assert_eq!(ask(&a), JoinAnswer::Waiting);
        let map = gathered.await.unwrap();
        let names: Vec<&str> = map.nodes.values().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["z", "a", "b"]);
        formation.conclude(map.clone());
        assert_eq!(formation.describe(), None);
        for _ in 0..2 {
            assert_eq!(ask(&b), JoinAnswer::Member { node: 3, map: Box::new(map.clone()) });
        }
        assert_eq!(ask(&node("b")), JoinAnswer::NameTaken);
        assert_eq!(ask(&node("c")), JoinAnswer::Unadopted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_joiner_that_went_away_does_not_count_and_its_next_life_may_come() {
        let (me, gone) = (node("node1"), node("node2"));
        let (formation, gathered) = gathering(&me, 3);
        tokio::task::yield_now().await;
        let ask = |joiner: &JoinRequest| formation.answer_joiner(joiner.clone(), &me.name, &ClusterMap::default());
        assert_eq!(ask(&gone), JoinAnswer::Waiting);
        assert_eq!(ask(&node("node2")), JoinAnswer::NameTaken);
        assert_eq!(ask(&node("node1")), JoinAnswer::NameTaken);
        tokio::time::advance(JOINER_PATIENCE).await;
        assert_eq!(ask(&node("node3")), JoinAnswer::Waiting);
        tokio::task::yield_now().await;
        assert!(!gathered.is_finished());
        assert_eq!(ask(&node("node2")), JoinAnswer::Waiting);
        assert_eq!(gathered.await.unwrap().nodes.len(), 3);
    }

    #[test]
    fn the_log_says_who_has_come_and_how_many_are_waited_for() {
        let me = node("node1");
        let nobody = describe_wait(&[], 3, &me);
        assert!(
            nobody.contains("0 of 2") && nobody.contains("2 more to come") && nobody.contains("http://127.0.0.1:2 "),
            "{nobody}"
        );
        let one = describe_wait(&[node("node2").name], 3, &me);
        assert!(one.contains("1 of 2") && one.contains("(node2)") && one.contains("1 more to come"), "{one}");
    }

    #[test]
    fn answers_survive_json() {
        let member = JoinAnswer::Member { node: 3, map: Box::new(crate::placement::tests::map_of(3, 8, 3)) };
        for answer in [member, JoinAnswer::Waiting, JoinAnswer::Unadopted] {
            let text = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<JoinAnswer>(&text).unwrap(), answer, "{text}");
        }
    }

    #[test]
    fn who_forms_nothing_says_so() {
        let me = NodeName::new("node1").unwrap();
        let answer = Formation::new().answer_joiner(node("node2"), &me, &ClusterMap::default());
        assert_eq!(answer, JoinAnswer::NotForming);
    }
}
