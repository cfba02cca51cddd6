//! `quiver ingest`: loads a file of points into a collection, in batches, in parallel, resumably.
//!
//! In: NDJSON (`{"id", "vector", "payload"}` a line), or `.npy` with a file of payloads. Out: points in the cluster, a
//! summary, a list of rejects, and a checkpoint file while it runs.

mod checkpoint;
mod run_journal;
#[cfg(test)]
mod tests;

use super::exit::{Exit, Usage};
use super::target::{Target, seconds};
use crate::api::{Consistency, Distance};
use crate::client::Client;
use crate::client::load::{InputRows, LoadPlan, Matrix, Payloads, create, load, ndjson, open_npy};
use crate::model::words::Words as _;
use crate::output::table::thousands;
use anyhow::Context;
use checkpoint::{Checkpoint, fingerprint};
use run_journal::RunJournal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments of `quiver ingest`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IngestArgs {
    /// Points: .ndjson or .jsonl, `-` for NDJSON from stdin, or .npy. If rows have the same id, the last one counts.
    input: PathBuf,
    /// Collection to load into.
    #[arg(long, short, value_name = "NAME")]
    collection: String,
    /// Payloads of a .npy file, line n for row n: .jsonl or .tsv, plain or .gz.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Added to the row number to make the id of a .npy row.
    #[arg(long, value_name = "N", default_value_t = 0)]
    id_offset: u64,
    /// Create the collection if it does not exist.
    #[arg(long)]
    create: bool,
    /// Components of a vector, for --create [default: the .npy file's, else 384].
    #[arg(long, value_name = "N", requires = "create")]
    size: Option<usize>,
    /// Distance, for --create: cosine, dot, euclid or manhattan [default: cosine].
    #[arg(long, value_name = "NAME", requires = "create", value_parser = Distance::of)]
    distance: Option<Distance>,
    /// Points in one request.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Requests in flight.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
    /// Level of the writes: one, quorum or all [default: the collection's].
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<Consistency>,
    /// Seconds after which a batch that the cluster cannot take now is not tried again. An attempt that is under way is
    /// not cut short, because its outcome would be unknown.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds(0))]
    patience: u64,
    /// Checkpoint file [default: INPUT.COLLECTION.resume; removed when all is done].
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Begin anew, whatever the checkpoint file says.
    #[arg(long)]
    restart: bool,
    /// List rejected rows in this file, as NDJSON with row, id and reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Stop when more rows than this are rejected.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max_rejects: u64,
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  quiver ingest docs.ndjson --collection docs --create --size 384
  quiver ingest wordnet.f16.npy --payload wordnet.tsv.gz --collection wordnet --create --clients 8
  zcat docs.ndjson.gz | quiver ingest - --collection docs --rejects rejects.ndjson

The same command run again after a failure or Ctrl-C goes on where it stopped. Exit code 1: some rows were rejected.";

/// Runs the verb.
pub(crate) async fn run(args: IngestArgs) -> anyhow::Result<Exit> {
    let client = Arc::new(Client::new(&args.target.urls)?);
    // The input is opened and checked before the cluster is changed.
    let checkpoint = args.checkpoint()?;
    let done_before = checkpoint.as_ref().map_or(0, Checkpoint::rows_done);
    let (rows, columns) = args.rows(done_before)?;
    if args.create {
        let patience = Duration::from_secs(args.patience);
        create(&client, &args.collection, args.size.or(columns), args.distance, patience).await?;
    }
    if done_before > 0 {
        eprintln!("ingest: going on after row {}", thousands(done_before));
    }
    // A resumed run adds to the list of rejects; a new run replaces it.
    let rejects = args.rejects.as_deref().map(|path| open_rejects(path, done_before > 0)).transpose()?;
    let mut journal = RunJournal::new(checkpoint, rejects);
    let started = Instant::now();
    // Ctrl-C ends the loading, and the journal then saves how far it came.
    let loading = load(client, args.load(), rows, &mut journal);
    let outcome = tokio::select! {
        outcome = loading => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    journal.close(outcome, &args.collection, started.elapsed())
}

impl IngestArgs {
    fn is_stdin(&self) -> bool {
        self.input == Path::new("-")
    }

    fn is_npy(&self) -> bool {
        self.input.extension().is_some_and(|extension| extension == "npy")
    }

    /// The checkpoint. Stdin has none, because what was read from it cannot be read again.
    fn checkpoint(&self) -> anyhow::Result<Option<Checkpoint>> {
        if self.is_stdin() {
            return Ok(None);
        }
        let files: Vec<&Path> = std::iter::once(&self.input).chain(&self.payload).map(PathBuf::as_path).collect();
        let print = fingerprint(&files, &[&self.collection, &self.id_offset.to_string()]);
        let print = print.with_context(|| format!("cannot read {}", self.input.display()))?;
        let beside = || PathBuf::from(format!("{}.{}.resume", self.input.display(), self.collection));
        Checkpoint::open(self.resume.clone().unwrap_or_else(beside), print, self.restart).map(Some)
    }

    /// The rows from number `skip` on, and the components of a vector if the file says so.
    fn rows(&self, skip: u64) -> anyhow::Result<(InputRows, Option<usize>)> {
        if self.is_npy() {
            let vectors = open_npy(&self.input)?;
            let columns = vectors.columns;
            let payloads = self.payload.as_deref().map(Payloads::open).transpose()?;
            return Ok((Matrix::new(vectors, payloads, self.id_offset, skip)?.rows(), Some(columns)));
        }
        if self.payload.is_some() || self.id_offset > 0 {
            return Err(Usage("--payload and --id-offset go with .npy: lines of NDJSON carry their own".into()).into());
        }
        if self.is_stdin() {
            return Ok((ndjson(std::io::BufReader::new(std::io::stdin()), None, 0)?, None));
        }
        // The size of a file gives the fraction that is done; stdin has none.
        let file = File::open(&self.input).with_context(|| format!("cannot open {}", self.input.display()))?;
        let bytes = file.metadata()?.len();
        let reader = std::io::BufReader::with_capacity(1 << 20, file);
        let rows = ndjson(reader, Some(bytes), skip);
        Ok((rows.with_context(|| self.input.display().to_string())?, None))
    }

    fn load(&self) -> LoadPlan {
        LoadPlan {
            collection: self.collection.clone(),
            batch: self.batch.into(),
            clients: self.clients.into(),
            consistency: self.consistency,
            patience: Duration::from_secs(self.patience),
            max_rejects: self.max_rejects,
        }
    }
}

fn open_rejects(path: &Path, append: bool) -> anyhow::Result<File> {
    let file = File::options().create(true).write(true).append(append).truncate(!append).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}
