//! The points and queries of a bench: a directory of real embeddings, or the bundled sample repeated to size.

use crate::cli::demo::{examples, points};
use crate::cli::ingest::{Matrix, Payloads, Rows, open_npy};
use crate::cli::table::thousands;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};

/// Where the points come from.
enum Source {
    /// A matrix, and its payloads where there are any.
    Files { vectors: PathBuf, payloads: Option<PathBuf> },
    /// The bundled sample, again and again.
    Bundle { rows: u64 },
}

/// Points and queries.
pub(super) struct Corpus {
    source: Source,
    label: String,
    points: u64,
    size: usize,
    queries: Vec<Vec<f32>>,
}

impl Corpus {
    /// The corpus in `dir`, or the bundled one, with `wanted` points (fewer where the directory has fewer).
    pub(super) fn open(dir: Option<&Path>, wanted: u64) -> anyhow::Result<Self> {
        match dir {
            Some(dir) => Self::from_files(dir, wanted),
            None => Self::from_bundle(wanted),
        }
    }

    fn from_files(dir: &Path, wanted: u64) -> anyhow::Result<Self> {
        let vectors = dir.join("wordnet-100k.f16.npy");
        let matrix = open_npy(&vectors)?;
        let (points, size) = (wanted.min(matrix.rows), matrix.columns);
        let mut asked = open_npy(&dir.join("queries-1k.f16.npy"))?;
        ensure!(asked.columns == size, "queries have {} components, vectors {size}", asked.columns);
        let queries =
            (0..asked.rows).map(|_| asked.next_row()).collect::<Result<_, _>>().context("cannot read the queries")?;
        let payloads = Some(dir.join("wordnet-100k.tsv.gz")).filter(|path| path.exists());
        let payload = if payloads.is_some() { "with payloads" } else { "without payloads" };
        let label = format!("Corpus: {} real embeddings of {size} components, {payload}.", thousands(points));
        Ok(Self { source: Source::Files { vectors, payloads }, label, points, size, queries })
    }

    fn from_bundle(wanted: u64) -> anyhow::Result<Self> {
        let (_, rows, size) = points(0)?;
        let queries = examples()?.into_iter().map(|example| example.vector).collect();
        let label = format!(
            "Corpus: {} points of {size} components, with payloads: the bundled {} embeddings REPEATED under new ids (--data DIR for real ones).",
            thousands(wanted),
            thousands(rows)
        );
        Ok(Self { source: Source::Bundle { rows }, label, points: wanted, size, queries })
    }

    /// What to say of it.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// How many points it has; their ids are 0 to this.
    pub(super) fn points(&self) -> u64 {
        self.points
    }

    /// Components of a vector.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Vectors to search for.
    pub(super) fn queries(&self) -> &[Vec<f32>] {
        &self.queries
    }

    /// The rows `from` to `to`, `to` left out.
    pub(super) fn rows(&self, from: u64, to: u64) -> anyhow::Result<Rows> {
        let rows: Rows = match &self.source {
            Source::Files { vectors, payloads } => {
                let payloads = payloads.as_deref().map(Payloads::open).transpose()?;
                Matrix::new(open_npy(vectors)?, payloads, 0, from)?.rows()
            }
            Source::Bundle { rows } => repeated(*rows, from, to)?,
        };
        let fraction = move |number: u64| Some((number + 1 - from) as f64 / (to - from) as f64);
        let placed =
            rows.map(move |row| row.map(|row| crate::cli::ingest::Row { fraction: fraction(row.number), ..row }));
        Ok(Box::new(placed.take((to - from) as usize)))
    }
}

/// The bundle again and again, each time under ids of its own.
fn repeated(bundle: u64, from: u64, to: u64) -> anyhow::Result<Rows> {
    let mut times = Vec::new();
    for time in from / bundle..to.div_ceil(bundle) {
        let skip = from.saturating_sub(time * bundle);
        let (rows, _, _) = points(skip)?;
        times.push(rows.map(move |row| row.map(|row| row.shifted(time * bundle))));
    }
    Ok(Box::new(times.into_iter().flatten()))
}
