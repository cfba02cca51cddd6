//! The whole collection as one object: for each point the write that it is from. Pure.

use super::{AnsweredSearch, PointHistory, same};
use crate::judge::check::wgl::SequentialModel;
use crate::judge::history::ops::NEVER;

/// What is done to a collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CollectionOperation {
    /// A point is set to what this write, less one, made it; to nothing with zero.
    Set(usize, u32),
    /// All nearest are shown, to the search of this number.
    Search(usize),
}

/// The collection.
pub struct CollectionModel<'a> {
    pub(super) points: &'a PointHistory,
}

impl SequentialModel for CollectionModel<'_> {
    /// For each point one more than the number of the write that it is from; zero where it is not there.
    type State = Box<[u32]>;
    type Op = CollectionOperation;

    fn init(&self) -> Self::State {
        vec![0; self.points.names.len()].into()
    }

    fn only_reads(&self, op: &CollectionOperation) -> bool {
        matches!(op, CollectionOperation::Search(_))
    }

    fn step(&self, state: &Self::State, op: &CollectionOperation) -> Option<Self::State> {
        match *op {
            CollectionOperation::Set(point, write) => {
                let mut next = state.clone();
                next[point] = write;
                Some(next)
            }
            CollectionOperation::Search(number) => {
                self.top(state, &self.points.searches[number]).then(|| state.clone())
            }
        }
    }
}

impl CollectionModel<'_> {
    /// What a write does. One of unknown end that no search shows is as good as a delete: where it stands, its point is in
    /// no answer, so that it might as well not be there; and many deletes of one point cost the search less than many
    /// different writes.
    pub(super) fn effect(&self, number: usize) -> CollectionOperation {
        let write = &self.points.writes[number];
        let shown = |vector: &Vec<f64>| {
            self.points.searches.iter().any(|asked| {
                let mut hits = asked.hits.iter().filter(|(point, _)| *point == Some(write.point));
                hits.any(|(_, score)| same(asked.distance.score(vector, &asked.query), *score))
            })
        };
        let there = write.vector.as_ref().is_some_and(|vector| write.ret != NEVER || shown(vector));
        CollectionOperation::Set(write.point, if there { number as u32 + 1 } else { 0 })
    }

    fn score(&self, state: &[u32], point: usize, asked: &AnsweredSearch) -> Option<f64> {
        let write = state[point].checked_sub(1)?;
        let vector = self.points.writes[write as usize].vector.as_ref()?;
        Some(asked.distance.score(vector, &asked.query))
    }

    /// Whether the hits are the nearest of this state: with the right scores, as many as there are, and none left out
    /// that is nearer than one of them. Of equally near ones any may be shown.
    fn top(&self, state: &[u32], asked: &AnsweredSearch) -> bool {
        let right = |(point, score): &(Option<usize>, f64)| {
            point.and_then(|point| self.score(state, point, asked)).is_some_and(|should| same(should, *score))
        };
        let live = state.iter().filter(|write| **write != 0).count();
        if asked.hits.len() != live.min(asked.limit) || !asked.hits.iter().all(right) {
            return false;
        }
        let Some((_, worst)) = asked.hits.last() else { return true };
        let nearness = |score| asked.distance.nearness(score);
        (0..state.len()).filter(|point| !asked.hits.iter().any(|(hit, _)| *hit == Some(*point))).all(|point| {
            let left_out = self.score(state, point, asked);
            left_out.is_none_or(|score| nearness(score) <= nearness(*worst) || same(score, *worst))
        })
    }
}
