//! The planner's test world: a cluster whose groups do at once what they are told.

use std::collections::{BTreeMap, BTreeSet};

use raft_groups::{GroupId, NodeId};

use super::super::*;
use crate::placement::tests::{map_of, nodes};
use crate::placement::{MetaCommand, MetaReply, Operation, Placement, meta_voters};

/// A cluster whose groups do at once what they are told, when they are told to.
pub struct World {
    pub map: ClusterMap,
    pub health: Health,
}

impl World {
    pub fn new(node_count: u64, shards: u32, rf: usize) -> Self {
        let mut map = ClusterMap::default();
        map.apply(MetaCommand::Form { map: map_of(node_count, shards, rf) });
        let nodes = map.nodes.keys().map(|node| (*node, Liveness::Alive)).collect();
        let shard_bytes = map.shards.keys().map(|shard| (*shard, 1000 + u64::from(shard.0) * 7)).collect();
        Self { map, health: Health { nodes, shard_bytes, ..Health::default() } }
    }

    pub fn join(&mut self) -> NodeId {
        let number = self.map.next_node;
        let mut entry = nodes(number).remove(&number).expect("there are so many");
        entry.incarnation = [number as u8; 16];
        self.map.apply(MetaCommand::AddNode { entry, at_ms: 0 });
        self.health.nodes.insert(number, Liveness::Alive);
        number
    }

    pub fn lose(&mut self, node: NodeId) {
        self.health.nodes.insert(node, Liveness::Lost);
    }

    /// How many of a group's replicas on these nodes answer.
    pub fn alive(&self, group: GroupId, nodes: &BTreeSet<NodeId>) -> usize {
        let answers = |node: &NodeId| self.health.nodes.get(node) == Some(&Liveness::Alive);
        nodes.iter().filter(|node| answers(node) && !self.health.damaged.contains(&(**node, group))).count()
    }

    pub fn quorate(&self, group: GroupId, nodes: &BTreeSet<NodeId>) -> bool {
        self.alive(group, nodes) > nodes.len() / 2
    }

    /// Damages a replica, unless its group could not go on without it.
    pub fn damage(&mut self, node: NodeId, group: GroupId) {
        let placement = self.map.placement(group).expect("it exists").clone();
        self.health.damaged.insert((node, group));
        let goes_on = self.quorate(group, &placement.actual) && self.quorate(group, &placement.target);
        if !goes_on || !placement.is_home(node) {
            self.health.damaged.remove(&(node, group));
        }
    }

    /// Whether every group can go on without `node`.
    pub fn can_lose(&self, node: NodeId) -> bool {
        let mut rest = World { map: ClusterMap::default(), health: self.health.clone() };
        rest.health.nodes.insert(node, Liveness::Lost);
        self.map.placements().all(|(group, p)| rest.quorate(group, &p.actual) && rest.quorate(group, &p.target))
    }

    /// One decision, if there is one.
    pub fn decide(&mut self) -> Option<Change> {
        let change = next(&self.map, &self.health, PlanLimits::default())?;
        if let Change::Place { group, target } = &change {
            let before = self.map.placement(*group).expect("it exists");
            assert!(self.quorate(*group, target), "{change:?} leaves no majority that answers");
            assert!(before.target.symmetric_difference(target).count() <= 2, "{change:?} is more than one step");
            assert!(self.quorate(*group, &before.actual), "{change:?} has nobody to carry it out and to copy from");
        }
        let epoch = self.map.epoch;
        let reply = self.map.apply(MetaCommand::Plan { epoch, at_ms: 0, change: change.clone() });
        assert_eq!(reply, MetaReply::Planned, "{change:?}");
        Some(change)
    }

    pub fn open(&self) -> Vec<(GroupId, Placement)> {
        self.map.placements().filter(|(_, p)| !p.settled).map(|(group, p)| (group, p.clone())).collect()
    }

    /// The leader of an open group walks it to its target, if its nodes let it.
    pub fn walk(&mut self, pick: usize) {
        let open = self.open();
        let Some((group, placement)) = open.get(pick % open.len().max(1)) else { return };
        let new: BTreeSet<NodeId> = placement.target.difference(&placement.actual).copied().collect();
        let group = *group;
        let majorities = self.quorate(group, &placement.actual) && self.quorate(group, &placement.target);
        if majorities && self.alive(group, &new) == new.len() {
            let (planned, members) = (placement.planned, placement.target.clone());
            let at = placement.confirmed_at + 1;
            let reply = self.map.apply(MetaCommand::Confirm { group, planned, members, at });
            assert_eq!(reply, MetaReply::Confirmed);
            // What has no home any more is erased, however damaged it was.
            let map = &self.map;
            self.health.damaged.retain(|(node, of)| map.placement(*of).is_some_and(|p| p.is_home(*node)));
        }
    }

    pub fn settle(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for _ in 0..10_000 {
            match self.decide() {
                Some(change) => changes.push(change),
                None if self.open().is_empty() => return changes,
                None => {
                    let open = self.open().len();
                    (0..open).for_each(|pick| self.walk(pick));
                    assert!(self.open().len() < open, "nothing can go on: {:?}", self.open());
                }
            }
        }
        panic!("it never comes to rest");
    }

    pub fn fit(&self) -> BTreeSet<NodeId> {
        let member = |node: &NodeId| self.map.nodes[node].state == NodeState::Member;
        self.map.nodes.keys().copied().filter(|n| member(n) && self.health.nodes[n] == Liveness::Alive).collect()
    }

    pub fn counts(&self) -> BTreeMap<NodeId, usize> {
        let mut counts: BTreeMap<NodeId, usize> = self.fit().into_iter().map(|node| (node, 0)).collect();
        for entry in self.map.shards.values() {
            for node in &entry.placement.target {
                *counts.entry(*node).or_default() += 1;
            }
        }
        counts
    }

    /// What must hold whenever there is nothing left to do.
    pub fn check_rest(&self) {
        let (fit, rf) = (self.fit(), self.map.replication_factor);
        for (group, placement) in self.map.placements() {
            assert_eq!(placement.target, placement.actual);
            let wanted = if group == crate::placement::META { meta_voters(self.map.members()) } else { rf };
            assert_eq!(placement.target.len(), wanted, "{group} at {:?}", placement.target);
            let unfit = placement.target.iter().filter(|node| !fit.contains(node)).count();
            assert!(unfit == 0 || fit.len() < wanted, "{group} stays on {:?}, and {fit:?} are there", placement.target);
        }
        let counts: Vec<usize> = fit.iter().map(|node| self.counts()[node]).collect();
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        assert!(most - least <= 1, "{:?}", self.counts());
        assert!(self.health.damaged.is_empty(), "{:?} stay damaged", self.health.damaged);
        assert!(!self.map.operations.values().any(Operation::is_running), "{:?}", self.map.operations);
        assert!(self.map.nodes.values().all(|entry| entry.state != NodeState::Leaving));
    }

    pub fn leads(&self) -> Vec<usize> {
        let lead = |node: &NodeId| self.map.shards.values().filter(|entry| entry.preferred == *node).count();
        self.fit().iter().map(lead).collect()
    }
}
