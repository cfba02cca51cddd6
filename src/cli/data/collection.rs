//! `quiver collection`: lists, shows, makes, drops and indexes collections.
//!
//! In: a name and settings. Out: one request of the API for each verb, and a table or JSON. Knows no shard.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{CollectionRow, CollectionRows, CreateCollection, CreatedCollection, Distance, Envelope, FieldType};
use crate::api::{Index, Level, Quantization, UpdateResult};
use crate::cli::admin::ask::Ask;
use crate::cli::admin::print;
use crate::cli::confirm::Consent;
use crate::cli::exit::{Exit, Usage};
use crate::client::path;
use crate::model::words::Words as _;
use crate::output::table::{Table, thousands};

/// Arguments of `quiver collection`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CollectionArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  quiver collection create docs --size 384
  quiver collection create points --size 2 --distance euclid --quantization none
  quiver collection list
  quiver collection show docs -o json
  quiver collection index docs lang --type keyword
  quiver collection index docs lang --drop
  quiver collection delete docs --yes

Exit codes: 0 ok, 1 failed, 2 usage, 4 not found, 5 it exists with other settings, 6 outcome unknown, 7 unavailable.";

#[derive(clap::Subcommand)]
enum Verb {
    /// List the collections.
    List(Ask),
    /// Show one collection: its vectors, points and indexed fields.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Make a collection. One that exists with the same settings is left as it is.
    Create {
        /// Its name.
        name: String,
        /// Components of a vector.
        #[arg(long, value_name = "N")]
        size: usize,
        /// How vectors are compared: cosine, dot, euclid or manhattan.
        #[arg(long, value_name = "NAME", default_value = "cosine", value_parser = Distance::of)]
        distance: Distance,
        /// Codes that searches of the index read: int8, binary or none [default: int8 where the distance has codes].
        #[arg(long, value_name = "NAME", value_parser = codes)]
        quantization: Option<Quantization>,
        /// Compare every vector in each search, without a graph.
        #[arg(long)]
        exact: bool,
        /// Level of requests that name none: one, quorum or all [default: quorum].
        #[arg(long, value_name = "LEVEL")]
        consistency: Option<Level>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Drop a collection and all its points.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        ask: Ask,
    },
    /// Index a payload field, or drop its index.
    Index {
        /// The collection's name.
        name: String,
        /// The field's path, such as lang, author.name or tags[].id.
        field: String,
        /// What it is indexed as: keyword, integer, float, bool, datetime or uuid.
        #[arg(long = "type", value_name = "TYPE", required_unless_present = "drop", conflicts_with = "drop")]
        kind: Option<String>,
        /// Drop the index.
        #[arg(long)]
        drop: bool,
        #[command(flatten)]
        ask: Ask,
    },
}

fn codes(text: &str) -> Result<Quantization, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(Quantization::None),
        word => Quantization::of(word).map_err(|_| "write int8, binary or none".to_owned()),
    }
}

/// Runs the verb.
pub(crate) async fn run(args: CollectionArgs) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::List(ask) => {
            let listed: Envelope<CollectionRows> = ask.client()?.get("/collections").await?;
            print::rows(&listed.result.collections, ask.output, table)?;
        }
        Verb::Show { name, ask } => {
            let shown: Envelope<Value> = ask.client()?.get(&path(["collections", &name])?).await?;
            print::one(&shown.result, ask.output, |shown| format!("{name}\n{}", lines(shown, 1)))?;
        }
        Verb::Create { name, size, distance, quantization, exact, consistency, ask } => {
            // Without --exact the server chooses the index.
            let index = exact.then(|| serde_json::from_value::<Index>(json!("exact"))).transpose()?;
            let (vector_size, distance) = (Some(size), Some(distance));
            let body = CreateCollection {
                name,
                vector_size,
                distance,
                vectors: None,
                consistency_level: consistency,
                quantization,
                index,
            };
            let made: CreatedCollection = ask.client()?.change(&Method::POST, "/collections", &body).await?;
            made.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            print::one(&made, ask.output, |made| {
                let word = if made.created { "made" } else { "was there already" };
                format!("{} {word}, in {} shards", made.name, made.shards)
            })?;
        }
        Verb::Delete { name, consent, ask } => {
            // A person is asked only once name and URLs are known to be usable.
            let (path, client) = (path(["collections", &name])?, ask.client()?);
            consent.make_sure(&format!("Drop {name} and all its points?"))?;
            let dropped: Envelope<bool> = client.change(&Method::DELETE, &path, &json!({})).await?;
            let word = if dropped.result { "dropped" } else { "was not there" };
            print::one(&dropped.result, ask.output, |_| format!("{name} {word}"))?;
            return Ok(if dropped.result { Exit::Ok } else { Exit::NotFound });
        }
        Verb::Index { name, field, kind, drop, ask } => return index(&name, &field, kind, drop, &ask).await,
    }
    Ok(Exit::Ok)
}

async fn index(name: &str, field: &str, kind: Option<String>, drop: bool, ask: &Ask) -> anyhow::Result<Exit> {
    let client = ask.client()?;
    let changed: Envelope<UpdateResult> = if drop {
        let path = path(["collections", name, "index", field])? + "?wait=true";
        client.change(&Method::DELETE, &path, &json!({})).await?
    } else {
        let kind: FieldType = serde_json::from_value(json!(kind)).map_err(|error| Usage(error.to_string()))?;
        let (path, body) = (path(["collections", name, "index"])?, json!({"field_name": field, "field_schema": kind}));
        client.change(&Method::PUT, &(path + "?wait=true"), &body).await?
    };
    changed.result.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    print::one(&changed.result, ask.output, |result| format!("{field} of {name}: {}", result.status))?;
    // Dropping an index that is not there is "not found", as for a collection.
    Ok(if changed.result.existed == Some(false) { Exit::NotFound } else { Exit::Ok })
}

fn table(rows: &[CollectionRow]) -> Table {
    let mut table = Table::new(["collection", "points", "vectors", "indexed fields"]);
    for row in rows {
        // The default vector has no name; the others have.
        let own = row.vector_size.zip(row.distance).map(|(size, distance)| format!("{size} {}", word(distance)));
        let named =
            row.vectors.iter().map(|(name, params)| format!("{name}: {} {}", params.size, word(params.distance)));
        let vectors: Vec<String> = own.into_iter().chain(named).collect();
        let fields: Vec<&str> = row.payload_schema.keys().map(String::as_str).collect();
        table.row([row.name.clone(), thousands(row.points), vectors.join(", "), fields.join(", ")]);
    }
    table
}

/// A distance as the API writes it.
fn word(distance: Distance) -> String {
    json!(distance).as_str().unwrap_or_default().to_owned()
}

/// A JSON object as lines, one for each member. Members of an inner object are indented by two more spaces.
fn lines(value: &Value, depth: usize) -> String {
    let Some(members) = value.as_object() else { return format!("{value}") };
    let line = |(name, value): (&String, &Value)| match value {
        Value::Object(inner) if !inner.is_empty() => {
            format!("{}{name}\n{}", "  ".repeat(depth), lines(value, depth + 1))
        }
        Value::String(text) => format!("{}{name}  {text}", "  ".repeat(depth)),
        value => format!("{}{name}  {value}", "  ".repeat(depth)),
    };
    members.iter().map(line).collect::<Vec<_>>().join("\n")
}
