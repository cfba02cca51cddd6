//! Vectors, labels, queries and exact answers. They are the files of `--data`, or the sample in `tests/data` repeated
//! under new ids.
//!
//! In: a directory. Out: points, searches, and the exact answers among the first points, however many. Sends nothing.

use super::parts::{Label, PARTS, Part, read_labels};
use super::truth::{TOP, Truth, exact};
use anyhow::{Context, ensure};
use quiver::api::{PointId, PointInput, Search, SearchParams, VectorValue, WithPayload, WithVector};
use quiver::client::load::{Payloads, open_npy};
use std::collections::BTreeMap;
use std::path::Path;

/// The directory of the sample.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/wordnet-5k");
/// For how many queries exact answers are computed here, if no file has them.
const COMPUTED: usize = 100;

/// Everything a run reads.
pub(crate) struct Corpus {
    /// A description for people.
    pub(crate) name: String,
    /// Components of a vector.
    pub(crate) columns: usize,
    /// The numbers of all rows, one row after the other.
    numbers: Vec<f32>,
    /// The label of each row.
    labels: Vec<Label>,
    queries: Vec<Vec<f32>>,
    /// The exact answers over all rows that files have, by the name of the part. The empty name stands for all points.
    listed: BTreeMap<&'static str, Truth>,
}

impl Corpus {
    /// Reads the files of a directory.
    ///
    /// # Errors
    /// A file is missing or not as expected, or the files do not fit together.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
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
        // Every list must answer every query, in the same order.
        for (name, truth) in &listed {
            ensure!(truth.0.len() == queries.len(), "{} queries, {} answers {name}", queries.len(), truth.0.len());
        }
        let name = format!("{} from {}", rows(&numbers, columns), dir.display());
        Ok(Self { name, columns, numbers, labels, queries, listed })
    }

    /// Reads the sample in `tests/data`, which `quiver tour` bundles.
    pub(crate) fn sample() -> anyhow::Result<Self> {
        let dir = Path::new(SAMPLE);
        let (columns, numbers) = matrix(&dir.join("small-5k.i8.npy"))?;
        let (_, queries) = matrix(&dir.join("small-5k.queries.i8.npy"))?;
        let mut payloads = Payloads::open(&dir.join("small-5k.jsonl"))?;
        let label = |row| {
            let payload = payloads.next(row)?.map_err(anyhow::Error::msg)?;
            Label::of(&payload).context("the points of the sample have a category and a bucket")
        };
        let labels = (0..(numbers.len() / columns) as u64).map(label).collect::<anyhow::Result<_>>()?;
        let queries = queries.chunks(columns).map(<[f32]>::to_vec).collect();
        let name = format!("the bundled {}, repeated under new ids (no --data)", rows(&numbers, columns));
        Ok(Self { name, columns, numbers, labels, queries, listed: BTreeMap::new() })
    }

    /// How many different rows there are. Later points repeat them.
    pub(crate) fn rows(&self) -> u64 {
        (self.numbers.len() / self.columns) as u64
    }

    /// The vector of a point.
    pub(crate) fn vector(&self, id: u64) -> &[f32] {
        let start = (id % self.rows()) as usize * self.columns;
        &self.numbers[start..start + self.columns]
    }

    /// The query of this number.
    pub(crate) fn query(&self, number: u64) -> &[f32] {
        &self.queries[(number % self.queries.len() as u64) as usize]
    }

    /// Those of the points 0 to `points` that are in a part. Without a part, all of them.
    pub(crate) fn ids(&self, points: u64, part: Option<&Part>) -> impl Iterator<Item = u64> {
        let has = move |id: &u64| part.is_none_or(|part| part.has(&self.labels[(id % self.rows()) as usize]));
        (0..points).filter(has)
    }

    /// A point as it is written: its vector, and its labels as payload.
    pub(crate) fn point(&self, id: u64) -> PointInput {
        let payload = Some(self.labels[(id % self.rows()) as usize].payload());
        let vector = VectorValue::Single(self.vector(id).to_vec());
        PointInput { id: PointId::Num(id), vector, payload, if_version: None }
    }

    /// An exact search for the nearest of a query.
    pub(crate) fn search(&self, collection: &str, number: u64) -> Search {
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

    /// The exact answers among the points 0 to `points`, or among those of them that are in a part; and a phrase that
    /// says where the answers come from.
    pub(crate) fn truth(&self, points: u64, part: Option<&Part>) -> (Truth, &'static str) {
        // The files' answers hold only as long as no row is repeated.
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

/// Reads a whole matrix: the components of a row, and the numbers of all rows.
fn matrix(path: &Path) -> anyhow::Result<(usize, Vec<f32>)> {
    let mut file = open_npy(path)?;
    let mut numbers = Vec::with_capacity(file.rows as usize * file.columns);
    for _ in 0..file.rows {
        numbers.extend(file.next_row().with_context(|| format!("cannot read {}", path.display()))?);
    }
    ensure!(!numbers.is_empty(), "{} is empty", path.display());
    Ok((file.columns, numbers))
}
