//! `quiver point`: gets, deletes, counts and pages through points.
//!
//! In: a collection, ids or a filter. Out: requests of the API, and a table or JSON. Knows no shard.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::parse_filter;
use crate::api::{Consistency, Count, Counted, Delete, Deleted, Level, PointId, Record, Scrolled};
use crate::cli::admin::ask::Ask;
use crate::cli::admin::print;
use crate::cli::confirm::Consent;
use crate::cli::exit::Exit;
use crate::client::path;
use crate::client::{Client, Failure};
use crate::output::table::{Table, thousands};

/// Arguments of `quiver point`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PointArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  quiver point get docs 7 8
  quiver point count docs --filter '{\"must\":[{\"key\":\"lang\",\"match\":{\"value\":\"en\"}}]}'
  quiver point scroll docs --limit 100 -o ndjson
  quiver point delete docs --id 7 --id 8 --yes
  quiver point delete docs --filter '{\"must\":[{\"key\":\"lang\",\"match\":{\"value\":\"en\"}}]}' --yes

Exit codes: 0 ok, 1 failed, 2 usage, 4 not found, 6 outcome unknown, 7 unavailable.";

#[derive(clap::Subcommand)]
enum Verb {
    /// Show points by their ids.
    Get {
        /// The collection's name.
        collection: String,
        /// Numbers or UUIDs.
        #[arg(required = true)]
        ids: Vec<PointId>,
        /// Level of the read: one, quorum or all [default: the collection's].
        #[arg(long, value_name = "LEVEL")]
        consistency: Option<Consistency>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Delete points by id or by filter.
    Delete {
        /// The collection's name.
        collection: String,
        /// A point; repeat it for more.
        #[arg(long = "id", value_name = "ID", required_unless_present = "filter", conflicts_with = "filter")]
        ids: Vec<PointId>,
        /// The points that pass, as JSON in Qdrant's grammar.
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
        /// Delete even if every point passes the filter.
        #[arg(long, requires = "filter")]
        all: bool,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        ask: Ask,
    },
    /// Count points.
    Count {
        /// The collection's name.
        collection: String,
        /// Only points that pass, as JSON in Qdrant's grammar.
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
        /// Level of the read: one, quorum or all [default: the collection's].
        #[arg(long, value_name = "LEVEL")]
        consistency: Option<Consistency>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Show a page of points in the order of their ids.
    Scroll {
        /// The collection's name.
        collection: String,
        /// Only points that pass, as JSON in Qdrant's grammar.
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
        /// Points on the page.
        #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
        limit: usize,
        /// The first id of the page, as the page before named it.
        #[arg(long, value_name = "ID")]
        offset: Option<PointId>,
        /// Show the vectors too.
        #[arg(long)]
        vectors: bool,
        /// Level of the read: one, quorum or all [default: the collection's].
        #[arg(long, value_name = "LEVEL")]
        consistency: Option<Consistency>,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Runs the verb.
pub(crate) async fn run(args: PointArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Get { collection, ids, consistency, ask } => get(&collection, &ids, consistency, &ask).await,
        Verb::Delete { collection, ids, filter, all, consent, ask } => {
            let filter = parse_filter(filter.as_deref())?;
            // The client may send the request to several endpoints. Its id makes sure that it is done once.
            let ids = filter.is_none().then_some(ids);
            let what = ids.as_ref().map_or_else(|| "all that pass".to_owned(), |ids| thousands(ids.len() as u64));
            consent.make_sure(&format!("Delete {what} points of {collection}?"))?;
            let request_id = Some(Uuid::new_v4());
            let body = Delete { collection, ids, filter, all, consistency: None, request_id, timeout_ms: None };
            let deleted: Deleted = ask.client()?.change(&Method::DELETE, "/vectors", &body).await?;
            print::one(&deleted, ask.output, |deleted| format!("{} points deleted", thousands(deleted.deleted)))?;
            Ok(Exit::Ok)
        }
        Verb::Count { collection, filter: text, consistency, ask } => {
            let (filter, consistency) = (parse_filter(text.as_deref())?, consistency.map(Into::into));
            let body = Count { collection, filter, consistency, ..Count::default() };
            let counted: Counted = ask.client()?.ask("/quiver/v1/count", &body).await?;
            print::one(&counted, ask.output, |counted| counted.count.to_string())?;
            Ok(Exit::Ok)
        }
        Verb::Scroll { collection, filter: text, limit, offset, vectors, consistency, ask } => {
            let filter = parse_filter(text.as_deref())?;
            let body = json!({"collection": collection, "filter": filter, "limit": limit, "offset": offset,
                              "with_vector": vectors, "consistency": consistency.map(Level::from)});
            let page: Scrolled = ask.client()?.ask("/quiver/v1/scroll", &body).await?;
            print::rows(&page.points, ask.output, table)?;
            if let Some(next) = page.next {
                eprintln!("there are more: --offset {next}");
            }
            Ok(Exit::Ok)
        }
    }
}

/// Prints the points that exist. A missing one is named on stderr, and makes the exit code 4.
async fn get(collection: &str, ids: &[PointId], level: Option<Consistency>, ask: &Ask) -> anyhow::Result<Exit> {
    let (client, mut found, mut exit) = (ask.client()?, Vec::new(), Exit::Ok);
    for id in ids {
        match one(&client, collection, id, level).await {
            Ok(record) => found.push(record),
            Err(error) => match error.downcast_ref() {
                // A missing point does not hide those that exist. A missing collection ends the verb.
                Some(Failure::Refused { http: 404, status }) if status.code == "point_not_found" => {
                    eprintln!("{}", status.error);
                    exit = Exit::NotFound;
                }
                _ => return Err(error),
            },
        }
    }
    print::rows(&found, ask.output, |rows| {
        let mut table = Table::new(["id", "version", "shard", "payload"]);
        for row in rows {
            let text = |name: &str| row[name].to_string().trim_matches('"').to_owned();
            table.row([text("id"), text("version"), text("shard"), text("payload")]);
        }
        table
    })?;
    Ok(exit)
}

async fn one(client: &Client, collection: &str, id: &PointId, level: Option<Consistency>) -> anyhow::Result<Value> {
    let query = level.map(|level| format!("?consistency={level}")).unwrap_or_default();
    let found: Value = client.get(&(path(["vectors", collection, &id.to_string()])? + &query)).await?;
    Ok(found)
}

fn table(rows: &[Record]) -> Table {
    let mut table = Table::new(["id", "version", "shard", "payload"]);
    for row in rows {
        let payload = row.payload.as_ref().map(|payload| payload.text().to_owned());
        table.row([row.id.to_string(), row.version.to_string(), row.shard.to_string(), payload.unwrap_or_default()]);
    }
    table
}
