//! The bundled sample: 5,000 WordNet synsets as real sentence embeddings, 100 queries with their exact answers.
//!
//! It is compiled into the binary (2.9 MB), so that the tour works without any other file. Its licence is in
//! `tests/data/wordnet-5k/NOTICE`.

use crate::client::load::{InputRows, Matrix, Npy, Payloads};
use anyhow::Context;
use serde::Deserialize;
use std::io::Cursor;

const VECTORS: &[u8] = include_bytes!("../../../tests/data/wordnet-5k/small-5k.i8.npy");
const PAYLOADS: &str = include_str!("../../../tests/data/wordnet-5k/small-5k.jsonl");
const QUERY_VECTORS: &[u8] = include_bytes!("../../../tests/data/wordnet-5k/small-5k.queries.i8.npy");
const QUERIES: &str = include_str!("../../../tests/data/wordnet-5k/small-5k.queries.jsonl");

/// A query: its text, its vector, and the exact answer.
pub(crate) struct Example {
    /// The text that was embedded.
    pub(crate) text: String,
    /// `definition` or `sentence`.
    pub(crate) kind: String,
    /// Its embedding.
    pub(crate) vector: Vec<f32>,
    /// The ten nearest ids, best first.
    pub(crate) top10: Vec<u64>,
    /// Their cosines, best first, rounded to five digits.
    pub(crate) scores: Vec<f32>,
}

/// The points from row `skip` on, the number of all points (5,000), and the components of a vector (384).
pub(crate) fn points(skip: u64) -> anyhow::Result<(InputRows, u64, usize)> {
    let vectors = Npy::open(Cursor::new(VECTORS))?;
    let (rows, columns) = (vectors.rows, vectors.columns);
    Ok((Matrix::new(vectors, Some(Payloads::embedded(PAYLOADS)), 0, skip)?.rows(), rows, columns))
}

/// The 100 queries.
pub(crate) fn examples() -> anyhow::Result<Vec<Example>> {
    #[derive(Deserialize)]
    struct Line {
        text: String,
        kind: String,
        top10: Vec<u64>,
        scores: Vec<f32>,
    }
    let mut vectors = Npy::open(Cursor::new(QUERY_VECTORS))?;
    // Lines and vectors are in the same order.
    let read = |line: &str| {
        let Line { text, kind, top10, scores } = serde_json::from_str(line)?;
        Ok(Example { text, kind, vector: vectors.next_row()?, top10, scores })
    };
    QUERIES.lines().map(read).collect::<anyhow::Result<_>>().context("the bundled queries are damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_whole_and_its_answers_are_exact() {
        let unit = |vector: &[f32]| {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter().map(|x| x / length).collect::<Vec<_>>()
        };
        let (rows, count, columns) = points(0).unwrap();
        let vectors: Vec<Vec<f32>> = rows
            .map(|row| {
                let point = row.unwrap().point.unwrap();
                assert!(point.payload.unwrap().contains_key("gloss"));
                unit(&point.vector.into_named()[""])
            })
            .collect();
        assert_eq!((vectors.len() as u64, count, columns), (5_000, 5_000, 384));
        let examples = examples().unwrap();
        assert_eq!(examples.len(), 100);
        for example in &examples {
            let query = unit(&example.vector);
            let cosine = |id: usize| vectors[id].iter().zip(&query).map(|(a, b)| a * b).sum::<f32>();
            for (id, score) in example.top10.iter().zip(&example.scores) {
                assert!((cosine(*id as usize) - score).abs() < 1e-4, "{}", example.text);
            }
            let tenth = example.scores[9] + 1e-4;
            assert!((0..5_000).filter(|id| cosine(*id) > tenth).count() < 10, "{}", example.text);
        }
    }
}
