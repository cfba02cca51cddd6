//! Membership: the loop that moves the groups which this node leads to the members that the map wants, and confirms
//! in the map that they are there.
//!
//! Comes in: the map and the status of each group. Goes out: one member change at a time into a group's log,
//! confirmations into the map, and leadership handed to the node that is meant to lead. Must not decide where
//! replicas belong.
//!
//! Before each step the map is read as it is now, by the leader in its own term: so a later leader never goes back to
//! an older plan. A confirmation is given only by a replica that, after it saw the members committed as planned,
//! proved that it leads still. Then nothing but a newer plan can change them.

use std::collections::BTreeMap;
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

/// For how long a node must have led a group that another is meant to lead, before it hands it over: elections and
/// restarts settle by themselves first.
const HANDOVER_AFTER: Duration = Duration::from_secs(3);

/// Moves the groups that this node leads.
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
        let mut misplaced = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let map = self.map.get();
            if !map.is_formed() {
                continue;
            }
            // Members first, all shards side by side.
            let shards = self.groups.shards();
            let moves = shards.iter().map(|(shard, group)| self.move_group(shard.group(), group, &map));
            join_all(moves).await;
            if let Some(meta) = self.groups.meta() {
                self.move_group(meta.id(), &meta, &map).await;
                let successor = map.meta_successor(self.me, &meta.status().silent);
                self.hand_over_leadership(&meta, successor, &map, &mut misplaced).await;
            }
            // Then leaders, of groups that have all their members.
            for (shard, group) in &shards {
                let meant = map.shards.get(shard).filter(|entry| entry.placement.settled);
                self.hand_over_leadership(group, meant.map(|entry| entry.preferred), &map, &mut misplaced).await;
            }
        }
    }

    /// Moves one group as far as it goes now, if this node leads it and it is not where the map wants it.
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

    /// Takes steps until the group is there, or until it has to wait.
    async fn take_steps<M: Machine>(&self, id: GroupId, group: &Group<M>) -> Result<(), String> {
        for _ in 0..MAX_STEPS {
            // Each step is taken by the map as it is now.
            let deadline = Instant::now() + PATIENCE;
            let map = self.router.read_map(deadline).await.map_err(|error| error.to_string())?;
            let Some(placement) = map.placement(id) else { return Ok(()) };
            match group.converge(&placement.target, deadline).await.map_err(|error| error.to_string())? {
                MembershipStep::Done => return self.confirm(id, group, placement, deadline).await,
                MembershipStep::AwaitLearners(_) | MembershipStep::TransferLeader(_) => return Ok(()),
                step => tracing::info!(group = %id, ?step, "a step towards {:?} is taken", placement.target),
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
        // The members are seen, and after that the leader proves that it leads still.
        let before = group.status();
        let Some(at) = members_index(&before, placement) else { return Ok(()) };
        group.prove_leader().await.map_err(|error| error.to_string())?;
        let after = group.status();
        if after.role != Role::Leader || after.term != before.term || members_index(&after, placement) != Some(at) {
            return Ok(());
        }
        // What was seen before the proof and after it is true, until a newer plan changes it.
        let (planned, members) = (placement.planned, placement.target.clone());
        let command = MetaCommand::Confirm { group: id, planned, members, at };
        self.router.change_map(command, deadline).await.map(drop).map_err(|error| error.to_string())
    }

    /// Hands leadership to the node that is meant to lead, once it is clear that nothing else is going on.
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
        // It waits for a while: elections and restarts settle by themselves.
        let since = *misplaced.entry(id).or_insert_with(Instant::now);
        if since.elapsed() < HANDOVER_AFTER {
            return;
        }
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

/// The log index of the group's members, if they are committed and exactly those of the placement.
fn members_index(status: &GroupStatus, placement: &Placement) -> Option<u64> {
    let there = status.voters == placement.target && status.learners.is_empty() && !status.joint;
    status.members_at.filter(|_| there)
}
