//! Rows of one length, one after another, that grow at the end and never move far.
//!
//! They lie in chunks, since one growing buffer would be copied whole, under the writer's lock, each time it doubled. A
//! full chunk has a power of two of rows, so that finding a row takes no division.

use crate::kernel::prefer_large;

/// Bytes of a full chunk, at most: nearly all of it can lie on large pages.
pub(crate) const CHUNK_BYTES: usize = 16 << 20;

/// Where rows of a given size lie in chunks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    /// Units of one row.
    pub(crate) stride: usize,
    shift: u32,
}

impl Grid {
    /// For rows of `stride` units of `unit_bytes` each.
    pub(crate) fn new(stride: usize, unit_bytes: usize) -> Self {
        let most = (CHUNK_BYTES / (stride * unit_bytes)).max(1);
        Self { stride, shift: most.ilog2() }
    }

    /// Rows of a full chunk.
    pub(crate) fn per_chunk(self) -> usize {
        1 << self.shift
    }

    /// Chunk of a row, and its first unit there.
    #[inline]
    pub(crate) fn place(self, row: usize) -> (usize, usize) {
        (row >> self.shift, (row & (self.per_chunk() - 1)) * self.stride)
    }

    /// Makes room for one row more in `chunk`: doubling, but never past a full chunk. A new buffer, since one that
    /// grows in place keeps its small pages.
    pub(crate) fn reserve<T>(self, chunk: &mut Vec<T>) {
        let used = chunk.len();
        if chunk.capacity() < used + self.stride {
            let full = self.per_chunk() * self.stride;
            let mut larger = Vec::with_capacity((used * 2).clamp(self.stride, full));
            prefer_large(&larger);
            larger.append(chunk);
            *chunk = larger;
        }
    }
}

/// The rows.
#[derive(Debug)]
pub(crate) struct Strided<T> {
    grid: Grid,
    chunks: Vec<Vec<T>>,
    rows: usize,
}

impl<T> Strided<T> {
    /// Rows of `stride` units, none yet.
    pub(crate) fn new(stride: usize) -> Self {
        Self { grid: Grid::new(stride, size_of::<T>()), chunks: Vec::new(), rows: 0 }
    }

    /// Adds a row of `fill`s.
    pub(crate) fn push(&mut self, fill: impl Fn() -> T) {
        let (number, start) = self.grid.place(self.rows);
        if number == self.chunks.len() {
            self.chunks.push(Vec::new());
        }
        let chunk = &mut self.chunks[number];
        self.grid.reserve(chunk);
        chunk.resize_with(start + self.grid.stride, fill);
        self.rows += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[T] {
        let (chunk, start) = self.grid.place(row);
        &self.chunks[chunk][start..start + self.grid.stride]
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [T] {
        let (chunk, start) = self.grid.place(row);
        &mut self.chunks[chunk][start..start + self.grid.stride]
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(Vec::capacity).sum::<usize>() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_what_was_written_across_chunks() {
        let stride = CHUNK_BYTES / size_of::<u64>() / 4;
        let mut rows = Strided::new(stride);
        for number in 0..11_u64 {
            rows.push(|| 0);
            rows.row_mut(number as usize).fill(number);
        }
        assert_eq!((rows.len(), rows.chunks.len()), (11, 3));
        assert!((0..11).all(|number| rows.row(number).iter().all(|unit| *unit == number as u64)));
    }
}
