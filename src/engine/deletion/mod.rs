//! Deleting what a filter means: found outside of `apply`, and proposed in slices.
//!
//! What a filter matches can be long to find, so no entry of a log asks for it. The leader proposes three kinds of
//! entries:
//! 1. **begin**: names the deletion. Its log index is remembered under the request id.
//! 2. **slices**, each of some ids that the leader has found to match. A slice deletes those of its points that are no
//!    newer than the beginning; what was written later is spared, not refused.
//! 3. the **last slice** ends it; from then on the request id is remembered with the number of points that went.
//!
//! So the deletion takes the points that matched when it began and were not written since. A repetition under the same
//! request id goes on from where the remembered one is, whoever leads by then, and never deletes what was written in
//! between; two of them at once count each point once.

mod find;

use bytes::Bytes;
use raft_groups::mutants::{Mutant, is_planted};

use super::filter::Filter;
use super::ids::{CollectionId, RequestId};
use super::state::{Kept, RequestOutcome, State, fingerprint};
use crate::engine::commands::command::{Command, Selector, Slice};
use crate::engine::commands::reply::{Progress, Refusal, Reply};
use crate::engine::commands::validate::batch_size;
use crate::model::PointId;

pub use find::Matches;

/// A deletion of what a filter means, as its leader carries it out.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// Where from.
    pub collection: CollectionId,
    /// Its name.
    pub request: RequestId,
    /// Which points.
    pub filter: Filter,
    /// Of the command that asked for it: another one under the same name is refused.
    fingerprint: u128,
}

impl Deletion {
    /// The deletion that a command asks for, given with its encoded form; `None` if it asks for something else.
    ///
    /// `unnamed` makes a request id for a command without one.
    pub fn of(command: Command, encoded: &[u8], unnamed: impl FnOnce() -> RequestId) -> Option<Self> {
        match command {
            Command::Delete { collection, request, selector: Selector::Filter(filter) } => {
                let (request, fingerprint) = (request.unwrap_or_else(unnamed), fingerprint(encoded));
                Some(Self { collection, request, filter, fingerprint })
            }
            _ => None,
        }
    }

    /// The command that begins it. Answered by [`Reply::Deleting`], or as it was if it has ended before.
    pub fn begin(&self) -> Bytes {
        let Self { collection, request, fingerprint, .. } = *self;
        Command::BeginDeletion { collection, request, fingerprint }.encode()
    }

    /// The command that deletes `ids`: all that match, no newer than the beginning, from what `progress` says up to
    /// `next`; `None` ends the deletion.
    pub fn slice(&self, progress: Progress, ids: Vec<PointId>, next: Option<PointId>) -> Bytes {
        let Self { collection, request, .. } = *self;
        let Progress { begin, from, .. } = progress;
        Command::DeleteSlice { collection, request, slice: Slice { begin, ids, from, next } }.encode()
    }
}

/// What a slice comes to.
#[derive(Debug)]
pub(super) struct Sliced {
    pub(super) ids: Vec<PointId>,
    pub(super) keep: Option<Kept>,
    pub(super) reply: Reply,
}

/// Decides what a slice at log index `index` does, at the shard's time `time_ms`.
pub(super) fn decide_slice(
    state: &State,
    (index, time_ms): (u64, u64),
    collection: CollectionId,
    request: RequestId,
    slice: Slice,
) -> Result<Sliced, Refusal> {
    let table = state.table(collection)?;
    batch_size("ids", slice.ids.len())?;
    let Slice { begin, mut ids, from, next } = slice;
    // Nobody waits any more for a deletion that is forgotten: its slices come too late.
    let kept = state.requests.find(request, time_ms).ok_or(Refusal::RequestExpired)?;
    let (count, reached) = match kept.outcome {
        RequestOutcome::Deleting(Progress { begin: begun, count, from }) if begun == begin => (count, from),
        // A repetition has ended the deletion, so nothing is left for this slice.
        RequestOutcome::Deleted { count, version } => {
            return Ok(Sliced { ids: Vec::new(), keep: None, reply: Reply::Deleted { count, version } });
        }
        _ => return Err(Refusal::RequestReused),
    };
    // What was written since the deletion began is spared.
    ids.sort_unstable();
    ids.dedup();
    let newest = if is_planted(Mutant::DeletesNewer) { u64::MAX } else { begin };
    // Version 0 is that of a point which is not there: a slice that comes twice counts each point once.
    ids.retain(|id| (1..=newest).contains(&table.version(*id)));
    let count = count + ids.len() as u64;
    // A slice that begins beyond what is reached leaves a gap, which another has to fill.
    let adjoins = from <= reached;
    let (outcome, reply) = match next {
        // The last slice ends the deletion only if all before it were applied.
        None if adjoins => {
            (RequestOutcome::Deleted { count, version: index }, Reply::Deleted { count, version: index })
        }
        next => {
            let from = if adjoins { reached.max(next) } else { reached };
            debug_assert!(from >= reached, "a deletion goes back from {reached:?} to {from:?}");
            let progress = Progress { begin, count, from };
            (RequestOutcome::Deleting(progress), Reply::from(progress))
        }
    };
    Ok(Sliced { ids, keep: Some(Kept { outcome, ..kept.clone() }), reply })
}
