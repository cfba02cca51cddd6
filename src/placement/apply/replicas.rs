//! What the driver decides, and what groups confirm: where replicas are meant to be, and where they are. Pure.
//!
//! The driver plans ([`Change::Place`]), the group's leader walks there and confirms. A placement is settled while both
//! agree; only then is the next plan made, and only then may a node that is not named in it erase what it holds.

use std::collections::BTreeSet;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{GroupId, NodeId};

use crate::placement::{Change, ClusterMap, META, MetaReply, NodeState, OperationState, Placement, ShardId};

/// How many epochs, and numbers of each kind, a recovered map skips: more than were given out since its last change. Four
/// thousand million recoveries use them up.
const LOST_NUMBERS: u64 = 1 << 32;

impl ClusterMap {
    /// Carries out what the driver has decided, upon the map that it was decided upon.
    pub(super) fn plan(&mut self, epoch: u64, at_ms: u64, change: Change) -> MetaReply {
        if epoch != self.epoch {
            return MetaReply::Stale;
        }
        // Decided upon this very map, so each either takes effect or was never possible.
        let done = match change {
            Change::Welcome { node } => self.welcome(node),
            Change::Forget { node } => self.forget(node, at_ms),
            Change::GiveUp { node, reason } => self.give_up(node, reason, at_ms),
            Change::Place { group, target } => self.place(group, target),
            Change::Prefer { shard, node } => self.prefer(shard, node),
            Change::Finish { operation, outcome } => self.finish(operation, outcome, at_ms),
        };
        if done {
            self.epoch += 1;
            MetaReply::Planned
        } else {
            MetaReply::NotFound
        }
    }

    /// Takes in a node that has come. Returns `false` if it is not waited for.
    fn welcome(&mut self, node: NodeId) -> bool {
        let joining = self.nodes.get_mut(&node).filter(|entry| entry.state == NodeState::Joining);
        let Some(entry) = joining else { return false };
        entry.state = NodeState::Member;
        self.count_replicas();
        true
    }

    /// Lets go of a node that did not come. Returns `false` if it has come, or holds a replica.
    fn give_up(&mut self, node: NodeId, reason: String, at_ms: u64) -> bool {
        if self.holds_replicas(node) || self.nodes.get(&node).is_none_or(|entry| entry.state != NodeState::Joining) {
            return false;
        }
        for id in self.running_of(node) {
            self.end_operation(id, OperationState::Failed { reason: reason.clone() }, at_ms);
        }
        self.forget(node, at_ms)
    }

    /// Takes a node out of the map. Returns `false` if it holds a replica, or is not there.
    pub(super) fn forget(&mut self, node: NodeId, at_ms: u64) -> bool {
        if self.holds_replicas(node) || self.nodes.remove(&node).is_none() {
            return false;
        }
        // What was under way with the node ends with it.
        for id in self.running_of(node) {
            let state = match self.operations[&id].kind.is_departure() {
                true => OperationState::Done,
                false => OperationState::Failed { reason: "the node has left the cluster".to_owned() },
            };
            self.end_operation(id, state, at_ms);
        }
        // With fewer members, the replication factor may be lower.
        self.count_replicas();
        true
    }

    /// Plans a group's replicas onto these nodes. Returns `false` if there are none, or the map does not know one of them.
    pub(super) fn place(&mut self, group: GroupId, target: BTreeSet<NodeId>) -> bool {
        let planned = self.epoch + 1;
        let known = target.iter().all(|node| self.nodes.contains_key(node));
        let Some(placement) = self.placement_mut(group).filter(|_| known && !target.is_empty()) else { return false };
        *placement = Placement { target, planned, settled: false, ..placement.clone() };
        true
    }

    /// Makes a node that holds a shard the one that is to lead it. Returns `false` if it is, or does not hold it.
    pub(super) fn prefer(&mut self, shard: ShardId, node: NodeId) -> bool {
        let entry = self.shards.get_mut(&shard).filter(|entry| entry.placement.target.contains(&node));
        let Some(entry) = entry.filter(|entry| entry.preferred != node) else { return false };
        entry.preferred = node;
        true
    }

    /// Takes the word of a group's only member that the group lost all others, and goes on without them.
    pub(super) fn recover(&mut self, group: GroupId, node: NodeId, at: u64) -> MetaReply {
        let planned = self.epoch + 1;
        if !self.nodes.contains_key(&node) {
            return MetaReply::NotFound;
        }
        let Some(placement) = self.placement_mut(group) else { return MetaReply::NotFound };
        if placement.confirmed_at >= at {
            return MetaReply::Stale;
        }
        // The word is newer than all that was confirmed.
        let alone = BTreeSet::from([node]);
        *placement = Placement { actual: alone.clone(), target: alone, planned, confirmed_at: at, settled: true };
        self.epoch += 1;
        // No other replica is left that could lead.
        if let Some(shard) = ShardId::of_group(group) {
            self.prefer(shard, node);
        }
        MetaReply::Confirmed
    }

    /// As [`recover`](Self::recover) for the map's own group. Its last changes may be lost, and with them numbers that were
    /// given out: a collection that got one of those again would show the lost one's points. So all counters skip
    /// [`LOST_NUMBERS`], and so does the epoch, for which the processes that hold a lost map take this one for newer.
    pub(super) fn recover_map(&mut self, node: NodeId, at: u64) -> MetaReply {
        let reply = self.recover(META, node, at);
        if reply == MetaReply::Confirmed && !is_planted(Mutant::ReusesNumbers) {
            for counter in [&mut self.epoch, &mut self.next_collection, &mut self.next_node, &mut self.next_operation] {
                *counter = counter.saturating_add(LOST_NUMBERS);
            }
        }
        reply
    }

    /// Takes the word of a group's leader that the group is where `planned` wanted it.
    pub(super) fn confirm(&mut self, group: GroupId, planned: u64, members: BTreeSet<NodeId>, at: u64) -> MetaReply {
        let Some(placement) = self.placement_mut(group) else { return MetaReply::NotFound };
        // Word of another plan, of other members, or of an earlier moment confirms nothing.
        if placement.planned != planned || placement.target != members || placement.confirmed_at > at {
            return MetaReply::Stale;
        }
        // The same word again is no change.
        let confirmed = Placement { actual: members, confirmed_at: at, settled: true, ..placement.clone() };
        if *placement != confirmed {
            *placement = confirmed;
            self.epoch += 1;
        }
        MetaReply::Confirmed
    }

    /// Sets the replication factor to what is wanted, or to what there are nodes for.
    pub(super) fn count_replicas(&mut self) {
        self.replication_factor = self.wanted_factor.min(self.members()).max(1);
    }
}
