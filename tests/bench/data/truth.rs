//! Exact answers, and how much of an answer is right.
//!
//! Hits are judged by score. A hit is right if its cosine reaches that of the tenth exact answer. The cosine is
//! computed here in f64 from the vectors that were sent. So equal vectors under different ids cost nothing, and a wrong
//! score gains nothing.

use anyhow::{Context, ensure};
use std::path::Path;

/// How many results are asked for and judged.
pub(crate) const TOP: usize = 10;
/// Cosines that differ by less than this are equal, because the store's are f32.
const TIE: f64 = 1e-6;

/// For each query, the ids of its nearest points, best first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth(pub(crate) Vec<Vec<u64>>);

impl Truth {
    /// Reads an `.npy` file of little-endian int32 ids: one row for each query, at least ten columns.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&bytes).with_context(|| path.display().to_string())
    }

    /// The reader of the points' files knows vectors only. So this function reads what it needs of the header.
    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        ensure!(bytes.starts_with(b"\x93NUMPY\x01") && bytes.len() > 10, "not a .npy file of version 1");
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let header = String::from_utf8_lossy(bytes.get(10..start).context("the file ends within its header")?);
        ensure!(header.contains("'<i4'") && header.contains("False"), "not int32 in C order: {header}");
        // The shape is `(queries, columns)`.
        let columns = header.split_once(", ").and_then(|_| header.rsplit_once('(')?.1.split([',', ')']).nth(1));
        let columns: usize = columns.context("no shape of two dimensions")?.trim().parse()?;
        ensure!(columns >= TOP, "{columns} answers a query are too few");
        let (numbers, _) = bytes[start..].as_chunks::<4>();
        let ids = numbers.iter().map(|number| u64::try_from(i32::from_le_bytes(*number)));
        let ids: Vec<u64> = ids.collect::<Result<_, _>>().context("an id is negative")?;
        Ok(Self(ids.chunks_exact(columns).map(|row| row.to_vec()).collect()))
    }

    /// For each query, the ten nearest among the points 0 to `points`. Returns `None` if some query lists too few of
    /// them.
    pub(crate) fn among_first(&self, points: u64) -> Option<Self> {
        let nearest = |row: &Vec<u64>| -> Option<Vec<u64>> {
            let ten: Vec<u64> = row.iter().copied().filter(|id| *id < points).take(TOP).collect();
            (ten.len() == TOP).then_some(ten)
        };
        self.0.iter().map(nearest).collect::<Option<_>>().map(Self)
    }
}

/// The ten points of `ids` that are nearest to `query`. Equally near ones are in the order of their ids.
pub(crate) fn exact<'a>(query: &[f32], ids: impl Iterator<Item = u64>, vector: impl Fn(u64) -> &'a [f32]) -> Vec<u64> {
    let mut ranked: Vec<(f64, u64)> = ids.map(|id| (cosine(query, vector(id)), id)).collect();
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    ranked.into_iter().take(TOP).map(|(_, id)| id).collect()
}

/// How many of the hits are right, by score. A hit that comes twice counts once.
pub(crate) fn right<'a>(query: &[f32], exact: &[u64], hits: &[u64], vector: impl Fn(u64) -> &'a [f32]) -> usize {
    let tenth = exact.iter().map(|id| cosine(query, vector(*id))).fold(f64::INFINITY, f64::min);
    let mut distinct = hits.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.iter().filter(|id| cosine(query, vector(**id)) >= tenth - TIE).count().min(exact.len())
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let (mut product, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (f64::from(*left), f64::from(*right));
        product += left * right;
        left_square += left * left;
        right_square += right * right;
    }
    product / (left_square * right_square).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f32; 2]; 12] = [
        [1.0, 0.0],
        [1.0, 0.1],
        [1.0, 0.2],
        [1.0, 0.3],
        [1.0, 0.4],
        [1.0, 0.5],
        [1.0, 0.6],
        [1.0, 0.7],
        [1.0, 0.8],
        [1.0, 0.9],
        [2.0, 1.8],
        [0.0, 1.0],
    ];

    #[test]
    fn a_tie_is_right_and_a_repeated_or_farther_point_is_not() {
        let vector = |id: u64| ROWS[id as usize].as_slice();
        let truth = exact(&[1.0, 0.0], 0..12, vector);
        assert_eq!(truth, (0..10).collect::<Vec<_>>());
        let judge = |last| right(&[1.0, 0.0], &truth, &[0, 1, 2, 3, 4, 5, 6, 7, 8, last], vector);
        assert_eq!((judge(9), judge(10), judge(11), judge(8)), (10, 10, 9, 9));
    }

    #[test]
    fn ids_are_read_from_int32() {
        let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 11), }\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend((0..22_i32).flat_map(i32::to_le_bytes));
        let truth = Truth::parse(&bytes).unwrap();
        assert_eq!(truth, Truth(vec![(0..11).collect(), (11..22).collect()]));
        assert_eq!(truth.among_first(20), None);
        let front = Truth(vec![vec![90, 8, 7, 6, 5, 4, 3, 2, 1, 0, 9, 20]]);
        assert_eq!(front.among_first(30), Some(Truth(vec![vec![8, 7, 6, 5, 4, 3, 2, 1, 0, 9]])));
        assert!(Truth::parse(b"PK").is_err());
    }
}
