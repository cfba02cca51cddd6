//! Vectors, queries and exact answers: the files of `--data`, or the bundled sample repeated under new ids.

use super::truth::{TOP, Truth, exact};
use crate::api::{PointId, PointInput, Search, SearchParams, VectorValue, WithPayload, WithVector};
use crate::cli::demo;
use crate::cli::ingest::open_npy;
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;

/// Queries whose exact answers are computed here, where no file has them.
const COMPUTED: usize = 100;

/// Everything a run reads.
pub(super) struct Corpus {
    /// What it is, for people.
    pub(super) name: String,
    /// Components of a vector.
    pub(super) columns: usize,
    /// All rows, one after the other.
    numbers: Vec<f32>,
    queries: Vec<Vec<f32>>,
    /// Exact answers over all rows, where a file has them.
    listed: Option<Truth>,
}

impl Corpus {
    /// The files of a directory.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let (columns, numbers) = matrix(&dir.join("wordnet-100k.f16.npy"))?;
        let (width, queries) = matrix(&dir.join("queries-1k.f16.npy"))?;
        ensure!(columns == width, "vectors have {columns} components and queries {width}");
        let queries: Vec<Vec<f32>> = queries.chunks(columns).map(<[f32]>::to_vec).collect();
        let listed = Truth::read(&dir.join("groundtruth-1k.npy"))?;
        ensure!(listed.0.len() == queries.len(), "{} queries have {} answers", queries.len(), listed.0.len());
        let name = format!("{} from {}", rows(&numbers, columns), dir.display());
        Ok(Self { name, columns, numbers, queries, listed: Some(listed) })
    }

    /// The bundled sample.
    pub(super) fn bundled() -> anyhow::Result<Self> {
        let (points, _, columns) = demo::points(0)?;
        let mut numbers = Vec::new();
        for row in points {
            let point = row?.point.map_err(anyhow::Error::msg)?;
            let vector = point.vector.into_named().remove("").context("the bundled points have one vector")?;
            numbers.extend(vector);
        }
        let queries = demo::examples()?.into_iter().map(|example| example.vector).collect();
        let name = format!("the bundled {}, repeated under new ids (no --data)", rows(&numbers, columns));
        Ok(Self { name, columns, numbers, queries, listed: None })
    }

    /// Rows that differ.
    pub(super) fn rows(&self) -> u64 {
        (self.numbers.len() / self.columns) as u64
    }

    /// The vector of a point.
    pub(super) fn vector(&self, id: u64) -> &[f32] {
        let start = (id % self.rows()) as usize * self.columns;
        &self.numbers[start..start + self.columns]
    }

    /// The query of this number.
    pub(super) fn query(&self, number: u64) -> &[f32] {
        &self.queries[(number % self.queries.len() as u64) as usize]
    }

    /// A point as it is written: its vector and a payload of one small number.
    pub(super) fn point(&self, id: u64) -> PointInput {
        let payload = json!({ "bucket": id % 100 }).as_object().cloned();
        let vector = VectorValue::Single(self.vector(id).to_vec());
        PointInput { id: PointId::Num(id), vector, payload, if_version: None }
    }

    /// A search for the nearest of a query, exactly.
    pub(super) fn search(&self, collection: &str, number: u64) -> Search {
        Search {
            collection: collection.into(),
            vector: Some(self.query(number).to_vec()),
            id: None,
            using: None,
            limit: TOP,
            offset: 0,
            filter: None,
            score_threshold: None,
            with_payload: WithPayload::All(false),
            with_vector: WithVector::All(false),
            params: SearchParams { exact: true, ..SearchParams::default() },
            consistency: None,
            after: None,
            max_staleness_ms: None,
            timeout_ms: None,
            allow_partial: false,
            explain: false,
        }
    }

    /// The exact answers over the points 0 to `points`, and where they come from.
    pub(super) fn truth(&self, points: u64) -> (Truth, &'static str) {
        match &self.listed {
            Some(listed) if points == self.rows() => (listed.clone(), "groundtruth-1k.npy"),
            _ => {
                let queries = self.queries.iter().take(COMPUTED);
                (Truth(queries.map(|query| exact(query, points, |id| self.vector(id))).collect()), "computed here")
            }
        }
    }
}

fn rows(numbers: &[f32], columns: usize) -> String {
    format!("{} x {columns} vectors", numbers.len() / columns)
}

/// A whole matrix: components of a row, and all rows.
fn matrix(path: &Path) -> anyhow::Result<(usize, Vec<f32>)> {
    let mut file = open_npy(path)?;
    let mut numbers = Vec::with_capacity(file.rows as usize * file.columns);
    for _ in 0..file.rows {
        numbers.extend(file.next_row().with_context(|| format!("cannot read {}", path.display()))?);
    }
    ensure!(!numbers.is_empty(), "{} is empty", path.display());
    Ok((file.columns, numbers))
}
