//! Taking the steps that [`next_step`] chooses.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::EmptyNode;
use openraft::raft::Precondition;

use crate::membership::{Step, next_step};
use crate::types::{Node, Types};
use crate::{Group, Machine, NodeId, Role, WriteError};

impl<M: Machine> Group<M> {
    /// On the leader: takes the next step towards `wanted` voters and says which it was. Call it until it is
    /// [`Step::Done`]; whoever leads after a crash goes on.
    ///
    /// A step is a compare-and-set on the membership it was chosen for, so two leaders cannot undo each other's.
    ///
    /// # Errors
    /// [`WriteError::NotLeader`] and [`WriteError::Busy`] (another change is under way) did nothing.
    pub async fn converge(&self, wanted: &BTreeSet<NodeId>) -> Result<Step, WriteError> {
        let status = self.status();
        if status.role != Role::Leader {
            return Err(WriteError::NotLeader { leader: status.leader });
        }
        let step = next_step(wanted, &status);
        match &step {
            Step::Done | Step::AwaitLearners(_) => {}
            Step::AddLearner(node) => {
                self.change(ChangeMembers::AddNodes([(*node, EmptyNode::new())].into()), true).await?;
            }
            Step::TransferLeader(node) => self.transfer_leader(*node).await?,
            Step::ChangeVoters(voters) => self.change(ChangeMembers::ReplaceAllVoters(voters.clone()), true).await?,
            Step::RemoveLearners(nodes) => self.change(ChangeMembers::RemoveNodes(nodes.clone()), false).await?,
        }
        Ok(step)
    }

    async fn change(&self, change: ChangeMembers<NodeId, Node>, retain: bool) -> Result<(), WriteError> {
        let last_membership_log_id = *self.raft().metrics().borrow_watched().membership_config.log_id();
        let unchanged = Precondition::LastMembershipLogId { last_membership_log_id };
        match self.raft().change_membership_if(change, retain, [unchanged]).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(error)) => Err(refused(error)),
            Err(RaftError::Fatal(error)) => Err(WriteError::Indeterminate { reason: error.to_string() }),
        }
    }
}

fn refused(error: ClientWriteError<Types>) -> WriteError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => WriteError::NotLeader { leader: forward.leader_id },
        ClientWriteError::LogEntryDiscarded(_) => WriteError::Indeterminate { reason: "the leader changed".to_owned() },
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => WriteError::Busy,
    }
}
