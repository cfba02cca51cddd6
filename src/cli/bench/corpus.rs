//! Vectors, labels, queries and exact answers: the files of `--data`, or the bundled sample repeated under new ids.

use super::parts::{Label, PARTS, Part, read_labels};
use super::truth::{TOP, Truth, exact};
use crate::api::{PointId, PointInput, Search, SearchParams, VectorValue, WithPayload, WithVector};
use crate::cli::ingest::open_npy;
use crate::cli::tour;
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
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
    /// By row.
    labels: Vec<Label>,
    queries: Vec<Vec<f32>>,
    /// Exact answers over all rows, where files have them: by the name of the part, under no name those among all.
    listed: BTreeMap<&'static str, Truth>,
}

impl Corpus {
    /// The files of a directory.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let (columns, numbers) = matrix(&dir.join("wordnet-100k.f16.npy"))?;
        let (width, queries) = matrix(&dir.join("queries-1k.f16.npy"))?;
        ensure!(columns == width, "vectors have {columns} components and queries {width}");
        let queries: Vec<Vec<f32>> = queries.chunks(columns).map(<[f32]>::to_vec).collect();
        let labels = read_labels(&dir.join("wordnet-100k.tsv.gz"))?;
        ensure!(labels.len() * columns == numbers.len(), "{} rows have labels, not all", labels.len());
        let mut listed = BTreeMap::from([("", Truth::read(&dir.join("groundtruth-1k.npy"))?)]);
        for part in &PARTS {
            listed.insert(part.name, Truth::read(&dir.join(format!("groundtruth-1k.{}.npy", part.name)))?);
        }
        for (name, truth) in &listed {
            ensure!(truth.0.len() == queries.len(), "{} queries, {} answers {name}", queries.len(), truth.0.len());
        }
        let name = format!("{} from {}", rows(&numbers, columns), dir.display());
        Ok(Self { name, columns, numbers, labels, queries, listed })
    }

    /// The bundled sample.
    pub(super) fn bundled() -> anyhow::Result<Self> {
        let (points, _, columns) = tour::points(0)?;
        let (mut numbers, mut labels) = (Vec::new(), Vec::new());
        for row in points {
            let point = row?.point.map_err(anyhow::Error::msg)?;
            let label = point.payload.as_ref().and_then(Label::of);
            labels.push(label.context("the bundled points have a category and a bucket")?);
            let vector = point.vector.into_named().remove("").context("the bundled points have one vector")?;
            numbers.extend(vector);
        }
        let queries = tour::examples()?.into_iter().map(|example| example.vector).collect();
        let name = format!("the bundled {}, repeated under new ids (no --data)", rows(&numbers, columns));
        Ok(Self { name, columns, numbers, labels, queries, listed: BTreeMap::new() })
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

    /// Those of the points 0 to `points` that are in a part; all of them, where none is named.
    pub(super) fn ids(&self, points: u64, part: Option<&Part>) -> impl Iterator<Item = u64> {
        let has = move |id: &u64| part.is_none_or(|part| part.has(&self.labels[(id % self.rows()) as usize]));
        (0..points).filter(has)
    }

    /// A point as it is written: its vector, and its labels as payload.
    pub(super) fn point(&self, id: u64) -> PointInput {
        let payload = Some(self.labels[(id % self.rows()) as usize].payload());
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

    /// The exact answers among the points 0 to `points`, or those of them in a part, and where they come from.
    pub(super) fn truth(&self, points: u64, part: Option<&Part>) -> (Truth, &'static str) {
        let listed = self.listed.get(part.map_or("", |part| part.name)).filter(|_| points <= self.rows());
        if let Some(truth) = listed.and_then(|listed| listed.among_first(points)) {
            return (truth, "the data's own");
        }
        let ids: Vec<u64> = self.ids(points, part).collect();
        let nearest = |query: &Vec<f32>| exact(query, ids.iter().copied(), |id| self.vector(id));
        (Truth(self.queries.iter().take(COMPUTED).map(nearest).collect()), "computed here")
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
