//! The part of a stored payload that an answer carries.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Payload, stored_members};
use crate::engine::filter::{Path, project};
use crate::engine::queries::query::PayloadSelector;

/// What `selector` leaves of a stored payload; `None` where none of it is wanted.
pub(in crate::engine) fn select_payload(text: &str, selector: &PayloadSelector) -> Option<Payload> {
    let members: Map<String, Value> = match selector {
        PayloadSelector::None => return None,
        PayloadSelector::All => return Some(Payload::from_text(text)),
        PayloadSelector::Include(texts) => {
            // Only members that a path begins with are parsed.
            let paths = paths(texts);
            let begun = stored_members(text, |key| paths.iter().any(|path| path.first_key() == key));
            project::only(begun, &paths)
        }
        PayloadSelector::Exclude(texts) => project::without(stored_members(text, |_| true), &paths(texts)),
    };
    Some(Payload::from(&members))
}

/// The paths; one that is none, which no gateway sends, leads nowhere.
fn paths(texts: &BTreeSet<String>) -> Vec<Path> {
    texts.iter().filter_map(|text| Path::parse(text).ok()).collect()
}
