//! Groups that have too few replicas, too many, or some in the wrong place.

use std::collections::BTreeSet;

use raft_groups::{GroupId, NodeId};

use super::view::{PlannerView, with, without};
use crate::placement::{Change, META, Placement, ShardId, meta_voters};

/// A plan that leads to a node that is gone, or may hold nothing any more, is made anew: nobody else can end it. What is
/// confirmed comes first, since going back costs nothing.
pub(super) fn dead_end(view: &PlannerView<'_>) -> Option<Change> {
    let unsettled = view.map.placements().filter(|(_, placement)| !placement.settled);
    unsettled.into_iter().find_map(|(group, placement)| {
        // Only a node that is still to receive can block the way.
        let new = placement.target.difference(&placement.actual).copied();
        let gone = new.into_iter().find(|node| view.has_lost(group, *node) || view.must_go(*node))?;
        let rest = without(&placement.target, gone);
        let back = placement.actual.difference(&rest).copied().find(|node| !view.has_lost(group, *node));
        let target = match back.or_else(|| view.receiver(&rest, &with(&view.spoilt(group), gone))) {
            Some(other) => with(&rest, other),
            None => rest,
        };
        place(view, group, target)
    })
}

/// The map's own group.
pub(super) fn meta(view: &PlannerView<'_>) -> Option<Change> {
    let wanted = meta_voters(view.map.members());
    let placement = settled(&view.map.meta)?;
    place(view, META, mended(view, META, &placement.target, wanted, None)?)
}

/// The most urgent shard: first those that lost a replica, then those that lack one, then the rest.
pub(super) fn shards(view: &PlannerView<'_>) -> Option<Change> {
    let urgency = |shard: ShardId, target: &BTreeSet<NodeId>| {
        let lost = target.iter().any(|node| view.has_lost(shard.group(), *node));
        (!lost, target.len() >= view.map.replication_factor)
    };
    // Only what is settled: the others are under way.
    let mut shards: Vec<_> = view.map.shards.iter().filter(|(_, entry)| entry.placement.settled).collect();
    shards.sort_by_key(|(shard, entry)| (urgency(**shard, &entry.placement.target), **shard));
    shards.into_iter().find_map(|(shard, entry)| {
        let (group, wanted) = (shard.group(), view.map.replication_factor);
        place(view, group, mended(view, group, &entry.placement.target, wanted, Some(entry.preferred))?)
    })
}

fn settled(placement: &Placement) -> Option<&Placement> {
    placement.settled.then_some(placement)
}

/// A target that is one replica better; `None` where there is nothing to mend, or nothing to mend it with.
///
/// A damaged replica is let go of even where no other node could take its place: only then is it erased, and its node
/// can be given a new one. So is the replica of a node that leaves and does not answer: nobody waits for it, and no
/// replica that answers goes with it. A lost member keeps its place until there is another: it may come back.
fn mended(
    view: &PlannerView<'_>,
    group: GroupId,
    target: &BTreeSet<NodeId>,
    wanted: usize,
    leads: Option<NodeId>,
) -> Option<BTreeSet<NodeId>> {
    let damaged = || target.iter().copied().find(|node| view.is_damaged(group, *node));
    let lost = || damaged().or_else(|| target.iter().copied().find(|node| view.is_lost(*node)));
    let unwelcome = || target.iter().copied().find(|node| view.must_go(*node));
    // What leaves is worth replacing before what stays, and what is dead before what merely leaves.
    let bad = target.iter().copied().find(|node| view.is_lost(*node) && view.must_go(*node)).or_else(lost);
    let bad = bad.or_else(unwelcome);
    let good = target.iter().filter(|node| !view.has_lost(group, **node) && !view.must_go(**node)).count();
    let spoilt = view.spoilt(group);
    // Too few good replicas: a new one comes, in place of the worst bad one if there is one.
    if good < wanted
        && let Some(new) = view.receiver(target, &spoilt)
    {
        let rest = bad.map_or_else(|| target.clone(), |bad| without(target, bad));
        let new = view.receiver(&rest, &(target | &spoilt)).unwrap_or(new);
        return Some(with(&rest, new));
    }
    // Nothing can be added. Only a replica that is worth nothing goes, and never the last.
    if target.len() <= wanted {
        let departed = || target.iter().copied().find(|node| view.has_departed(*node));
        return damaged().or_else(departed).filter(|_| target.len() > 1).map(|worthless| without(target, worthless));
    }
    // One too many: what goes should keep zones apart, spare the leader, and empty the fullest node.
    let fullest = || {
        let cost = |node: &NodeId| {
            let kept = view.conflicts(&without(target, *node));
            (kept, Some(*node) == leads, std::cmp::Reverse(view.fill(*node)), *node)
        };
        target.iter().copied().min_by_key(cost)
    };
    // A damaged one counts for nothing, so without it there is never less of a majority than before.
    let surplus = damaged().or_else(unwelcome).or_else(lost).or_else(fullest)?;
    Some(without(target, surplus))
}

/// The change, unless it would leave the group without a majority that answers, or cannot be carried out by one, or might
/// erase the only right state.
pub(super) fn place(view: &PlannerView<'_>, group: GroupId, target: BTreeSet<NodeId>) -> Option<Change> {
    let placement = view.map.placement(group)?;
    debug_assert!(target.iter().all(|node| view.map.nodes.contains_key(node)), "{group} is planned onto {target:?}");
    // A node with a damaged replica gets no new one before the damaged one is erased.
    let taken = target.difference(&placement.target).any(|new| view.is_damaged(group, *new));
    let sound = !taken
        && !view.is_disputed(group)
        && view.has_quorum(group, &target)
        && view.has_quorum(group, &placement.actual);
    (sound && target != placement.target).then_some(Change::Place { group, target })
}
