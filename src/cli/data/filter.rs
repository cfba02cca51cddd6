//! The filter of a command line: JSON that is passed on as it is. The server reads it, and says what is wrong with it.

use anyhow::Context as _;
use serde_json::Value;

use crate::cli::exit::Usage;

/// The filter as JSON, if `--filter` was given.
///
/// # Errors
/// [`Usage`] where the text is no JSON.
pub(super) fn parse_filter(text: Option<&str>) -> anyhow::Result<Option<Value>> {
    let parse = |text| serde_json::from_str(text).map_err(|error| Usage(format!("--filter is no JSON: {error}")));
    text.map(parse).transpose().context("the filter cannot be read")
}
