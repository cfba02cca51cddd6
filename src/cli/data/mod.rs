//! The verbs about data: `quiver collection` and `quiver point`. Each is one request of the API, and prints its answer.
//!
//! What both need is here: the filter of a command line, and who is asked. Loading files is `quiver ingest`.

mod collection;
mod point;

use anyhow::Context as _;
use serde_json::Value;

pub(crate) use collection::{CollectionArgs, run as run_collection};
pub(crate) use point::{PointArgs, run as run_point};

use super::admin::Ask;
use super::confirm::Consent;
use super::exit::Usage;

/// A filter, which the server reads.
fn filter(text: Option<&str>) -> anyhow::Result<Option<Value>> {
    let parse = |text| serde_json::from_str(text).map_err(|error| Usage(format!("--filter is no JSON: {error}")));
    text.map(parse).transpose().context("the filter cannot be read")
}
