//! Takes the steps that [`next_step`] chooses, on the leader.
//!
//! Comes in: the wanted voters. Goes out: the step that was taken. Nothing is remembered between two calls, so the
//! next leader continues.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::EmptyNode;
use openraft::raft::Precondition;
use tokio::time::{Instant, timeout_at};

use super::next_step::{MembershipStep, can_take_over, next_step};
use crate::consensus::types::{LogId, Node, RaftTypes};
use crate::mutants::{Mutant, is_planted};
use crate::{Group, Machine, NodeId, Role, WriteError};

impl<M: Machine> Group<M> {
    /// On the leader: takes the next step towards the voters `wanted` and returns it. Call it until it returns
    /// [`MembershipStep::Done`]. After a crash the next leader continues.
    ///
    /// A step is a compare-and-set on the membership it was chosen for, so two leaders cannot undo each other's.
    ///
    /// # Errors
    /// [`WriteError::NotLeader`] and [`WriteError::Busy`] (another change is under way): nothing was done.
    /// [`WriteError::Indeterminate`]: the step may still take effect.
    pub async fn converge(&self, wanted: &BTreeSet<NodeId>, deadline: Instant) -> Result<MembershipStep, WriteError> {
        // Read before the status: if the members change in between, the step is refused instead of taken on stale
        // facts.
        let chosen_for = *self.raft().metrics().borrow_watched().membership_config.log_id();
        let status = self.status();
        if status.role != Role::Leader {
            return Err(WriteError::NotLeader { leader: status.leader });
        }
        // The decision is pure. Only what follows can fail, and each step is safe to repeat.
        let step = next_step(wanted, &status);
        let change = |change, retain| self.change(change, retain, chosen_for, deadline);
        match &step {
            MembershipStep::Done | MembershipStep::AwaitLearners(_) => {}
            MembershipStep::AddLearner(node) => {
                change(ChangeMembers::AddNodes([(*node, EmptyNode::new())].into()), true).await?;
            }
            MembershipStep::TransferLeader(node) => self.transfer_leader(*node).await?,
            MembershipStep::ChangeVoters(voters) => {
                change(ChangeMembers::ReplaceAllVoters(voters.clone()), true).await?
            }
            MembershipStep::RemoveLearners(nodes) => change(ChangeMembers::RemoveNodes(nodes.clone()), false).await?,
        }
        Ok(step)
    }

    /// On the leader: hands leadership to `to` if that costs next to nothing, that is, if `to` is a voter that
    /// answers and lacks few entries. Returns `true` if `to` was asked to take over.
    ///
    /// # Errors
    /// [`WriteError::Stopped`] if this replica no longer takes part.
    pub async fn prefer_leader(&self, to: NodeId) -> Result<bool, WriteError> {
        let fit = can_take_over(to, &self.status());
        if fit {
            self.transfer_leader(to).await?;
        }
        Ok(fit)
    }

    async fn change(
        &self,
        change: ChangeMembers<NodeId, Node>,
        retain: bool,
        last_membership_log_id: Option<LogId>,
        deadline: Instant,
    ) -> Result<(), WriteError> {
        let unchanged = (!is_planted(Mutant::ChangesMembersBlindly))
            .then_some(Precondition::LastMembershipLogId { last_membership_log_id });
        let unknown = |reason: String| Err(WriteError::Indeterminate { reason });
        // After a refusal nothing was appended. After a timeout the change may still be committed.
        match timeout_at(deadline, self.raft().change_membership_if(change, retain, unchanged)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(error))) => Err(refused(error)),
            Ok(Err(RaftError::Fatal(error))) => unknown(crate::consensus::fatal::explain_end(&error)),
            Err(_) => unknown("no answer before the deadline".to_owned()),
        }
    }
}

fn refused(error: ClientWriteError<RaftTypes>) -> WriteError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => WriteError::NotLeader { leader: forward.leader_id },
        ClientWriteError::LogEntryDiscarded(_) => WriteError::Indeterminate { reason: "the leader changed".to_owned() },
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => WriteError::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::plant;
    use crate::tests::kit::{later, settings, simulate, start, write_somewhere};

    /// Makes a change that was chosen for members that have changed since. Returns what came of it.
    async fn outdated_change() -> Result<(), WriteError> {
        let cluster = start(1, 3, settings()).await;
        let leader = write_somewhere(&cluster, &[], 1).await;
        let group = cluster.group(leader).expect("runs");
        let chosen_for = *group.raft().metrics().borrow_watched().membership_config.log_id();
        let learner = |node| ChangeMembers::AddNodes([(node, EmptyNode::new())].into());
        group.change(learner(8), true, chosen_for, later()).await.expect("they are what they were");
        group.change(learner(9), true, chosen_for, later()).await
    }

    #[test]
    fn members_that_have_changed_since_are_left_as_they_are() {
        assert_eq!(simulate(outdated_change()), Err(WriteError::Busy));
        let _planted = plant(Mutant::ChangesMembersBlindly);
        assert_eq!(simulate(outdated_change()), Ok(()), "the planted bug changes them");
    }
}
