//! The seam in front of every log: what is done to a command before it is proposed. Pure.
//!
//! In: a command as its sender encoded it. Out: the bytes to propose. What this build cannot read is refused here, where
//! nothing has been appended yet: in a log it would be for ever, and on every replica.

use bytes::Bytes;
use raft_groups::mutants::{Mutant, is_planted};

use super::rpc::CallError;
use crate::engine::Command;
use crate::placement::MetaCommand;

/// What goes into a shard's log for `command`.
///
/// # Errors
/// [`CallError::Unreadable`] where it is none.
pub(super) fn for_shard(command: Bytes) -> Result<Bytes, CallError> {
    match Command::check(&command) {
        Err(error) if !is_planted(Mutant::ProposesGarbage) => Err(unreadable(&error)),
        _ => Ok(command),
    }
}

/// What goes into the meta group's log for `command`.
///
/// # Errors
/// [`CallError::Unreadable`] where it is none.
pub(super) fn for_map(command: Bytes) -> Result<Bytes, CallError> {
    match MetaCommand::check(&command) {
        Err(error) if !is_planted(Mutant::ProposesGarbage) => Err(unreadable(&error)),
        _ => Ok(command),
    }
}

fn unreadable(error: &dyn std::error::Error) -> CallError {
    CallError::Unreadable { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;

    use super::*;
    use crate::engine::CollectionId;
    use crate::placement::ShardId;

    /// Whether no garbage passes the seam.
    fn keeps_garbage_out() -> bool {
        let refused = |outcome| matches!(outcome, Err(CallError::Unreadable { .. }));
        [&b""[..], b"\0", &[9, 9], &[2, 99], &[2, 0, 1]].into_iter().all(|garbage| {
            let garbage = Bytes::copy_from_slice(garbage);
            refused(for_shard(garbage.clone())) && refused(for_map(garbage))
        })
    }

    #[test]
    fn what_cannot_be_read_is_refused_before_it_is_proposed() {
        assert!(keeps_garbage_out());
        let planted = plant(Mutant::ProposesGarbage);
        assert!(!keeps_garbage_out(), "the planted bug is seen");
        drop(planted);
        let command = Command::DropCollection { collection: CollectionId(7) }.encode();
        assert_eq!(for_shard(command.clone()), Ok(command));
        let command = MetaCommand::TransferLeader { shard: ShardId(1), to: 2 }.encode();
        assert_eq!(for_map(command.clone()), Ok(command));
    }
}
