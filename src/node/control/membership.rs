//! Membership: the loop that gives each group that this node leads the members that the map wants. It confirms in the
//! map that they are there.
//!
//! Comes in: the map and the status of each group. Goes out: one member change at a time into a group's log,
//! confirmations into the map, and leadership handed to the preferred node. Must not decide where replicas belong.
//!
//! Before each step the leader reads the newest map, in its own term. So a later leader never goes back to an older
//! plan. A confirmation needs a proof: the replica sees that the planned members are committed, and then proves that it
//! still leads. From then on only a newer plan can change the members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use raft_groups::{Group, GroupId, GroupStatus, Machine, MembershipStep, NodeId, Role};
use tokio::time::Instant;

use crate::placement::{ClusterMap, MetaCommand, Placement, group_name};
use crate::routing::{LocalGroups, MapCell, Router};

/// Pause between two looks at the groups.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// How long one step, or one question to the map, may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most steps of one group between two looks.
const MAX_STEPS: usize = 8;

/// How long a node leads a group that another node is preferred for, before it hands the group over. Elections and
/// restarts settle by themselves in that time.
const HANDOVER_AFTER: Duration = Duration::from_secs(3);

/// The loop that moves the groups that this node leads.
#[derive(Clone)]
pub(in crate::node) struct MembershipLoop {
    pub me: NodeId,
    pub groups: Arc<LocalGroups>,
    pub map: MapCell,
    pub router: Router,
}

impl MembershipLoop {
    /// Looks at every group that this node leads, for ever.
    pub async fn move_groups(self) {
        // For each group that another node should lead: when that was first seen.
        let mut misplaced = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let map = self.map.get();
            if !map.is_formed() {
                continue;
            }
            // Members come first, all shards side by side.
            let shards = self.groups.shards();
            let moves = shards.iter().map(|(shard, group)| self.move_group(shard.group(), group, &map));
            join_all(moves).await;
            if let Some(meta) = self.groups.meta() {
                self.move_group(meta.id(), &meta, &map).await;
                let successor = map.meta_successor(self.me, &meta.status().silent);
                self.hand_over_leadership(&meta, successor, &map, &mut misplaced).await;
            }
            // Leaders come second, and only in groups that have all their members.
            for (shard, group) in &shards {
                let meant = map.shards.get(shard).filter(|entry| entry.placement.settled);
                self.hand_over_leadership(group, meant.map(|entry| entry.preferred), &map, &mut misplaced).await;
            }
        }
    }

    /// Takes the steps of one group that can be taken now. Does nothing if this node does not lead the group, or the
    /// map has nothing left to confirm.
    async fn move_group<M: Machine>(&self, id: GroupId, group: &Group<M>, map: &ClusterMap) {
        let Some(placement) = map.placement(id) else { return };
        let status = group.status();
        if status.role != Role::Leader || placement.settled && members_index(&status, placement).is_some() {
            return;
        }
        if let Err(reason) = self.take_steps(id, group).await {
            tracing::debug!(group = %id, reason, "the group is not where it should be yet");
        }
    }

    /// Takes steps until the group has its members, or until it has to wait.
    async fn take_steps<M: Machine>(&self, id: GroupId, group: &Group<M>) -> Result<(), String> {
        for _ in 0..MAX_STEPS {
            // Each step follows the newest map: an older one may hold a plan that was given up.
            let deadline = Instant::now() + PATIENCE;
            let map = self.router.read_map(deadline).await.map_err(|error| error.to_string())?;
            let Some(placement) = map.placement(id) else { return Ok(()) };
            // A step that has to wait for other nodes is taken up at the next look.
            match group.converge(&placement.target, deadline).await.map_err(|error| error.to_string())? {
                MembershipStep::Done => return self.confirm(id, group, placement, deadline).await,
                MembershipStep::AwaitLearners(_) | MembershipStep::TransferLeader(_) => return Ok(()),
                step => tracing::info!(
                    "{}: {}; it is meant to be on {}",
                    group_name(id),
                    describe_step(&step, &map),
                    node_names(&map, &placement.target)
                ),
            }
        }
        Ok(())
    }

    /// Confirms in the map that the group has the members of its placement, once this leader has proved itself.
    async fn confirm<M: Machine>(
        &self,
        id: GroupId,
        group: &Group<M>,
        placement: &Placement,
        deadline: Instant,
    ) -> Result<(), String> {
        // The order matters: the members are seen first, and then the leader proves that it still leads.
        let before = group.status();
        let Some(at) = members_index(&before, placement) else { return Ok(()) };
        group.prove_leader().await.map_err(|error| error.to_string())?;
        let after = group.status();
        if after.role != Role::Leader || after.term != before.term || members_index(&after, placement) != Some(at) {
            return Ok(());
        }
        // The members were the same before the proof and after it. So they hold until a newer plan changes them.
        let (planned, members) = (placement.planned, placement.target.clone());
        let command = MetaCommand::Confirm { group: id, planned, members, at };
        self.router.change_map(command, deadline).await.map(drop).map_err(|error| error.to_string())
    }

    /// Hands leadership to the node `wanted`, once the group has been misplaced for [`HANDOVER_AFTER`].
    async fn hand_over_leadership<M: Machine>(
        &self,
        group: &Group<M>,
        wanted: Option<NodeId>,
        map: &ClusterMap,
        misplaced: &mut BTreeMap<GroupId, Instant>,
    ) {
        // Only a leader that is not the wanted one has something to hand over.
        let id = group.id();
        let wanted = wanted.filter(|wanted| *wanted != self.me && group.status().role == Role::Leader);
        let Some(wanted) = wanted else {
            misplaced.remove(&id);
            return;
        };
        // A misplaced group waits for a while: elections and restarts settle by themselves.
        let since = *misplaced.entry(id).or_insert_with(Instant::now);
        if since.elapsed() < HANDOVER_AFTER {
            return;
        }
        // The time is counted anew after each try, so a node that refuses is not asked at every look.
        misplaced.remove(&id);
        match group.prefer_leader(wanted).await {
            Ok(true) => {
                tracing::info!(group = group_name(id), to = map.name_of(wanted), "leadership is handed over")
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(group = group_name(id), %error, "leadership stays here"),
        }
    }
}

/// The log index at which the group's members were committed, if they are exactly those of the placement: no learner is
/// left and no change is under way.
fn members_index(status: &GroupStatus, placement: &Placement) -> Option<u64> {
    let there = status.voters == placement.target && status.learners.is_empty() && !status.joint;
    status.members_at.filter(|_| there)
}

/// A step for people, with the names of nodes.
fn describe_step(step: &MembershipStep, map: &ClusterMap) -> String {
    match step {
        MembershipStep::Done => "it has its members".to_owned(),
        MembershipStep::AddLearner(node) => format!("{} copies the log, without a vote yet", map.name_of(*node)),
        MembershipStep::AwaitLearners(nodes) => format!("{} must catch up", node_names(map, nodes)),
        MembershipStep::TransferLeader(node) => format!("{} is to lead", map.name_of(*node)),
        MembershipStep::ChangeVoters(nodes) => format!("{} are its voters now", node_names(map, nodes)),
        MembershipStep::RemoveLearners(nodes) => format!("{} copy the log no more", node_names(map, nodes)),
    }
}

fn node_names(map: &ClusterMap, nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(|node| map.name_of(*node)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_with_the_names_of_nodes() {
        let map = crate::placement::tests::map_of(3, 1, 3);
        let told = describe_step(&MembershipStep::ChangeVoters([1, 3].into()), &map);
        assert_eq!(told, "node1, node3 are its voters now");
    }
}
