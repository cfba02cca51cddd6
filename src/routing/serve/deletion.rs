//! Deleting what a filter means, on the leader: it finds the points a step at a time and proposes them in slices.
//!
//! Nobody else waits long for it: a step is a long query, which takes turns with others and tests points beside the state,
//! and a slice is small enough that other writes pass between two of them. What was begun is remembered in the shard, so when the deadline
//! passes, or leadership, the same request goes on from there.

use std::sync::Arc;

use raft_groups::Group;
use tokio::time::Instant;

use super::service::{Proposal, Service};
use crate::engine::{Deletion, Engine, Matches, Meter, PointId, Progress, Refusal, Reply};
use crate::routing::rpc::message::{CallAnswer, CallError};

/// Points of one slice.
const SLICE_POINTS: usize = 1_000;

/// Bytes of payloads that the points of one slice have: payload indexes parse what goes.
const SLICE_BYTES: usize = 1 << 20;

/// Steps without a match after which it is noted how far they came.
const STEPS_TO_NOTE: u32 = 64;

impl Service {
    /// Carries out a deletion, given with the proposal that begins it, on a group that this node leads.
    ///
    /// # Errors
    /// Those of a write. Once something is deleted, whatever ends it early leaves it in doubt: under the same request id
    /// it goes on.
    pub(super) async fn delete_matches(
        &self,
        group: &Group<Engine>,
        deletion: Deletion,
        begin: Proposal,
        deadline: Instant,
    ) -> Result<CallAnswer, CallError> {
        // The shard remembers the deletion before any point is deleted.
        let everywhere = begin.everywhere;
        let mut answer = self.write(group, Proposal { everywhere: false, ..begin }, deadline).await?;
        // Delete slice by slice until the shard says that it is done.
        let deletion = Arc::new(deletion);
        while let Some(progress) = under_way(&answer) {
            let next = self.go_on(group, &deletion, progress, deadline).await;
            answer = next.map_err(|error| unfinished(error, progress.count))?;
        }
        // Wait for the voters once, after the last slice.
        match (everywhere, &mut answer) {
            (true, CallAnswer::Written { index, lagging, .. }) => {
                *lagging = group.wait_applied_everywhere(*index, deadline).await.err().unwrap_or_default();
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    /// Finds the next points and deletes them; the answer to the last slice.
    async fn go_on(
        &self,
        group: &Group<Engine>,
        deletion: &Arc<Deletion>,
        mut progress: Progress,
        deadline: Instant,
    ) -> Result<CallAnswer, CallError> {
        // Search on until there is a match, or until the shard is to note how far the search came.
        let (mut first, mut steps) = (progress.from, 0);
        let matches = loop {
            let matches = self.find(group, deletion, (first, progress.begin), deadline).await?;
            steps += 1;
            if !matches.found.is_empty() || matches.next.is_none() || steps == STEPS_TO_NOTE {
                break matches;
            }
            first = matches.next;
        };
        // Propose the points in slices, so that other writes pass between two of them.
        let mut slices = slices(matches).into_iter();
        loop {
            let Some((ids, next)) = slices.next() else {
                return Err(CallError::Broken { reason: "no slice".to_owned() });
            };
            let command = deletion.slice(progress, ids, next);
            let slice = Proposal { command, lifetime: None, everywhere: false };
            let answer = self.write(group, slice, deadline).await.map_err(|error| unfinished(error, progress.count))?;
            match under_way(&answer) {
                Some(further) if slices.len() > 0 => progress = further,
                _ => return refused(&answer).map_or(Ok(answer), Err),
            }
        }
    }

    /// One step.
    async fn find(
        &self,
        group: &Group<Engine>,
        deletion: &Arc<Deletion>,
        range: (Option<PointId>, u64),
        deadline: Instant,
    ) -> Result<Matches, CallError> {
        let (machine, deletion) = (group.machine(), Arc::clone(deletion));
        let step = move |meter: &Meter<'_>| {
            machine.find_matches(deletion.collection, &deletion.filter, range, meter).transpose()
        };
        self.pool.run_long(deadline, step).await?.map_err(CallError::Refused)
    }
}

/// What was found, cut into slices; each with the id from which the next goes on.
fn slices(matches: Matches) -> Vec<(Vec<PointId>, Option<PointId>)> {
    // A slice is full by its points or by their bytes; each names the id after its last.
    let Matches { found, next } = matches;
    let (mut slices, mut ids, mut bytes) = (Vec::new(), Vec::new(), 0usize);
    for (id, size) in found {
        if ids.len() == SLICE_POINTS || !ids.is_empty() && bytes.saturating_add(size) > SLICE_BYTES {
            slices.push((std::mem::take(&mut ids), Some(id)));
            bytes = 0;
        }
        ids.push(id);
        bytes = bytes.saturating_add(size);
    }
    slices.push((ids, next));
    slices
}

/// How far a deletion is that has not ended.
pub(in crate::routing) fn under_way(answer: &CallAnswer) -> Option<Progress> {
    let CallAnswer::Written { reply, .. } = answer else { return None };
    match Reply::decode(reply) {
        Ok(Reply::Deleting { begin, count, from }) => Some(Progress { begin, count, from }),
        _ => None,
    }
}

/// Why a slice did nothing, where that leaves something to say: a collection that is gone has nothing left to delete.
fn refused(answer: &CallAnswer) -> Option<CallError> {
    let CallAnswer::Written { reply, .. } = answer else { return None };
    match Reply::decode(reply) {
        Ok(Reply::Refused(Refusal::CollectionNotFound { .. })) => None,
        Ok(Reply::Refused(refusal)) => Some(CallError::Refused(refusal)),
        _ => None,
    }
}

/// An error after `count` points are deleted: it must not pass for one that left everything as it was.
fn unfinished(error: CallError, count: u64) -> CallError {
    match (error, count) {
        (error @ CallError::Indeterminate { .. }, _) | (error, 0) => error,
        // Some points are gone already, so the client must repeat the same request and no other.
        (_, count) => {
            let reason =
                format!("{count} points of this shard are deleted so far; the same request goes on from there");
            CallError::Indeterminate { reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_small_and_together_are_what_was_found() {
        let found: Vec<(PointId, usize)> = (0..2_500).map(|id| (PointId::Num(id), 10)).collect();
        let cut = slices(Matches { found: found.clone(), next: Some(9_000.into()) });
        let sizes: Vec<(usize, Option<PointId>)> = cut.iter().map(|(ids, next)| (ids.len(), *next)).collect();
        assert_eq!(sizes, [(1_000, Some(1_000.into())), (1_000, Some(2_000.into())), (500, Some(9_000.into()))]);
        assert_eq!(cut.concat_ids(), found.into_iter().map(|(id, _)| id).collect::<Vec<_>>());
        let heavy = (0..4).map(|id| (PointId::Num(id), SLICE_BYTES)).collect();
        assert_eq!(slices(Matches { found: heavy, next: None }).len(), 4);
        assert_eq!(slices(Matches::default()), [(vec![], None)], "the end is told all the same");
    }

    #[test]
    fn what_ends_a_deletion_early_does_not_pass_for_nothing_done() {
        let lost = || CallError::NotLeader { leader: Some(2) };
        assert_eq!(unfinished(lost(), 0), lost());
        let CallError::Indeterminate { reason } = unfinished(lost(), 7) else { panic!("seven points are gone") };
        assert!(reason.starts_with("7 points"), "{reason}");
    }

    trait ConcatIds {
        fn concat_ids(&self) -> Vec<PointId>;
    }

    impl ConcatIds for Vec<(Vec<PointId>, Option<PointId>)> {
        fn concat_ids(&self) -> Vec<PointId> {
            self.iter().flat_map(|(ids, _)| ids.iter().copied()).collect()
        }
    }
}
