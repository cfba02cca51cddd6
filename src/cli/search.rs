//! `quiver search`: finds what is near a stored point or a given vector, and prints it as a table or as JSON.
//!
//! In: a target, a filter, a level. Out: one request of the API and its hits. Knows no shard.

use super::exit::{Exit, Usage};
use super::target::Target;
use crate::api::{Consistency, Hit, PointId, Search, SearchParams, Searched, WithPayload, WithVector};
use crate::client::load::open_npy;
use crate::output::answers::{evidence, plain_text};
use crate::output::stdout;
use crate::output::table::Table;
use anyhow::Context;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: the server's answer as it is.
    Json,
}

/// Arguments of `quiver search`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    /// Collection to search.
    collection: String,
    #[command(flatten)]
    query: Query,
    /// Row of the .npy file that --vector-file names.
    #[arg(long, value_name = "N", default_value_t = 0)]
    row: u64,
    /// Name of the vector to compare with [default: the default vector].
    #[arg(long, value_name = "NAME")]
    using: Option<String>,
    /// Results wanted.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Best results to skip.
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,
    /// Only points that pass, as JSON in Qdrant's grammar.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// Only results at least this near.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    score_threshold: Option<f32>,
    /// Payload members to show, separated by commas [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    fields: Option<Vec<String>>,
    /// Level of the read: one, quorum or all [default: the collection's].
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<Consistency>,
    /// Read at least the state that this token of a write stands for.
    #[arg(long, value_name = "TOKEN")]
    after: Option<String>,
    /// Compare with every point instead of asking the index.
    #[arg(long)]
    exact: bool,
    /// How to print the answer.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Query {
    /// Find what is near this point.
    #[arg(long, value_name = "ID")]
    id: Option<PointId>,
    /// Find what is near this vector, a JSON array.
    #[arg(long, value_name = "JSON")]
    vector: Option<String>,
    /// Find what is near the vector in this file: a JSON array, or .npy with --row.
    #[arg(long, value_name = "FILE")]
    vector_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  quiver search wordnet --id 7
  quiver search wordnet --id 7 --consistency one --limit 3 --fields lemmas,gloss
  quiver search wordnet --id 7 --filter '{\"must\":[{\"key\":\"pos\",\"match\":{\"value\":\"verb\"}}]}'
  quiver search wordnet --vector-file queries.npy --row 12 -o json";

/// Runs the verb.
pub(crate) async fn run(args: SearchArgs) -> anyhow::Result<Exit> {
    let client = args.target.client()?;
    let (output, search) = (args.output, args.search()?);
    // Programs get every member of the answer, also those that this release does not know.
    if output == Output::Json {
        let answer: Value = client.ask("/search", &search).await?;
        stdout::line(serde_json::to_string_pretty(&answer)?)?;
        return Ok(Exit::Ok);
    }
    let answer: Searched = client.ask("/search", &search).await?;
    stdout::print(results(&answer.results).render(0))?;
    stdout::line(format!(
        "{} results at {} in {:.1} ms; {}",
        answer.results.len(),
        answer.consistency,
        answer.took_ms,
        evidence(&answer.shards)
    ))?;
    Ok(Exit::Ok)
}

impl SearchArgs {
    fn search(self) -> anyhow::Result<Search> {
        let filter = self.filter.as_deref().map(|text| json(text, "--filter")).transpose()?;
        Ok(Search {
            vector: self.query.vector(self.row)?,
            id: self.query.id,
            using: self.using,
            limit: self.limit,
            offset: self.offset,
            filter,
            score_threshold: self.score_threshold,
            with_payload: self.fields.map_or(WithPayload::All(true), WithPayload::Fields),
            with_vector: WithVector::All(false),
            params: SearchParams { ef: None, exact: self.exact },
            consistency: self.consistency.map(Into::into),
            after: self.after,
            max_staleness_ms: None,
            timeout_ms: None,
            allow_partial: false,
            explain: false,
            collection: self.collection,
        })
    }
}

impl Query {
    fn vector(&self, row: u64) -> anyhow::Result<Option<Vec<f32>>> {
        match (&self.vector, &self.vector_file) {
            (Some(text), _) => json(text, "--vector").map(Some),
            (None, Some(path)) => read_vector(path, row).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Reads row `row` of an `.npy` file, or the JSON array of any other file.
fn read_vector(path: &Path, row: u64) -> anyhow::Result<Vec<f32>> {
    if path.extension().is_some_and(|extension| extension == "npy") {
        let mut matrix = open_npy(path)?;
        // A row that is not in the file is an error of the command line.
        if row >= matrix.rows {
            return Err(Usage(format!(
                "--row {row}: {} has rows 0 to {}",
                path.display(),
                matrix.rows.saturating_sub(1)
            ))
            .into());
        }
        matrix.seek_row(row)?;
        return matrix.next_row().with_context(|| format!("cannot read {}", path.display()));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    json(&text, "--vector-file")
}

fn json<T: serde::de::DeserializeOwned>(text: &str, flag: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).map_err(|error| Usage(format!("{flag} is not the JSON it should be: {error}")).into())
}

/// Hits as a table: score, id, and the payload on one line.
pub(crate) fn results(hits: &[Hit]) -> Table {
    let mut table = Table::new(["score", "id", "payload"]);
    for hit in hits {
        table.row([
            format!("{:.4}", hit.score),
            hit.id.to_string(),
            hit.payload.as_ref().map(|payload| one_line(&payload.members())).unwrap_or_default(),
        ]);
    }
    table
}

/// A payload for people: `gloss: a small dog · lemmas: puppy, whelp`.
fn one_line(payload: &Map<String, Value>) -> String {
    let members: Vec<String> = payload.iter().map(|(key, value)| format!("{key}: {}", plain_text(value))).collect();
    members.join(" · ")
}
