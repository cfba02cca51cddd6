//! Vectors of one size, side by side.
//!
//! Each vector fills a slot of fixed stride; slots have no holes, so a scan reads nothing it does not need. They lie in
//! chunks, since one growing buffer would be copied whole, under the writer's lock, each time it doubled.

use super::kernel::{Lane, prefer_large};

/// A point's place in its collection; stays the same while the point exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Row(pub(in crate::engine) u32);

/// Lanes of a full chunk, as nearly as whole vectors allow: 16 MiB, so that nearly all of it can lie on large pages.
const CHUNK_LANES: usize = (16 << 20) / size_of::<Lane>();
/// In `slots`: this row has no vector.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Matrix {
    size: usize,
    /// Lanes of one vector.
    stride: usize,
    /// Vectors of a full chunk.
    per_chunk: usize,
    chunks: Vec<Vec<Lane>>,
    /// Which row each slot belongs to.
    rows: Vec<Row>,
    /// Which slot each row has, or [`NONE`].
    slots: Vec<u32>,
}

impl Matrix {
    pub(super) fn new(size: usize) -> Self {
        let stride = Lane::count(size).max(1);
        let per_chunk = (CHUNK_LANES / stride).max(1);
        Self { size, stride, per_chunk, chunks: Vec::new(), rows: Vec::new(), slots: Vec::new() }
    }

    /// Sets the vector of `row`; returns its slot.
    pub(super) fn put(&mut self, row: Row, vector: &[f32]) -> usize {
        let slot = self.slot(row).unwrap_or_else(|| self.grow(row));
        Lane::fill(self.lanes_mut(slot), vector);
        slot
    }

    /// Forgets the vector of `row`: the last slot moves into its place. Returns that place.
    pub(super) fn remove(&mut self, row: Row) -> Option<usize> {
        let slot = self.slot(row)?;
        let last = self.rows.len() - 1;
        if slot != last {
            let (chunk, start) = self.place(last);
            let moved = self.chunks[chunk][start..start + self.stride].to_vec();
            self.lanes_mut(slot).copy_from_slice(&moved);
            self.slots[self.rows[last].0 as usize] = slot as u32;
        }
        self.rows.swap_remove(slot);
        self.slots[row.0 as usize] = NONE;
        let (chunk, start) = self.place(last);
        self.chunks[chunk].truncate(start);
        if start == 0 {
            self.chunks.pop();
        }
        Some(slot)
    }

    pub(super) fn get(&self, row: Row) -> Option<Vec<f32>> {
        let (chunk, start) = self.place(self.slot(row)?);
        let lanes = &self.chunks[chunk][start..start + self.stride];
        Some(lanes.iter().flat_map(|lane| lane.0).take(self.size).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn row(&self, slot: usize) -> Row {
        self.rows[slot]
    }

    /// The vectors in runs of at most `most`: the first slot of the run, and its lanes.
    pub(super) fn runs(&self, most: usize) -> impl Iterator<Item = (usize, &[Lane])> {
        let by_chunk = self.chunks.iter().enumerate();
        by_chunk.flat_map(move |(number, chunk)| {
            let runs = chunk.chunks(most * self.stride).enumerate();
            runs.map(move |(run, lanes)| (number * self.per_chunk + run * most, lanes))
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let lanes: usize = self.chunks.iter().map(Vec::capacity).sum();
        lanes * size_of::<Lane>() + (self.rows.capacity() + self.slots.capacity()) * size_of::<u32>()
    }

    fn slot(&self, row: Row) -> Option<usize> {
        self.slots.get(row.0 as usize).filter(|slot| **slot != NONE).map(|slot| *slot as usize)
    }

    /// Chunk of a slot, and its first lane there.
    fn place(&self, slot: usize) -> (usize, usize) {
        (slot / self.per_chunk, slot % self.per_chunk * self.stride)
    }

    fn lanes_mut(&mut self, slot: usize) -> &mut [Lane] {
        let (chunk, start) = self.place(slot);
        &mut self.chunks[chunk][start..start + self.stride]
    }

    /// Gives `row` a new slot at the end.
    fn grow(&mut self, row: Row) -> usize {
        let slot = self.rows.len();
        let (chunk, start) = self.place(slot);
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::new());
        }
        let full = self.per_chunk * self.stride;
        let lanes = &mut self.chunks[chunk];
        if lanes.capacity() < start + self.stride {
            // Doubling, but never past a full chunk. A new buffer, since one that grows in place keeps its small pages.
            let mut larger = Vec::with_capacity((start * 2).clamp(self.stride, full));
            prefer_large(&larger);
            larger.extend_from_slice(lanes);
            *lanes = larger;
        }
        lanes.resize(start + self.stride, Lane::ZERO);
        self.rows.push(row);
        if self.slots.len() <= row.0 as usize {
            self.slots.resize(row.0 as usize + 1, NONE);
        }
        self.slots[row.0 as usize] = slot as u32;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_like_a_map(size in prop_oneof![1usize..40, Just(5000)], edits in prop::collection::vec((0u32..30, any::<Option<f32>>()), 0..150)) {
            let (mut matrix, mut model) = (Matrix::new(size), BTreeMap::new());
            for (row, value) in edits {
                if let Some(value) = value {
                    matrix.put(Row(row), &vec![value; size]);
                    model.insert(row, value);
                } else {
                    prop_assert_eq!(matrix.remove(Row(row)).is_some(), model.remove(&row).is_some());
                }
            }
            prop_assert_eq!(matrix.len(), model.len());
            for row in 0..30 {
                let bits = |vector: Vec<f32>| vector.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                prop_assert_eq!(matrix.get(Row(row)).map(bits), model.get(&row).map(|value| vec![value.to_bits(); size]));
            }
            let mut seen = Vec::new();
            for (first, lanes) in matrix.runs(7) {
                for (place, lanes) in lanes.chunks(matrix.stride()).enumerate() {
                    let row = matrix.row(first + place);
                    prop_assert_eq!(lanes[0].0[0].to_bits(), model[&row.0].to_bits());
                    seen.push(row.0);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, model.keys().copied().collect::<Vec<_>>());
        }
    }
}
