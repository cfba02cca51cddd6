//! Every step of a move, with a kill at each step. A node joins, and a shard's replica moves to it. At the k-th change
//! in the cluster one node loses its power: the driver's node, the moving shard's leader, or the joining node. In each
//! case the move ends where it was meant to, no acknowledged write is missing, and no group is ever without the copies
//! it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use raft_groups::{GroupId, Machine as _, NodeId, Role};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::simulated_nodes::SimulatedNodes;
use super::{PATIENCE, create_collection, simulate};
use crate::engine::{GetQuery, MadeBy, Payload, PayloadSelector, PointId, PointWrite, RequestId, VectorSelector};
use crate::placement::{MetaCommand, MetaReply, OperationState, ShardId};
use crate::routing::{Acknowledge, CallOptions, Collection, Router};

/// The node that joins.
const JOINER: NodeId = 4;

/// Pause between two looks for a step, in simulated time. It is shorter than the way of any message there and back.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KilledNode {
    /// The node that leads the map's group, on which the driver runs.
    Driver,
    /// The node that leads the shard that moves.
    Leader,
    /// The node that joins.
    Joiner,
}

/// Points that were acknowledged, with the least version they have had since.
type WrittenPoints = Arc<Mutex<BTreeMap<u64, (ShardId, u64)>>>;

/// What can be seen of a move from outside. Whenever it differs from before, a step was taken.
fn picture(world: &SimulatedNodes) -> String {
    let map = world.map();
    let nodes: Vec<_> = map.nodes.iter().map(|(id, entry)| (*id, entry.state)).collect();
    let placements: Vec<_> = map.placements().map(|(_, p)| (p.target.clone(), p.actual.clone(), p.settled)).collect();
    let (mut open, mut members) = (BTreeSet::new(), BTreeMap::new());
    for (id, shard, status) in world.statuses() {
        open.insert((id, shard));
        if status.role == Role::Leader {
            members.insert(
                shard,
                (status.voters.clone(), status.learners.clone(), status.joint, status.members_at.is_some()),
            );
        }
    }
    format!("{nodes:?} {placements:?} {open:?} {members:?}")
}

/// Asserts that a majority of each group's voters, as its leader counts them, holds a replica that takes part. Only one
/// node at a time is killed, so anything less means that a replica was let go of too early.
fn copies_hold(world: &SimulatedNodes) {
    let statuses = world.statuses();
    let mut voters = BTreeMap::new();
    for (id, shard, status) in statuses.iter().filter(|(_, _, status)| status.role == Role::Leader) {
        let known = voters.entry(*shard).or_insert((status.term, *id, status.voters.clone()));
        if known.0 < status.term {
            *known = (status.term, *id, status.voters.clone());
        }
    }
    for (shard, (_, leader, voters)) in voters {
        let open = statuses.iter().filter(|(id, of, _)| *of == shard && voters.contains(id)).count();
        assert!(2 * open > voters.len(), "{shard:?}, led by {leader}: {open} of its voters {voters:?} are there");
    }
}

/// Returns `true` if the operation of the join has ended well, and no replica is being moved any more.
fn is_over(world: &SimulatedNodes) -> bool {
    let map = world.map();
    let done = map.operations.values().any(|operation| operation.state == OperationState::Done);
    let copies: usize = map.shards.values().map(|entry| entry.placement.actual.len()).sum();
    let here = world.statuses().iter().filter(|(_, shard, _)| shard.is_some()).count();
    done && map.placements().all(|(_, placement)| placement.settled) && here == copies
}

/// Writes points through any node that runs, for ever.
async fn write_on(world: Arc<Mutex<Vec<Router>>>, collection: Collection, written: WrittenPoints) {
    for number in 0_u64.. {
        let routers = world.lock().clone();
        let Some(router) = routers.get(number as usize % routers.len().max(1)) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let id = number % 40;
        let vectors = BTreeMap::from([(String::new(), vec![1.0, id as f32])]);
        let point = PointWrite { id: PointId::Num(id), vectors, payload: Payload::default(), if_version: None };
        let request_id = RequestId(Uuid::from_u128(u128::from(number)));
        let (deadline, made_by) = (Instant::now() + Duration::from_millis(900), MadeBy::Client);
        let options = CallOptions { deadline, request_id, made_by };
        if let Ok(outcome) = router.upsert(&collection, vec![point], Acknowledge::Committed, options).await {
            let row = &outcome.results[0];
            written.lock().insert(id, (row.shard, row.version));
        }
        sleep(Duration::from_millis(15)).await;
    }
}

async fn adopt(world: &SimulatedNodes) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let command = MetaCommand::AddNode { entry: SimulatedNodes::entry(JOINER), at_ms: 0 };
        match world.routers()[0].change_map(command, Instant::now() + Duration::from_secs(2)).await {
            Ok(MetaReply::Begun { .. } | MetaReply::NodeKnown { .. }) => return,
            outcome => assert!(Instant::now() < deadline, "the joiner is not adopted: {outcome:?}"),
        }
    }
}

/// The shard whose replicas are being moved.
fn moving(world: &SimulatedNodes) -> ShardId {
    let map = world.map();
    let moving =
        map.shards.iter().find(|(_, entry)| !entry.placement.settled || entry.placement.target.contains(&JOINER));
    moving.map_or(ShardId(0), |(shard, _)| *shard)
}

/// One life of the cluster. At the step of this number the victim loses its power, and comes back after a while.
/// Returns how many steps there were, and `true` if a node was killed.
async fn life(seed: u64, kill: Option<(usize, KilledNode)>) -> (usize, bool) {
    let mut world = SimulatedNodes::start(seed, 2).await;
    let collection = create_collection(&world).await;
    let (written, routers) = (WrittenPoints::default(), Arc::new(Mutex::new(world.routers())));
    let writer = tokio::spawn(write_on(routers.clone(), collection.clone(), written.clone()));
    while written.lock().len() < 40 {
        sleep(Duration::from_millis(20)).await;
    }
    adopt(&world).await;
    world.start_node(JOINER).await;
    let (began, mut steps, mut seen, mut killed) = (Instant::now(), 0, picture(&world), None);
    loop {
        sleep(LOOK_EVERY).await;
        copies_hold(&world);
        let now = picture(&world);
        if now != seen {
            (steps, seen) = (steps + 1, now);
            let due = kill.filter(|(step, _)| *step == steps && killed.is_none());
            let victim = due.and_then(|(_, victim)| match victim {
                KilledNode::Driver => world.leader(None),
                KilledNode::Leader => world.leader(Some(moving(&world))),
                KilledNode::Joiner => Some(JOINER),
            });
            if let Some(victim) = victim {
                world.crash(victim).await;
                *routers.lock() = world.routers();
                sleep(Duration::from_millis(700 + seed % 5 * 300)).await;
                world.start_node(victim).await;
                *routers.lock() = world.routers();
                killed = Some(victim);
            }
        }
        // A victim that was killed last of all must be seen to come back to what it was.
        if is_over(&world) && kill.is_none_or(|(step, _)| killed.is_some() || step > steps) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "seed {seed}, {kill:?}: the move does not end: {}", picture(&world));
    }
    writer.abort();
    let written = written.lock().clone();
    check(&world, &collection, &written).await;
    (steps, killed.is_some())
}

/// Asserts what must hold in the end. Each shard has three replicas, on the nodes that the map names and on no other.
/// They are equal and hold everything that was acknowledged. Each node holds its share.
async fn check(world: &SimulatedNodes, collection: &Collection, written: &BTreeMap<u64, (ShardId, u64)>) {
    let map = world.map();
    for (shard, entry) in &map.shards {
        let (groups, deadline) = (world.groups(*shard), Instant::now() + PATIENCE);
        assert_eq!(groups.keys().copied().collect::<BTreeSet<_>>(), entry.placement.target, "{shard}");
        assert_eq!(groups.len(), 3);
        let applied = groups.values().map(|group| group.status().last_log).max().expect("three replicas");
        let mut digests = BTreeSet::new();
        for (node, group) in &groups {
            while group.status().applied < applied {
                assert!(Instant::now() < deadline, "{shard} on {node} stays behind: {:?}", group.status());
                sleep(Duration::from_millis(10)).await;
            }
            digests.insert(group.machine().digest());
            let ids = written.iter().filter(|(_, (of, _))| of == shard).map(|(id, _)| PointId::Num(*id)).collect();
            let (with_payload, with_vector) = (PayloadSelector::None, VectorSelector::None);
            let query = GetQuery { collection: collection.entry.id, ids, with_payload, with_vector };
            let found = group.machine().get(&query).expect("the collection is there");
            let found: BTreeMap<PointId, u64> = found.into_iter().map(|record| (record.id, record.version)).collect();
            for (id, (_, version)) in written.iter().filter(|(_, (of, _))| of == shard) {
                let there = found.get(&PointId::Num(*id));
                assert!(
                    there >= Some(version),
                    "{shard} on {node}: point {id} is at {there:?}, acknowledged at {version}"
                );
            }
        }
        assert_eq!(digests.len(), 1, "the replicas of {shard} differ");
    }
    let held = world.statuses().iter().filter(|(id, shard, _)| *id == JOINER && shard.is_some()).count();
    assert_eq!(held, 1, "of six replicas the fourth node takes one");
    assert!(map.placement(GroupId(0)).is_some_and(|meta| meta.actual.len() == 3));
}

#[test]
fn a_move_outlives_whoever_is_killed_at_whichever_step() {
    let seed = std::env::var("QUIVER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("QUIVER_SEED={seed}");
    let (steps, _) = simulate(life(seed, None));
    println!("{steps} steps without a kill");
    assert!(steps >= 8, "a move of {steps} steps is no move");
    let mut kills = 0;
    for step in 1..=steps {
        for victim in [KilledNode::Driver, KilledNode::Leader, KilledNode::Joiner] {
            println!("step {step}: {victim:?}");
            kills += usize::from(simulate(life(seed + step as u64, Some((step, victim)))).1);
        }
    }
    println!("{kills} kills");
    assert!(kills >= 2 * steps, "only {kills} kills at {steps} steps");
}
