//! The verbs about data: `quiver collection` and `quiver point`. Each is one request of the API, and prints its answer.

mod collection;
mod point;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use serde_json::Value;

pub(crate) use collection::{CollectionArgs, run as run_collection};
pub(crate) use point::{PointArgs, run as run_point};

use super::admin::{Ask, confirmed};
use super::exit::Usage;

/// Makes sure that what cannot be taken back is meant: by a flag, or by an answer on a terminal.
fn make_sure(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Usage("there is nobody to ask: say --yes where this is meant".to_owned()).into());
    }
    if confirmed(question)? { Ok(()) } else { Err(Usage("nothing was changed".to_owned()).into()) }
}

/// A filter, which the server reads.
fn filter(text: Option<&str>) -> anyhow::Result<Option<Value>> {
    let parse = |text| serde_json::from_str(text).map_err(|error| Usage(format!("--filter is no JSON: {error}")));
    text.map(parse).transpose().context("the filter cannot be read")
}
