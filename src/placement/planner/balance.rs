//! Replicas and leaders spread over the nodes, and over their zones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raft_groups::NodeId;

use super::repair::place;
use super::view::{PlannerView, with, without};
use crate::placement::{Change, OperationKind, ShardEntry, ShardId};

/// Moves a replica out of a crowded zone, or from a full node to an empty one. Waits while a node is in doubt: it may
/// be back in a moment, and then whatever was moved for its sake would move twice.
pub(super) fn replicas(view: &PlannerView<'_>) -> Option<Change> {
    let doubtful =
        view.map.nodes.keys().any(|node| view.is_member(*node) && !view.answers(*node) && !view.is_lost(*node));
    if doubtful {
        return None;
    }
    zones(view).or_else(|| counts(view))
}

fn settled<'a>(view: &'a PlannerView<'_>) -> impl Iterator<Item = (ShardId, &'a ShardEntry)> {
    view.map.shards.iter().filter(|(_, entry)| entry.placement.settled).map(|(shard, entry)| (*shard, entry))
}

/// The swap that takes most pairs of replicas out of a common zone.
fn zones(view: &PlannerView<'_>) -> Option<Change> {
    settled(view).find_map(|(shard, entry)| {
        let target = &entry.placement.target;
        let before = view.conflicts(target);
        // Every swap of one node for another that it could be.
        let swaps = target.iter().flat_map(|from| view.fit.difference(target).map(move |to| (*from, *to)));
        let swapped = swaps.map(|(from, to)| {
            let after = with(&without(target, from), to);
            (view.conflicts(&after), view.fill(to), Some(from) == Some(entry.preferred), from, to, after)
        });
        // Of swaps that help as much, the one to the emptiest node, and the leader stays if it can.
        let best = swapped.filter(|(after, ..)| before > 0 && *after < before);
        let best = best.min_by(|a, b| (a.0, a.1, a.2, a.3, a.4).cmp(&(b.0, b.1, b.2, b.3, b.4)))?;
        place(view, shard.group(), best.5)
    })
}

/// From the fullest node to the emptiest, where they differ by more than one replica.
fn counts(view: &PlannerView<'_>) -> Option<Change> {
    let mut nodes: Vec<NodeId> = view.fit.iter().copied().collect();
    nodes.sort_by_key(|node| (view.fill(*node), *node));
    // The widest gap first, where some shard can close it.
    for from in nodes.iter().rev() {
        for to in nodes.iter().take_while(|to| view.count(**to) + 1 < view.count(*from)) {
            if let Some(change) = one_move(view, *from, *to) {
                return Some(change);
            }
        }
    }
    None
}

/// Whether an operator is moving it: what was asked for is not undone for the sake of balance, others move instead.
fn is_moved_by_hand(view: &PlannerView<'_>, shard: ShardId) -> bool {
    let mut running = view.map.operations.values().filter(|operation| operation.is_running());
    running.any(|operation| matches!(operation.kind, OperationKind::Move(moved, ..) if moved == shard))
}

/// The shard whose move costs least: one that `from` does not lead, of the size that brings the two nodes closest.
fn one_move(view: &PlannerView<'_>, from: NodeId, to: NodeId) -> Option<Change> {
    // Half of the difference in bytes, were it moved, would level the two.
    let gap = view.fill(from).1.saturating_sub(view.fill(to).1) / 2;
    let movable = settled(view).filter(|(shard, entry)| {
        let target = &entry.placement.target;
        let moves = target.contains(&from) && !target.contains(&to);
        // A move must not bring more replicas into a common zone.
        let spreads = view.conflicts(&with(&without(target, from), to)) <= view.conflicts(target);
        moves && spreads && !is_moved_by_hand(view, *shard)
    });
    let mut movable: Vec<_> = movable.collect();
    movable.sort_by_key(|(shard, entry)| (entry.preferred == from, view.weight(*shard).abs_diff(gap), *shard));
    movable
        .into_iter()
        .find_map(|(shard, entry)| place(view, shard.group(), with(&without(&entry.placement.target, from), to)))
}

/// A leader for each shard that can lead it: a member that holds, and goes on holding, a replica.
pub(super) fn fit_leader(view: &PlannerView<'_>) -> Option<Change> {
    let leads = leads(view);
    view.map.shards.iter().find_map(|(shard, entry)| {
        // A leader that can go on leading is left alone.
        let target = &entry.placement.target;
        if target.contains(&entry.preferred) && view.may_lead(entry.preferred) {
            return None;
        }
        let able = target.iter().filter(|node| view.is_member(**node));
        let node = able.min_by_key(|node| {
            (!view.may_lead(**node), !view.answers(**node), leads.get(node).copied().unwrap_or(0), **node)
        })?;
        (*node != entry.preferred).then_some(Change::Prefer { shard: *shard, node: *node })
    })
}

fn leads(view: &PlannerView<'_>) -> BTreeMap<NodeId, usize> {
    let able = view.fit.iter().filter(|node| view.may_lead(**node));
    let mut leads: BTreeMap<NodeId, usize> = able.map(|node| (*node, 0)).collect();
    for entry in view.map.shards.values() {
        if let Some(count) = leads.get_mut(&entry.preferred) {
            *count += 1;
        }
    }
    leads
}

/// One step towards leaders that are spread evenly, where each node may only lead what it holds: along the shortest
/// chain from the node that leads most to one that leads at least two fewer, its last link first.
pub(super) fn leaders(view: &PlannerView<'_>) -> Option<Change> {
    let leads = leads(view);
    let most = leads.iter().max_by_key(|(node, count)| (**count, std::cmp::Reverse(**node))).map(|(node, _)| *node)?;
    // Breadth first, so that the chain is a shortest one: each link is a leader that changes.
    let mut reached: BTreeMap<NodeId, (NodeId, ShardId)> = BTreeMap::new();
    let mut seen = BTreeSet::from([most]);
    let mut queue = VecDeque::from([most]);
    while let Some(node) = queue.pop_front() {
        // Every link of the chain is a leader that changes. The last comes first, where there is room.
        if leads.get(&node).is_some_and(|count| count + 1 < leads[&most]) {
            return reached.get(&node).map(|(_, shard)| Change::Prefer { shard: *shard, node });
        }
        for (shard, entry) in settled(view).filter(|(_, entry)| entry.preferred == node) {
            for next in entry.placement.target.iter().filter(|next| leads.contains_key(next)) {
                if seen.insert(*next) {
                    reached.insert(*next, (node, shard));
                    queue.push_back(*next);
                }
            }
        }
    }
    None
}
