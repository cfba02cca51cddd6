//! Parts of an answer in words: the value of a payload, and which replicas were read.
//!
//! In: parts of wire types. Out: text without an end of line. Pure.

use super::table::thousands;
use crate::api::Evidence;
use serde_json::Value;

/// A value for people: strings without quotes, the items of arrays with commas between, everything else as JSON.
pub(crate) fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Which replicas answered, on one line: `served by node1 as leader of 3, node2 as follower of 5; at most 120 ms
/// stale`.
pub(crate) fn evidence(shards: &[Evidence]) -> String {
    let mut served = std::collections::BTreeMap::<_, usize>::new();
    for row in shards {
        *served.entry((row.served_by.as_str(), row.role.to_string())).or_default() += 1;
    }
    let parts: Vec<String> =
        served.iter().map(|((node, role), shards)| format!("{node} as {role} of {shards}")).collect();
    // The stalest shard bounds the whole answer.
    let stale = shards.iter().filter_map(|row| row.staleness_ms.flatten()).max();
    let stale = stale.map(|ms| format!("; at most {} ms stale", thousands(ms))).unwrap_or_default();
    format!("served by {}{stale}", parts.join(", "))
}
