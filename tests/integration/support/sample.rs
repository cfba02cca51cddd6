//! The bundled sample: 5,000 WordNet glosses with their embeddings, 100 queries with exact answers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The dimension of the embeddings.
pub const DIMENSION: usize = 384;

/// A query with its exact answer.
pub struct Query {
    /// The query's vector.
    pub vector: Vec<f32>,
    /// The exact ten nearest rows, best first.
    pub top: Vec<u64>,
    /// Their cosines.
    pub scores: Vec<f64>,
}

/// The data directory.
pub fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wordnet-5k")
}

fn rows(file: &str) -> Result<Vec<Vec<f32>>> {
    let path = dir().join(file);
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(bytes.starts_with(b"\x93NUMPY") && (bytes.len() - 128) % DIMENSION == 0, "{file} is not what it was");
    let row = |row: &[u8]| row.iter().map(|byte| f32::from(*byte as i8) / 127.0).collect();
    Ok(bytes[128..].chunks(DIMENSION).map(row).collect())
}

fn lines(file: &str) -> Result<Vec<Value>> {
    let path = dir().join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).context("a line of the sample")).collect()
}

/// Every point of the sample, as `POST /vectors` takes it.
pub fn points() -> Result<Vec<Value>> {
    let (vectors, payloads) = (rows("small-5k.i8.npy")?, lines("small-5k.jsonl")?);
    ensure!(vectors.len() == payloads.len(), "vectors and payloads differ in number");
    let point = |(vector, payload): (Vec<f32>, Value)| serde_json::json!({"id": payload["id"], "vector": vector, "payload": payload});
    Ok(vectors.into_iter().zip(payloads).map(point).collect())
}

/// Every query of the sample.
pub fn queries() -> Result<Vec<Query>> {
    let (vectors, answers) = (rows("small-5k.queries.i8.npy")?, lines("small-5k.queries.jsonl")?);
    let query = |(vector, answer): (Vec<f32>, Value)| -> Result<Query> {
        let top = answer["top10"].as_array().context("no top10")?.iter().filter_map(Value::as_u64).collect();
        let scores = answer["scores"].as_array().context("no scores")?.iter().filter_map(Value::as_f64).collect();
        Ok(Query { vector, top, scores })
    };
    vectors.into_iter().zip(answers).map(query).collect()
}
