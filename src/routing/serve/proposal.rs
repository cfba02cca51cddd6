//! The seam in front of every log: what is done to a command before it is proposed.
//!
//! In: a command as its sender encoded it. Out: the bytes to propose. What this build cannot read is refused here, where
//! nothing has been appended yet: in a log it would be for ever, and on every replica.

use bytes::Bytes;
use raft_groups::mutants::{Mutant, is_planted};
use uuid::Uuid;

use crate::engine::{Command, Deletion, RequestId};
use crate::placement::MetaCommand;
use crate::routing::rpc::message::CallError;

/// What becomes of a command for a shard.
#[derive(Debug)]
pub(in crate::routing) enum ForShard {
    /// It goes into the log.
    Entry(Bytes),
    /// It asks to delete what a filter means, which is found first and proposed in slices.
    Deletion(Deletion),
}

/// What becomes of `command` on the leader of its shard.
///
/// # Errors
/// [`CallError::Unreadable`] where it is none.
pub(in crate::routing) fn for_shard(command: Bytes) -> Result<ForShard, CallError> {
    let read = match Command::read_small(&command) {
        Err(_) if is_planted(Mutant::ProposesGarbage) => None,
        read => read.map_err(|_| unreadable())?,
    };
    let unnamed = || RequestId(Uuid::new_v4());
    let deletion = read.and_then(|read| Deletion::of(read, &command, unnamed));
    Ok(deletion.map_or(ForShard::Entry(command), ForShard::Deletion))
}

/// What goes into the meta group's log for `command`.
///
/// # Errors
/// [`CallError::Unreadable`] where it is none.
pub(super) fn for_map(command: Bytes) -> Result<Bytes, CallError> {
    match MetaCommand::check(&command) {
        Err(_) if !is_planted(Mutant::ProposesGarbage) => Err(unreadable()),
        _ => Ok(command),
    }
}

/// The words of the decoder mean nothing to the client who may read this.
fn unreadable() -> CallError {
    CallError::Unreadable { reason: "a command in it is not as this release of Quiver writes it".to_owned() }
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;

    use super::*;
    use crate::engine::{CollectionId, Filter, Selector};
    use crate::placement::ShardId;

    /// Whether no garbage passes the seam.
    fn keeps_garbage_out() -> bool {
        [&b""[..], b"\0", &[9, 9], &[2, 99], &[2, 0, 1]].into_iter().all(|garbage| {
            let garbage = Bytes::copy_from_slice(garbage);
            matches!(for_shard(garbage.clone()), Err(CallError::Unreadable { .. }))
                && matches!(for_map(garbage), Err(CallError::Unreadable { .. }))
        })
    }

    #[test]
    fn what_cannot_be_read_is_refused_before_it_is_proposed() {
        assert!(keeps_garbage_out());
        let planted = plant(Mutant::ProposesGarbage);
        assert!(!keeps_garbage_out(), "the planted bug is seen");
        drop(planted);
        let command = Command::DropCollection { collection: CollectionId(7) }.encode();
        assert!(matches!(for_shard(command.clone()), Ok(ForShard::Entry(entry)) if entry == command));
        let command = MetaCommand::TransferLeader { shard: ShardId(1), to: 2 }.encode();
        assert_eq!(for_map(command.clone()), Ok(command));
    }

    #[test]
    fn no_filter_gets_into_a_log() {
        let collection = CollectionId(7);
        let delete = |selector| Command::Delete { collection, request: None, selector }.encode();
        let filter = Filter::parse(&serde_json::json!({"must": [{"is_null": {"key": "a"}}]})).unwrap();
        let Ok(ForShard::Deletion(deletion)) = for_shard(delete(Selector::Filter(filter.clone()))) else {
            panic!("it is carried out in slices");
        };
        assert_eq!((deletion.collection, deletion.filter), (collection, filter));
        assert!(matches!(for_shard(delete(Selector::Ids(vec![1.into()]))), Ok(ForShard::Entry(_))));
    }
}
