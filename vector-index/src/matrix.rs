//! The vectors themselves, by slot, without loss.
//!
//! A chunk keeps its vectors in 16 bits a component as long as none of them loses anything by it (embeddings often come
//! out of models, and files, in 16 bits), and in 32 from the first one on that would. Scores do not depend on which:
//! see the kernel.

use crate::kernel::{FloatLane, HalfLane, VectorRows};
use crate::strided::Grid;

#[derive(Debug)]
pub(crate) struct VectorMatrix {
    size: usize,
    grid: Grid,
    chunks: Vec<Chunk>,
    rows: usize,
}

#[derive(Debug)]
enum Chunk {
    Whole(Vec<FloatLane>),
    Half(Vec<HalfLane>),
}

impl VectorMatrix {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, grid: Grid::new(FloatLane::count(size), size_of::<FloatLane>()), chunks: Vec::new(), rows: 0 }
    }

    /// Sets the vector of `slot`, which is an old one or the next.
    pub(crate) fn put(&mut self, slot: usize, vector: &[f32]) {
        let mut lanes = vec![FloatLane::ZERO; self.grid.stride];
        FloatLane::fill(&mut lanes, vector);
        let (number, start) = self.grid.place(slot);
        if number == self.chunks.len() {
            self.chunks.push(Chunk::Half(Vec::new()));
        }
        self.rows = self.rows.max(slot + 1);
        // In 16 bits as long as nothing is lost; the first vector that would lose widens the whole chunk.
        let chunk = &mut self.chunks[number];
        if let Chunk::Half(old) = chunk {
            let halves: Vec<HalfLane> = lanes.iter().map_while(HalfLane::exactly).collect();
            if halves.len() == lanes.len() {
                return set(self.grid, old, start, &halves, HalfLane::ZERO);
            }
            // A new buffer, since large pages are asked for before it is filled.
            let mut whole = Vec::with_capacity(old.capacity());
            crate::kernel::prefer_large(&whole);
            whole.extend(old.iter().map(HalfLane::widen));
            *chunk = Chunk::Whole(whole);
        }
        if let Chunk::Whole(whole) = chunk {
            set(self.grid, whole, start, &lanes, FloatLane::ZERO);
        }
    }

    /// Makes room for `rows` vectors, all zeros, of none yet.
    pub(crate) fn reserve(&mut self, rows: usize) {
        for first in (0..rows).step_by(self.grid.per_chunk()) {
            let here = (rows - first).min(self.grid.per_chunk());
            let mut halves = Vec::with_capacity(here * self.grid.stride);
            crate::kernel::prefer_large(&halves);
            halves.resize(here * self.grid.stride, HalfLane::ZERO);
            self.chunks.push(Chunk::Half(halves));
        }
        self.rows = rows;
    }

    /// The vector of `slot`, bit for bit.
    pub(crate) fn get(&self, slot: usize) -> Vec<f32> {
        let lanes = self.row(slot).widened();
        lanes.iter().flat_map(|lane| lane.0).take(self.size).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Lanes of one vector.
    pub(crate) fn stride(&self) -> usize {
        self.grid.stride
    }

    #[inline]
    pub(crate) fn row(&self, slot: usize) -> VectorRows<'_> {
        let (chunk, start) = self.grid.place(slot);
        self.chunks[chunk].rows().part(start, start + self.grid.stride)
    }

    /// The vectors in runs of at most `most`: the first slot of the run, and its rows.
    pub(crate) fn runs(&self, most: usize) -> impl Iterator<Item = (usize, VectorRows<'_>)> {
        self.chunks.iter().enumerate().flat_map(move |(number, chunk)| {
            let (rows, stride) = (chunk.rows(), self.grid.stride);
            let run = most * stride;
            (0..rows.lanes()).step_by(run).map(move |start| {
                let first = number * self.grid.per_chunk() + start / stride;
                (first, rows.part(start, (start + run).min(rows.lanes())))
            })
        })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let bytes = |chunk: &Chunk| match chunk {
            Chunk::Whole(lanes) => lanes.capacity() * size_of::<FloatLane>(),
            Chunk::Half(lanes) => lanes.capacity() * size_of::<HalfLane>(),
        };
        self.chunks.iter().map(bytes).sum()
    }
}

impl Chunk {
    #[inline]
    fn rows(&self) -> VectorRows<'_> {
        match self {
            Self::Whole(lanes) => VectorRows::Whole(lanes),
            Self::Half(lanes) => VectorRows::Half(lanes),
        }
    }
}

/// Writes a row into a chunk, at its end or over an old one.
fn set<T: Copy>(grid: Grid, chunk: &mut Vec<T>, start: usize, row: &[T], zero: T) {
    if start == chunk.len() {
        grid.reserve(chunk);
        chunk.resize(start + row.len(), zero);
    }
    chunk[start..start + row.len()].copy_from_slice(row);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_back_every_bit(size in prop_oneof![1usize..40, Just(50_000)], edits in prop::collection::vec((0usize..30, prop_oneof![(-8i16..8).prop_map(f32::from), any::<f32>()]), 0..150)) {
            let (mut matrix, mut model) = (VectorMatrix::new(size), Vec::new());
            for (slot, value) in edits {
                let slot = slot.min(model.len());
                if slot == model.len() {
                    model.push(value);
                }
                model[slot] = value;
                matrix.put(slot, &vec![value; size]);
            }
            prop_assert_eq!(matrix.len(), model.len());
            let mut seen = 0;
            for (first, rows) in matrix.runs(7) {
                prop_assert_eq!(first, seen);
                for row in rows.widened().chunks(matrix.stride()) {
                    prop_assert_eq!(row[0].0[0].to_bits(), model[seen].to_bits());
                    seen += 1;
                }
            }
            prop_assert_eq!(seen, model.len());
            for (slot, value) in model.iter().enumerate() {
                prop_assert!(matrix.get(slot).iter().all(|part| part.to_bits() == value.to_bits()));
                prop_assert_eq!(matrix.get(slot).len(), size);
            }
        }
    }

    #[test]
    fn one_long_component_widens_one_chunk() {
        let mut matrix = VectorMatrix::new(16);
        let per_chunk = matrix.grid.per_chunk();
        for slot in 0..per_chunk + 1 {
            matrix.put(slot, &[1.5; 16]);
        }
        let before = matrix.memory_bytes();
        matrix.put(per_chunk, &[0.1; 16]);
        assert!(matches!(matrix.row(0), VectorRows::Half(_)) && matches!(matrix.row(per_chunk), VectorRows::Whole(_)));
        assert!(matrix.memory_bytes() < before + before / 100);
    }
}
