//! Changes of members in simulation: under writes, with any node killed at any step, and with replicas that were
//! erased and come back.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::MembershipStep;
use crate::mutants::{Mutant, plant};
use crate::sim::SimPlan;
use crate::tests::kit::{Cluster, Order, later, simulate, snapshot_storm, soon, write_somewhere};
use crate::{Machine as _, NodeId, ReadMode};

/// A cluster, and the last value that was acknowledged to a writer.
struct Story {
    cluster: Cluster,
    written: u64,
}

impl Story {
    async fn start(seed: u64, founders: u64, spares: u64) -> Self {
        let plan = SimPlan { spares, ..SimPlan::new(seed, founders, snapshot_storm()) };
        Self { cluster: Cluster::start(plan).await.expect("starts"), written: 0 }
    }

    /// Writes the next value through any leader that is not in `except`. Returns that leader.
    async fn write(&mut self, except: &[NodeId]) -> NodeId {
        self.written += 1;
        write_somewhere(&self.cluster, except, self.written).await
    }

    /// Takes steps towards the voters `wanted` until none is left.
    async fn walk(&mut self, wanted: &[NodeId], except: &[NodeId]) {
        let wanted: BTreeSet<NodeId> = wanted.iter().copied().collect();
        for _ in 0..500 {
            let leader = self.write(except).await;
            let group = self.cluster.group(leader).expect("runs");
            // The end must be committed, or a new leader could still undo it.
            if matches!(group.converge(&wanted, later()).await, Ok(MembershipStep::Done))
                && group.status().members_at.is_some()
            {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("the walk to {wanted:?} does not end");
    }

    /// Checks that every member of `wanted` serves the last acknowledged value, and that all have the same state.
    async fn agreed(&self, wanted: &[NodeId]) {
        let mut digests = BTreeSet::new();
        for id in wanted {
            let group = self.cluster.group(*id).expect("runs");
            // A replica that has just started knows no leader yet, and refuses at once.
            let start = Instant::now();
            while let Err(error) = group.read(ReadMode::Linearizable, soon()).await {
                assert!(start.elapsed() < Duration::from_secs(20), "node {id} does not serve: {error}");
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(group.machine().get("x"), Some(self.written), "node {id} lost an acknowledged write");
            digests.insert(group.machine().digest());
        }
        assert_eq!(digests.len(), 1, "replicas differ");
    }
}

#[test]
fn a_group_walks_to_other_members_and_back_under_writes() {
    for seed in 0..5 {
        simulate(async move {
            let mut story = Story::start(seed, 3, 2).await;
            for wanted in [[1, 2, 3, 4].as_slice(), &[2, 3, 4, 5], &[4, 5], &[1, 2, 3]] {
                story.walk(wanted, &[]).await;
                story.agreed(wanted).await;
            }
        });
    }
}

#[test]
fn a_lone_replica_changes_its_node() {
    for seed in 0..5 {
        simulate(async move {
            let mut story = Story::start(seed, 1, 2).await;
            for wanted in [[2].as_slice(), &[1, 2], &[1, 2, 3], &[1, 3], &[3]] {
                story.walk(wanted, &[]).await;
                story.agreed(wanted).await;
            }
        });
    }
}

/// The node that loses power.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Leader,
    Newcomer,
    Leaving,
    Staying,
}

#[test]
fn a_move_goes_on_whoever_is_killed_at_which_step() {
    for victim in [Victim::Leader, Victim::Newcomer, Victim::Leaving, Victim::Staying] {
        for kill_at in 0..8 {
            simulate(killed_at(victim, kill_at));
        }
    }
}

/// Moves a replica from node 1 to node 4, and cuts the power of the victim before step number `kill_at`.
async fn killed_at(victim: Victim, kill_at: u64) {
    let mut story = Story::start(kill_at, 3, 1).await;
    for _ in 0..40 {
        story.write(&[]).await;
    }
    // After 40 writes the logs are purged, so the newcomer needs a snapshot.
    let (wanted, mut steps, mut crashed) = ([2, 3, 4].into(), 0, None);
    for turn in 0..1000 {
        assert!(turn < 999, "{victim:?} killed at step {kill_at}: the walk does not end");
        let leader = story.write(&[]).await;
        if steps == kill_at && crashed.is_none() {
            let node = match victim {
                Victim::Leader => leader,
                Victim::Newcomer => 4,
                Victim::Leaving => 1,
                Victim::Staying => 2,
            };
            story.cluster.crash(node).await;
            crashed = Some((node, turn));
            continue;
        }
        let group = story.cluster.group(leader).expect("runs");
        match group.converge(&wanted, soon()).await {
            Ok(MembershipStep::Done) if group.status().members_at.is_some() => break,
            Ok(MembershipStep::AwaitLearners(_)) | Err(_) => {}
            Ok(_) => steps += 1,
        }
        // The victim comes back after a while, in the midst of the move.
        if let Some((node, at)) = crashed
            && turn == at + 10
        {
            story.cluster.restart(node).await.expect("restarts");
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Without the victim the move may have ended earlier.
    if let Some((node, _)) = crashed
        && story.cluster.group(node).is_none()
    {
        story.cluster.restart(node).await.expect("restarts");
    }
    story.write(&[]).await;
    story.agreed(&[2, 3, 4]).await;
}

/// Node 1 is cut off during the move from {1, 2, 3} to {1, 3, 4}, so it still counts on node 2. The replica of node
/// 2 is erased and opened anew. By what node 1 knows, the two are a majority. Returns `true` if either takes a
/// write.
async fn counts_on_an_erased_replica(story: &mut Story) -> bool {
    story.write(&[]).await;
    story.cluster.net.isolate(1, [2, 3, 4]);
    story.walk(&[1, 3, 4], &[1]).await;
    story.cluster.replace_replica(2).await.expect("its disk is well");
    story.cluster.net.heal();
    // Nodes 1 and 2 hear only each other.
    for other in [3, 4] {
        story.cluster.net.isolate(1, [other]);
        story.cluster.net.isolate(2, [other]);
    }
    for value in 0..200 {
        sleep(Duration::from_millis(20)).await;
        for id in [1, 2] {
            let group = story.cluster.group(id).expect("runs");
            if group.write(Order::set("x", 1_000_000 + value).encode(), soon()).await.is_ok() {
                return true;
            }
        }
    }
    false
}

#[test]
fn an_erased_replica_does_not_help_a_candidate_of_long_ago() {
    for seed in 0..10 {
        simulate(async move {
            let mut story = Story::start(seed, 3, 1).await;
            assert!(!counts_on_an_erased_replica(&mut story).await, "a write by a majority of long ago");
            story.cluster.net.heal();
            story.walk(&[2, 3, 4], &[]).await;
            story.agreed(&[2, 3, 4]).await;
            // Node 2 is a member again, also after a power loss.
            story.cluster.crash(2).await;
            story.cluster.restart(2).await.expect("restarts");
            story.cluster.crash(3).await;
            story.write(&[]).await;
            story.agreed(&[2, 4]).await;
        });
    }
}

/// The planted bug: a replica votes although its log does not say that it is a member.
#[test]
fn votes_of_strangers_are_seen_to_help_it() {
    let _planted = plant(Mutant::StrangersVote);
    let helped = |seed| simulate(async move { counts_on_an_erased_replica(&mut Story::start(seed, 3, 1).await).await });
    assert!((0..10).any(helped), "the test above would not see a majority of long ago either");
}
