//! What commands would lead to, told before they are given: the planner's own decisions, carried out on a copy of the map.

use std::collections::BTreeSet;

use raft_groups::{GroupId, NodeId};

use super::view::PlannerView;
use super::{Health, Liveness, PlanLimits, next, node_change};
use crate::placement::{Change, ClusterMap, MetaCommand, MetaReply, ShardId};

/// Decisions after which a forecast is cut off: more than any cluster within its limits needs.
const MAX_DECISIONS: usize = 100_000;

/// What commands would lead to.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What the map would answer to the last command.
    pub reply: MetaReply,
    /// Replicas that would come to nodes, in order.
    pub moves: Vec<Move>,
    /// Leaders that would be preferred elsewhere.
    pub leaders: usize,
    /// The map in the end.
    pub end: ClusterMap,
    /// What would keep it from its end.
    pub obstacles: Vec<Obstacle>,
    /// Nodes that may fail without a loss of service, before and after.
    pub tolerates: (usize, usize),
}

/// A replica that comes to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The group.
    pub group: GroupId,
    /// The node that lets it go, where one does.
    pub from: Option<NodeId>,
    /// The node that receives it, where one does: a replica may also just be dropped.
    pub to: Option<NodeId>,
    /// About how many bytes are copied.
    pub bytes: u64,
}

/// Why a node would not get rid of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The group would lose the majority it needs, or has none now.
    Quorum {
        /// The group.
        group: GroupId,
        /// Its nodes that answer.
        answering: usize,
        /// Its nodes.
        members: usize,
    },
    /// No node that answers could hold the data.
    LastCopy {
        /// The group.
        group: GroupId,
    },
}

/// Carries `commands` out on a copy of the map, each once those before it have brought their nodes in. Then carries out
/// whatever the planner decides, as if all went well at once.
pub fn forecast(map: &ClusterMap, health: &Health, commands: impl IntoIterator<Item = MetaCommand>) -> Forecast {
    let (mut end, mut health, mut reply) = (map.clone(), health.clone(), MetaReply::Planned);
    let (mut moves, mut leaders) = (Vec::new(), 0);
    let mut commands = commands.into_iter().peekable();
    while let Some(command) = commands.next() {
        reply = end.apply(command);
        // A node that the command brings was asked for its introduction a moment ago.
        let new = end.nodes.keys().filter(|node| !map.nodes.contains_key(node));
        health.nodes.extend(new.map(|node| (*node, Liveness::Alive)));
        if commands.peek().is_some() {
            welcome(&mut end, &health);
        }
    }
    // Settled before the planner is asked, since it waits for what is under way.
    settle(&mut end, &health, &mut moves);
    // Bounded, should a plan never come to rest.
    for _ in 0..MAX_DECISIONS {
        let Some(change) = next(&end, &health, PlanLimits { moves: usize::MAX }) else { break };
        leaders += usize::from(matches!(change, Change::Prefer { .. }));
        let epoch = end.epoch;
        // A plan that the map refuses would be made again and again.
        if end.apply(MetaCommand::Plan { epoch, at_ms: 0, change }) != MetaReply::Planned {
            break;
        }
        settle(&mut end, &health, &mut moves);
    }
    let obstacles = obstacles(map, &end, &health);
    let tolerates = (tolerates(map, &health), tolerates(&end, &health));
    Forecast { reply, moves, leaders, end, obstacles, tolerates }
}

/// Makes members of the nodes that wait and answer, because only a member counts as a home for replicas.
fn welcome(map: &mut ClusterMap, health: &Health) {
    while let Some(change @ Change::Welcome { .. }) = node_change(&PlannerView::new(map, health)) {
        map.apply(MetaCommand::Plan { epoch: map.epoch, at_ms: 0, change });
    }
}

/// Confirms what is planned, as the groups' leaders would.
fn settle(map: &mut ClusterMap, health: &Health, moves: &mut Vec<Move>) {
    let open: Vec<_> = map.placements().filter(|(_, p)| !p.settled).map(|(group, p)| (group, p.clone())).collect();
    for (group, placement) in open {
        // Paired, so that a move is told as one.
        let mut gone: Vec<NodeId> = placement.actual.difference(&placement.target).copied().collect();
        let mut come: Vec<NodeId> = placement.target.difference(&placement.actual).copied().collect();
        let size = ShardId::of_group(group).and_then(|shard| health.shard_bytes.get(&shard)).copied().unwrap_or(0);
        while !(gone.is_empty() && come.is_empty()) {
            let (from, to) = (gone.pop(), come.pop());
            moves.push(Move { group, from, to, bytes: if to.is_some() { size } else { 0 } });
        }
        let at = placement.confirmed_at + 1;
        map.apply(MetaCommand::Confirm { group, planned: placement.planned, members: placement.target, at });
    }
}

/// Replicas that stay where they must not.
fn obstacles(before: &ClusterMap, end: &ClusterMap, health: &Health) -> Vec<Obstacle> {
    let answers = |node: &NodeId| health.nodes.get(node) == Some(&Liveness::Alive);
    let member = |node: &NodeId| end.nodes.get(node).is_some_and(|entry| entry.state == super::NodeState::Member);
    // Stuck is what stays on a node that is no member in the end.
    let stuck = end.placements().filter(|(_, placement)| placement.homes().any(|node| !member(&node)));
    let named = stuck.map(|(group, _)| {
        let members: BTreeSet<NodeId> = before.placement(group).map(|p| p.actual.clone()).unwrap_or_default();
        let answering = members.iter().filter(|node| answers(node)).count();
        let others = members.iter().filter(|node| member(node) && answers(node)).count();
        let room = end.nodes.keys().any(|node| member(node) && answers(node));
        match others == 0 && (!room || answering * 2 <= members.len()) {
            true => Obstacle::LastCopy { group },
            false => Obstacle::Quorum { group, answering, members: members.len() },
        }
    });
    named.collect()
}

/// Nodes that may fail now so that every group still has a majority.
pub fn tolerates(map: &ClusterMap, health: &Health) -> usize {
    let spare = |members: &BTreeSet<NodeId>| {
        let answering = members.iter().filter(|node| health.nodes.get(node) == Some(&Liveness::Alive)).count();
        answering.saturating_sub(members.len() / 2 + 1)
    };
    map.placements().map(|(_, placement)| spare(&placement.actual)).min().unwrap_or(0)
}
