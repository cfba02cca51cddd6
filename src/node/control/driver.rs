//! The placement driver: decides where replicas belong, on the node that leads the map's group.
//!
//! Comes in: the reports of all nodes, and how long each node has been silent ([`super::suspicion`]). Goes out: what
//! the planner decides, written into the map. The driver touches no group and asks nobody to do anything: the
//! membership loops and the replicas follow the map by themselves. If this node crashes, the next leader of the map's
//! group decides.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raft_groups::{Group, Role};
use tokio::time::Instant;

use super::suspicion::FailureDetector;
use crate::placement::planner::{Health, PlanLimits, next};
use crate::placement::{ClusterMap, MetaCommand, MetaMachine, MetaReply, NodeState};
use crate::routing::{LocalGroups, Overview, Router};

/// Pause between two rounds of questions.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Pause between two looks at the map while questions are not due.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the nodes may take to answer, and a decision to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most decisions at one look at the map.
const MAX_DECISIONS: usize = 64;

/// What the operator may set.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct DriverSettings {
    /// A node that is silent for so long is replaced where there is room.
    pub lost_after: Duration,
    /// A node that was adopted and does not come up within this time leaves the map.
    pub join_within: Duration,
    /// Shards whose replicas are moved at once.
    pub moves: usize,
}

/// The loop that decides, from what the nodes say of themselves.
pub(in crate::node) struct Driver {
    pub settings: DriverSettings,
    pub groups: Arc<LocalGroups>,
    pub router: Router,
}

impl Driver {
    /// Decides whenever this node leads the map's group, for ever.
    pub async fn decide_while_leading(self) {
        let began = Instant::now();
        let mut term = 0;
        let mut seen = NodeObservations::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Only the leader of the map's group decides.
            let Some(meta) = self.groups.meta() else { continue };
            let status = meta.status();
            if status.role != Role::Leader || !meta.machine().map().is_formed() {
                continue;
            }
            if status.term != term {
                // What this node saw in an earlier term of its own may be out of date. Silence since then means
                // nothing: nobody asked.
                (term, seen) = (status.term, NodeObservations::default());
            }
            // The nodes are asked now and then, and decisions follow at each look.
            if seen.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                let overview = self.router.overview(Instant::now() + PATIENCE).await;
                seen.note_overview(&overview, began.elapsed());
                seen.asked = Some(Instant::now());
            }
            self.decide(&meta, &mut seen, began.elapsed()).await;
        }
    }

    /// Writes one decision after the other into the map, until there is nothing to decide.
    async fn decide(&self, meta: &Group<MetaMachine>, seen: &mut NodeObservations, now: Duration) {
        for _ in 0..MAX_DECISIONS {
            // The planner is a pure function: where map and health are as before, it has nothing to decide.
            let map = meta.machine().map();
            let health = seen.judge_health(&map, now, self.settings);
            if seen.at_rest.as_ref().is_some_and(|(epoch, known)| *epoch == map.epoch && *known == health) {
                return;
            }
            let Some(change) = next(&map, &health, PlanLimits { moves: self.settings.moves }) else {
                seen.at_rest = Some((map.epoch, health));
                return;
            };
            // A decision names the epoch of its map. The machine refuses it for any other map, so two drivers cannot
            // mix decisions.
            let what = format!("{change:?}");
            let command = MetaCommand::Plan { epoch: map.epoch, at_ms: now_ms(), change };
            let written = meta.write(command.encode(), Instant::now() + PATIENCE).await;
            match written.map(|written| MetaReply::decode(&written.reply)) {
                Ok(Ok(MetaReply::Planned)) => tracing::info!(what, "decided"),
                // The map has changed, or the machine refused the decision: the next look asks the planner again.
                Ok(_) => return,
                Err(error) => {
                    return tracing::debug!(what, %error, "a decision is not written; the next look decides anew");
                }
            }
        }
    }
}

/// What the nodes have said in this term.
#[derive(Default)]
struct NodeObservations {
    /// When the nodes were last asked.
    asked: Option<Instant>,
    detector: FailureDetector,
    health: Health,
    /// The map's epoch and the health at which the planner had nothing to decide.
    at_rest: Option<(u64, Health)>,
}

impl NodeObservations {
    /// Takes what one round of questions has brought.
    fn note_overview(&mut self, overview: &Overview, now: Duration) {
        self.detector.keep_nodes(overview.map.nodes.keys().copied(), now);
        for report in overview.reports() {
            self.detector.note_answer(report.node, now);
        }
        // The planner lets go of a replica that a majority contradicts, like one that found its own damage.
        (self.health.damaged, self.health.disputed) = (overview.damaged(), overview.disputed());
        for (group, odd) in overview.differing() {
            tracing::error!(%group, ?odd, "replicas of one group differ as of one log index");
        }
        // A shard counts as large as its largest replica, since a new copy may need as much.
        let largest = |shard| overview.replicas(shard).map(|(_, replica)| replica.memory_bytes).max().unwrap_or(0);
        self.health.shard_bytes = overview.map.shards.keys().map(|shard| (*shard, largest(*shard))).collect();
    }

    /// The nodes' health at `now`, which is the time since the driver began, for the planner.
    fn judge_health(&self, map: &ClusterMap, now: Duration, settings: DriverSettings) -> Health {
        let judged = |node, state| {
            let lost_after = if state == NodeState::Joining { settings.join_within } else { settings.lost_after };
            self.detector.judge(node, now, lost_after)
        };
        let nodes = map.nodes.iter().map(|(node, entry)| (*node, judged(*node, entry.state))).collect();
        Health { nodes, join_within: settings.join_within, ..self.health.clone() }
    }
}

/// Milliseconds since 1970, for people to read.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
