//! What a program may want to know of an error beyond its code: positions, limits, versions, who is missing.

use serde_json::{Map, Value, json};

use super::{ApiError, MAX_DETAIL, shortened, table};
use crate::engine::Refusal;
use crate::placement::{NodeName, ShardId};
use crate::routing::{RouteError, WrittenPoint};

/// The `details` of the body.
pub(super) fn of(error: &ApiError) -> Map<String, Value> {
    object(match error {
        ApiError::Malformed { path, line, column, .. } | ApiError::Misfit { path, line, column, .. } => {
            json!({"field": path, "position": position(path), "line": line, "column": column})
        }
        ApiError::ForeignHost { host } => json!({"host": host}),
        ApiError::CrossSite { origin } => json!({"origin": origin}),
        ApiError::BodyTooLarge { limit } => json!({"limit": "max_body_bytes", "allowed": limit}),
        ApiError::MediaType { header, found, expected } => {
            json!({"header": header, "found": found, "expected": expected})
        }
        ApiError::LimitExceeded { field, value, limit, allowed } => {
            json!({"field": field, "value": value, "limit": limit.to_string(), "allowed": allowed})
        }
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::PointNotFound { position, collection, id, shards } => {
            let mut named = json!({"collection": collection, "id": (*id)});
            if let Some(position) = position {
                named = with(named, "position", json!(position));
            }
            if shards.is_empty() { named } else { with(named, "shards", json!(shards)) }
        }
        ApiError::UnknownPath { path } => json!({"path": path}),
        ApiError::MethodNotAllowed { method, path, .. } => json!({"method": method, "path": path}),
        ApiError::TooManyRequests { limit } => json!({"limit": "in_flight", "allowed": limit}),
        ApiError::Route(error) => routed(error),
        ApiError::Write { error, request } => with(routed(error), "retry_with_request_id", json!(request.0)),
        ApiError::NodeNotFound { node } | ApiError::NodeConflict { node, .. } => json!({"node": node}),
        ApiError::ShardNotFound { shard } => json!({"shard": shard}),
        ApiError::OperationNotFound { operation } | ApiError::OperationFailed { operation, .. } => {
            json!({"operation_id": operation})
        }
        ApiError::NodeUnreachable { host, port, .. } => json!({"host": host, "port": port}),
        ApiError::Guard { .. } | ApiError::NotPossible { .. } => json!({}),
        ApiError::MemoryBudget
        | ApiError::MalformedRequest { .. }
        | ApiError::BodyCut { .. }
        | ApiError::FaultsOff
        | ApiError::Internal { .. } => {
            json!({})
        }
    })
}

/// The same, no string in it longer than an error may be.
pub(super) fn short(details: Map<String, Value>) -> Map<String, Value> {
    fn cut(value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(shortened(&text, MAX_DETAIL)),
            Value::Array(all) => all.into_iter().map(cut).collect(),
            Value::Object(members) => Value::Object(short(members)),
            plain => plain,
        }
    }
    details.into_iter().map(|(name, value)| (name, cut(value))).collect()
}

fn routed(error: &RouteError) -> Value {
    match error {
        RouteError::CollectionNotFound { name } | RouteError::CollectionReplaced { name } => {
            json!({"collection": name})
        }
        RouteError::CollectionExists { name, entry } => {
            let config = entry.config.vectors.iter();
            let vectors: Map<_, _> = config
                .map(|(name, params)| (name.clone(), json!({"size": params.size, "distance": params.distance})))
                .collect();
            json!({"collection": name, "vectors": vectors, "consistency_level": entry.default_consistency})
        }
        RouteError::BadName(bad) => json!({"field": "name", "reason": bad.reason}),
        RouteError::Refused { refusal } => refused(refusal),
        RouteError::NoLeader { shard, missing } | RouteError::NoQuorum { shard, missing, .. } => {
            with(group(*shard), "missing", names(missing))
        }
        RouteError::Stale { shard, staleness_ms, bound_ms } => {
            json!({"shard": shard.0, "staleness_ms": staleness_ms, "max_staleness_ms": bound_ms})
        }
        RouteError::TokenLapsed { shard, .. } => json!({"shard": shard.0}),
        RouteError::AnswerTooLarge { limit } => json!({"limit": "max_answer", "allowed": limit}),
        RouteError::Unknown { shard, .. } | RouteError::Stopped { shard, .. } => group(*shard),
        RouteError::NotEverywhere { missing } => json!({"missing": names(missing)}),
        RouteError::PartialWrite { done, done_shards, failed } => partial(done, done_shards, failed),
        RouteError::Overloaded { limit } => json!({"limit": limit}),
        RouteError::WrongCluster { node } | RouteError::Unreadable { node, .. } => json!({"node": node}),
        RouteError::Deadline { .. } | RouteError::NotFormed | RouteError::Internal { .. } => json!({}),
    }
}

fn refused(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::VersionMismatch { position, id, expected, current } => {
            json!({"position": position, "id": (*id), "expected": expected, "current": current})
        }
        Refusal::Invalid { position: item, field, reason } => {
            json!({"position": item.or_else(|| position(field)), "field": field, "reason": reason})
        }
        Refusal::NotSupported { field, reason } => json!({"field": field, "reason": reason}),
        Refusal::TooManyRequestIds { limit } => json!({"limit": "request_ids", "allowed": limit}),
        Refusal::CollectionNotFound { .. }
        | Refusal::CollectionDropped { .. }
        | Refusal::CollectionDiffers { .. }
        | Refusal::RequestReused
        | Refusal::RequestExpired
        | Refusal::Undecodable { .. }
        | Refusal::Undecided => {
            json!({})
        }
    }
}

fn partial(done: &[WrittenPoint], done_shards: &[ShardId], failed: &[(ShardId, Box<RouteError>)]) -> Value {
    let done: Vec<Value> =
        done.iter().map(|point| json!({"id": point.id, "shard": point.shard.0, "version": point.version})).collect();
    let failed = failed.iter().map(|(shard, error)| {
        let row = table::routed(error);
        let (text, committed) = (error.to_string(), row.committed);
        json!({"shard": shard.0, "code": row.code.as_str(), "error": text, "retryable": row.retryable, "committed": committed, "details": routed(error)})
    });
    json!({"done": done, "done_shards": done_shards, "failed": failed.collect::<Vec<_>>()})
}

/// A shard of `None` is the meta group.
fn group(shard: Option<ShardId>) -> Value {
    match shard {
        Some(shard) => json!({"shard": shard.0, "group": shard.group().0}),
        None => json!({"shard": null, "group": crate::placement::META.0}),
    }
}

fn names(nodes: &[NodeName]) -> Value {
    nodes.iter().map(NodeName::as_str).collect()
}

/// The item of a batch that a path such as `vectors[2].id` leads to.
fn position(path: &str) -> Option<usize> {
    let index = path.split_once('[')?.1.split_once(']')?.0;
    let list = path.split_once('[')?.0;
    matches!(list, "vectors" | "ids" | "searches").then(|| index.parse().ok()).flatten()
}

fn with(value: Value, member: &str, more: Value) -> Value {
    let mut map = object(value);
    map.insert(member.to_owned(), more);
    Value::Object(map)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
