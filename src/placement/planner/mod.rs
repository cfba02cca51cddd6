//! What to change next, given the map and how the nodes are: pure, so that every decision can be tested and shown
//! beforehand.
//!
//! ```text
//! map + health ─▶ newcomers and leavers ─▶ dead ends ─▶ repair, grow, drain, shrink ─▶ zones ─▶ counts ─▶ leaders ─▶ rest
//! ```
//! One decision at a time, each on what the map says after the one before. A group's members are planned anew only once
//! its leader has confirmed the plan before, save where that one leads to a node that is gone. No plan leaves a group
//! without a majority that answers, and none moves what would have to move again: replicas go from the fullest node to
//! the emptiest, so a node that receives does not give.

mod balance;
mod forecast;
mod repair;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_groups::{GroupId, NodeId};

pub use forecast::{Forecast, Move, Obstacle, forecast};

use self::view::PlannerView;
use super::{Change, ClusterMap, NodeState, OperationKind, OperationState, ShardId};

/// Whether a node answers, as the driver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It has been silent for a while: nothing is moved to it, and nothing away.
    Suspect,
    /// It has been silent for so long that it is replaced where there is room; a joining node is given up.
    Lost,
}

/// How the nodes are, and what the shards weigh. Soft: it may set a plan off, and decides no fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Nodes by number; one that is absent counts as suspect.
    pub nodes: BTreeMap<NodeId, Liveness>,
    /// Replicas whose data is damaged, so that they stay closed.
    pub damaged: BTreeSet<(NodeId, GroupId)>,
    /// Groups whose replicas differ, and no majority of them agrees: whose state is right is for an operator to say.
    pub disputed: BTreeSet<GroupId>,
    /// Bytes of one replica of each shard, as far as known.
    pub shard_bytes: BTreeMap<ShardId, u64>,
    /// Silence after which a joining node counts as lost, as people are told.
    pub join_within: Duration,
}

/// Bounds on what is under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    /// Shards whose replicas are being moved.
    pub moves: usize,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self { moves: 2 }
    }
}

/// The next change, or `None` where the cluster is at rest, or must wait for what is under way.
pub fn next(map: &ClusterMap, health: &Health, limits: PlanLimits) -> Option<Change> {
    if !map.is_formed() {
        return None;
    }
    let view = PlannerView::new(map, health);
    node_change(&view)
        .or_else(|| repair::dead_end(&view))
        .or_else(|| repair::meta(&view))
        .or_else(|| balance::fit_leader(&view))
        .or_else(|| if view.under_way() < limits.moves { repair::shards(&view) } else { None })
        .or_else(|| if view.under_way() < limits.moves { balance::replicas(&view) } else { None })
        .or_else(|| balance::leaders(&view))
        .or_else(|| ended(&view))
}

/// Takes in nodes that have come, and lets go of those that are done or never came.
fn node_change(view: &PlannerView<'_>) -> Option<Change> {
    view.map.nodes.iter().find_map(|(node, entry)| match (entry.state, view.liveness(*node)) {
        (NodeState::Joining, Liveness::Alive) => Some(Change::Welcome { node: *node }),
        (NodeState::Joining, Liveness::Lost) => Some(give_up(view, *node)),
        (NodeState::Leaving, _) if !view.map.holds_replicas(*node) => Some(Change::Forget { node: *node }),
        _ => None,
    })
}

/// Lets go of a node that was adopted and did not come.
fn give_up(view: &PlannerView<'_>, node: NodeId) -> Change {
    let reason = format!(
        "{} did not answer within {} ms of being adopted (--join-within-ms): look at its log and at the network between it \
         and the others, then start it again and ask anew",
        view.map.name_of(node),
        view.join_within().as_millis()
    );
    Change::GiveUp { node, reason }
}

/// Ends an operation whose end has come. Asked last: then nothing else is left to decide.
fn ended(view: &PlannerView<'_>) -> Option<Change> {
    let map = view.map;
    let at_rest = map.placements().all(|(_, placement)| placement.settled);
    map.operations.iter().filter(|(_, operation)| operation.is_running()).find_map(|(id, operation)| {
        let outcome = match &operation.kind {
            OperationKind::Join(node, _) | OperationKind::Undrain(node, _) => {
                (at_rest && view.is_member(*node)).then_some(OperationState::Done)
            }
            OperationKind::Rebalance => at_rest.then_some(OperationState::Done),
            OperationKind::Drain(node, _) => (!map.holds_replicas(*node)).then_some(OperationState::Done),
            OperationKind::Leave(node, _) => (!map.nodes.contains_key(node)).then_some(OperationState::Done),
            OperationKind::Move(shard, from, to) => moved(view, *shard, *from, *to),
        };
        outcome.map(|outcome| Change::Finish { operation: *id, outcome })
    })
}

fn moved(view: &PlannerView<'_>, shard: ShardId, from: NodeId, to: NodeId) -> Option<OperationState> {
    let placement = &view.map.shards.get(&shard)?.placement;
    if !placement.settled {
        return None;
    }
    let there = placement.actual.contains(&to) && !placement.actual.contains(&from);
    let reason = "the shard was moved elsewhere, since a node failed or left meanwhile".to_owned();
    Some(if there { OperationState::Done } else { OperationState::Failed { reason } })
}
