//! Random lives of clusters, in which the planner must always come to rest and never do harm; and one life told word for
//! word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use raft_groups::{GroupId, NodeId};

use self::world::World;
use super::*;
use crate::placement::{MetaCommand, MetaReply};

mod world;

/// What happens in a life. A number picks one of the nodes, groups or walks that there are.
#[derive(Debug, Clone)]
enum Event {
    Join,
    Remove(usize),
    Drain(usize),
    Undrain(usize),
    Lose(usize),
    Damage(usize, usize),
    Revive,
    Decide,
    Walk(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let pick = any::<usize>;
    prop_oneof![
        2 => Just(Event::Join),
        1 => pick().prop_map(Event::Remove),
        1 => pick().prop_map(Event::Drain),
        1 => pick().prop_map(Event::Undrain),
        2 => pick().prop_map(Event::Lose),
        2 => (pick(), pick()).prop_map(|(node, group)| Event::Damage(node, group)),
        1 => Just(Event::Revive),
        6 => Just(Event::Decide),
        4 => pick().prop_map(Event::Walk),
    ]
}

fn happen(world: &mut World, event: Event) {
    let at = |world: &World, pick: usize| {
        let all: Vec<NodeId> = world.map.nodes.keys().copied().collect();
        all[pick % all.len()]
    };
    match event {
        Event::Join if world.map.nodes.len() < 8 => drop(world.join()),
        Event::Join => {}
        // As the door does: what could not be carried out is refused.
        Event::Remove(pick) => {
            let command = MetaCommand::RemoveNode { node: at(world, pick), at_ms: 0 };
            if forecast(&world.map, &world.health, Some(command.clone())).obstacles.is_empty() {
                world.map.apply(command);
            }
        }
        Event::Drain(pick) => {
            let command = MetaCommand::SetDraining { node: at(world, pick), draining: true, at_ms: 0 };
            if forecast(&world.map, &world.health, Some(command.clone())).obstacles.is_empty() {
                world.map.apply(command);
            }
        }
        Event::Undrain(pick) => {
            world.map.apply(MetaCommand::SetDraining { node: at(world, pick), draining: false, at_ms: 0 });
        }
        Event::Lose(pick) => {
            let node = at(world, pick);
            if world.can_lose(node) && world.fit().len() > 1 {
                world.lose(node);
            }
        }
        Event::Damage(pick, group) => {
            let groups: Vec<GroupId> = world.map.placements().map(|(group, _)| group).collect();
            world.damage(at(world, pick), groups[group % groups.len()]);
        }
        Event::Revive => world.health.nodes.values_mut().for_each(|liveness| *liveness = Liveness::Alive),
        Event::Decide => drop(world.decide()),
        Event::Walk(pick) => world.walk(pick),
    }
}

/// Lets events happen, and then asserts that the world comes to rest in balance.
fn live(mut world: World, events: Vec<Event>) {
    for event in events {
        happen(&mut world, event);
    }
    // Whoever is still gone comes back in the end, so that what waits for a majority can end too.
    happen(&mut world, Event::Revive);
    world.settle();
    world.check_rest();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_life_ends_at_rest_and_balanced(
        node_count in 1u64..6, shards in 1u32..20, rf in 1usize..5, events in prop::collection::vec(event(), 0..60),
    ) {
        live(World::new(node_count, shards, rf), events);
    }

    #[test]
    fn a_loss_with_room_is_repaired_without_its_return(
        node_count in 4u64..8, shards in 1u32..20, rf in 2usize..4, lost in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(node_count, shards, rf);
        world.settle();
        let lost = 1 + lost.index(node_count as usize) as u64;
        prop_assume!(world.can_lose(lost));
        world.lose(lost);
        world.settle();
        for (_, placement) in world.map.placements() {
            let room = world.fit().len() >= placement.target.len();
            prop_assert!(!room || !placement.target.contains(&lost));
        }
    }

    #[test]
    fn a_join_moves_little_and_nothing_twice(node_count in 3u64..9, shards in 3u32..40) {
        let mut world = World::new(node_count, shards, 3);
        world.settle();
        let total: usize = world.counts().values().sum();
        let new = world.join();
        let mut moved = BTreeSet::new();
        for change in world.settle() {
            if let Change::Place { group, target } = change
                && group != crate::placement::META
            {
                prop_assert!(target.contains(&new), "a replica moves between two old nodes");
                prop_assert!(moved.insert(group), "{group} moves twice");
            }
        }
        let bound = total as f64 * (1.0 / (node_count as f64 + 1.0) + 0.05);
        prop_assert!(moved.len() as f64 <= bound, "{} of {total} replicas move", moved.len());
        world.check_rest();
    }

    #[test]
    fn leaders_are_spread(node_count in 1u64..8, joins in 0usize..4, shards in 1u32..30) {
        let mut world = World::new(node_count, shards, 3);
        for _ in 0..joins {
            world.join();
        }
        world.settle();
        let leads = world.leads();
        prop_assert!(leads.iter().max().unwrap() - leads.iter().min().unwrap() <= 1, "{leads:?}");
    }

    #[test]
    fn zones_are_used_where_there_are_enough(shards in 1u32..20, per_zone in 1u64..3) {
        let mut world = World::new(3 * per_zone, shards, 3);
        for node in world.map.nodes.keys().copied().collect::<Vec<_>>() {
            let labels = BTreeMap::from([("zone".to_owned(), format!("z{}", (node - 1) / per_zone))]);
            world.map.apply(MetaCommand::SetLabels { node, labels });
        }
        world.settle();
        for entry in world.map.shards.values() {
            let zones: BTreeSet<u64> = entry.placement.target.iter().map(|node| (node - 1) / per_zone).collect();
            prop_assert_eq!(zones.len(), 3);
        }
    }
}

#[test]
fn a_node_that_is_removed_while_another_joins_leaves() {
    live(World::new(1, 1, 1), vec![Event::Join, Event::Decide, Event::Remove(0)]);
}

#[test]
fn a_replica_may_be_damaged_while_another_node_leaves() {
    live(World::new(3, 1, 3), vec![Event::Remove(0), Event::Damage(1, 0)]);
}

#[test]
fn a_suspect_is_not_replaced_and_stops_the_balancing() {
    let mut world = World::new(4, 8, 3);
    world.settle();
    world.health.nodes.insert(2, Liveness::Suspect);
    world.join();
    let changes = world.settle();
    assert!(changes.iter().all(|change| !matches!(change, Change::Place { group, .. } if group.0 > 0)), "{changes:?}");
}

#[test]
fn what_is_moved_by_hand_stays_and_others_make_up_for_it() {
    let mut rest = World::new(4, 4, 3);
    // As heavy as one another, so that the one that was moved is as good as any to balance with.
    rest.health.shard_bytes.values_mut().for_each(|bytes| *bytes = 1_000);
    rest.settle();
    for (shard, entry) in rest.map.shards.clone() {
        let target = &entry.placement.target;
        let to = *rest.map.nodes.keys().find(|node| !target.contains(node)).expect("one of four holds none");
        for from in target {
            let mut world = World { map: rest.map.clone(), health: rest.health.clone() };
            let reply = world.map.apply(MetaCommand::MoveReplica { shard, from: *from, to, at_ms: 0 });
            let MetaReply::Begun { operation, .. } = reply else { panic!("{reply:?}") };
            // The group is quicker than the driver.
            world.walk(0);
            world.settle();
            assert_eq!(world.map.operations[&operation].state, OperationState::Done);
            let target = &world.map.shards[&shard].placement.target;
            assert!(target.contains(&to) && !target.contains(from), "{shard} {from} -> {to}: {target:?}");
            world.check_rest();
        }
    }
}

#[test]
fn a_damaged_replica_makes_room_for_a_new_one() {
    for (nodes, elsewhere) in [(3, false), (4, true)] {
        let mut world = World::new(nodes, 1, 3);
        world.settle();
        let (group, before) = (ShardId(0).group(), world.map.shards[&ShardId(0)].placement.target.clone());
        let node = *before.first().expect("three hold it");
        world.damage(node, group);
        world.settle();
        world.check_rest();
        let after = &world.map.shards[&ShardId(0)].placement.target;
        assert_eq!(after.contains(&node), !elsewhere, "{before:?} -> {after:?}");
    }
}

#[test]
fn replicas_of_which_nobody_knows_the_right_one_all_stay_where_they_are() {
    let mut world = World::new(4, 4, 3);
    world.settle();
    let (group, before) = (ShardId(0).group(), world.map.shards[&ShardId(0)].placement.clone());
    world.health.disputed.insert(group);
    let node = *before.target.first().expect("three hold it");
    world.lose(node);
    world.settle();
    assert_eq!(world.map.shards[&ShardId(0)].placement, before, "each may be the only right one");
    let elsewhere = world.map.shards.iter().filter(|(shard, _)| shard.0 != 0);
    assert!(elsewhere.into_iter().all(|(_, entry)| !entry.placement.target.contains(&node)), "the others are mended");
    world.health.disputed.clear();
    world.settle();
    world.check_rest();
}

#[test]
fn a_node_that_never_comes_leaves_no_trace() {
    let mut world = World::new(3, 8, 3);
    world.health.join_within = Duration::from_secs(60);
    let before = world.map.clone();
    let ghost = world.join();
    world.lose(ghost);
    world.settle();
    assert_eq!(world.map.nodes, before.nodes);
    assert_eq!(world.map.shards, before.shards);
    let operation = &world.map.operations[&1];
    let OperationState::Failed { reason } = &operation.state else { panic!("{operation:?}") };
    assert!(reason.starts_with("node4 did not answer within 60000 ms"), "{reason}");
}

#[test]
fn what_would_cost_a_majority_is_told_beforehand() {
    let mut world = World::new(3, 4, 3);
    world.health.nodes.insert(3, Liveness::Suspect);
    let removal = |node| Some(MetaCommand::RemoveNode { node, at_ms: 0 });
    let refused = forecast(&world.map, &world.health, removal(2));
    assert!(
        refused.obstacles.iter().any(|o| matches!(o, Obstacle::Quorum { answering: 2, members: 3, .. })),
        "{refused:?}"
    );
    let fine = forecast(&world.map, &world.health, removal(3));
    assert_eq!((fine.obstacles.len(), fine.tolerates), (0, (0, 0)));
    let alone = World::new(1, 1, 1);
    let last = forecast(&alone.map, &alone.health, removal(1));
    assert_eq!(last.reply, MetaReply::LastNode { node: 1 });
}

#[test]
fn a_dead_node_may_leave_although_another_is_dead_too() {
    for silence in [Liveness::Suspect, Liveness::Lost] {
        let mut world = World::new(4, 8, 3);
        world.settle();
        world.health.nodes.extend([(2, silence), (3, silence)]);
        // The recovery of last resort: where a majority was lost, one survivor goes on alone.
        for (group, placement) in world.map.clone().placements() {
            if world.quorate(group, &placement.actual) {
                continue;
            }
            let node = *placement.actual.iter().find(|node| [1, 4].contains(*node)).expect("one of three lives");
            let at = placement.confirmed_at + 1;
            world.map.apply(match group {
                crate::placement::META => MetaCommand::RecoverMap { node, at },
                group => MetaCommand::Recover { group, node, at },
            });
        }
        for node in [2, 3] {
            let command = MetaCommand::RemoveNode { node, at_ms: 0 };
            let forecast = forecast(&world.map, &world.health, Some(command.clone()));
            assert!(forecast.obstacles.is_empty(), "node{node}: {:?}", forecast.obstacles);
            world.map.apply(command);
        }
        world.settle();
        assert_eq!(world.map.nodes.keys().copied().collect::<Vec<_>>(), [1, 4]);
        world.check_rest();
    }
}

#[test]
fn a_dead_node_that_is_replaced_moves_all_that_it_held_to_the_new_one() {
    let mut world = World::new(3, 4, 3);
    world.settle();
    world.health.nodes.insert(3, Liveness::Suspect);
    let mut entry = crate::placement::tests::nodes(4).remove(&4).expect("there are four");
    entry.incarnation = [4; 16];
    let (join, leave) = (MetaCommand::AddNode { entry, at_ms: 0 }, MetaCommand::RemoveNode { node: 3, at_ms: 0 });
    let both = forecast(&world.map, &world.health, [join, leave]);
    assert!(both.obstacles.is_empty(), "{:?}", both.obstacles);
    // Four shards and the map.
    assert_eq!(both.moves.iter().filter(|planned| (planned.from, planned.to) == (Some(3), Some(4))).count(), 5);
    assert!(both.end.nodes.contains_key(&4) && !both.end.nodes.contains_key(&3));
}

#[test]
fn a_node_that_leaves_and_answers_keeps_its_replicas_until_there_is_room() {
    let mut world = World::new(4, 8, 3);
    world.settle();
    world.health.nodes.insert(3, Liveness::Suspect);
    let forecast = forecast(&world.map, &world.health, Some(MetaCommand::RemoveNode { node: 2, at_ms: 0 }));
    assert!(!forecast.obstacles.is_empty(), "copies that answer would become fewer");
}

/// The decisions of one life, in order: 3 nodes, a fourth joins, the first leaves, the third is lost.
#[test]
fn one_life_word_for_word() {
    let mut world = World::new(3, 4, 3);
    let mut story = String::new();
    let mut tell = |title: &str, world: &mut World| {
        writeln!(story, "{title}").unwrap();
        for change in world.settle() {
            let line = match change {
                Change::Welcome { node } => format!("welcome {node}"),
                Change::Forget { node } => format!("forget {node}"),
                Change::GiveUp { node, reason } => format!("give up {node}: {reason}"),
                Change::Place { group, target } => format!("place {group} on {target:?}"),
                Change::Prefer { shard, node } => format!("shard {shard} is led by {node}"),
                Change::Finish { operation, outcome } => format!("operation {operation}: {outcome:?}"),
            };
            writeln!(story, "  {line}").unwrap();
        }
    };
    tell("formed", &mut world);
    world.join();
    tell("4 joins", &mut world);
    world.map.apply(MetaCommand::RemoveNode { node: 1, at_ms: 0 });
    tell("1 leaves", &mut world);
    world.join();
    tell("5 joins", &mut world);
    world.lose(3);
    tell("3 is lost", &mut world);
    let golden = include_str!("one_life.txt");
    assert_eq!(story, golden, "\n{story}");
}
