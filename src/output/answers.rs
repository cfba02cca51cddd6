//! Parts of an answer in words: a payload's value, and which replicas were read.
//!
//! In: parts of wire types. Out: text without an end of line. Pure.

use super::table::thousands;
use crate::api::Evidence;
use serde_json::Value;

/// A value for people: strings without quotes, arrays of them with commas, the rest as JSON.
pub(crate) fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Who answered, on one line: `node1 leader of 3 shards, node2 follower of 5, up to 120 ms behind`.
pub(crate) fn evidence(shards: &[Evidence]) -> String {
    let mut served = std::collections::BTreeMap::<_, usize>::new();
    for row in shards {
        *served.entry((row.served_by.as_str(), row.role.to_string())).or_default() += 1;
    }
    let parts: Vec<String> =
        served.iter().map(|((node, role), shards)| format!("{node} as {role} of {shards}")).collect();
    let stale = shards.iter().filter_map(|row| row.staleness_ms.flatten()).max();
    let stale = stale.map(|ms| format!("; at most {} ms stale", thousands(ms))).unwrap_or_default();
    format!("served by {}{stale}", parts.join(", "))
}
