//! The answer to every error, held by a golden file: one line each, with status and body.
//!
//! After a change that is meant, run this test with `QUIVER_BLESS=1` and read the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::engine::{CollectionConfig, CollectionId, Distance};
use crate::model::Consistency;
use crate::placement::{BadName, CollectionEntry, NodeName, ShardId};
use crate::routing::{Committed, WrittenPoint};

#[test]
fn every_error_has_its_golden_body() {
    let mut said = String::new();
    for error in inputs().into_iter().chain(refusals()).chain(routed()) {
        let status = table::row(&error).status.as_u16();
        let body = serde_json::to_string(&error.body("req-1", Duration::from_millis(1))).unwrap();
        writeln!(said, "{status} {body}").unwrap();
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gateway/http/error/golden.txt");
    if std::env::var_os("QUIVER_BLESS").is_some() {
        std::fs::write(file, &said).unwrap();
    }
    let golden = std::fs::read_to_string(file).unwrap();
    for (said, golden) in said.lines().zip(golden.lines()) {
        assert_eq!(said, golden);
    }
    assert_eq!(said.lines().count(), golden.lines().count());
}

fn inputs() -> Vec<ApiError> {
    let text = str::to_owned;
    vec![
        ApiError::Malformed { path: text("vectors[2].vector"), line: 1, column: 9, reason: text("a value is wanted") },
        ApiError::Misfit {
            path: text("vectors[2].colour"),
            line: 1,
            column: 9,
            reason: text("unknown field `colour`; known here are `id`"),
            unknown: true,
        },
        ApiError::Misfit {
            path: String::new(),
            line: 1,
            column: 9,
            reason: text("missing field `collection`"),
            unknown: false,
        },
        ApiError::BodyCut { reason: text("connection closed") },
        ApiError::MalformedRequest { reason: text("it has no `Host`") },
        ApiError::MemoryBudget,
        ApiError::ForeignHost { host: text("evil.example") },
        ApiError::CrossSite { origin: text("http://evil.example") },
        ApiError::BodyTooLarge { limit: 33_554_432 },
        ApiError::MediaType { header: "Content-Type", found: text("text/plain"), expected: "application/json" },
        ApiError::LimitExceeded { field: "limit".into(), value: 10_001, limit: LimitName::Limit, allowed: 10_000 },
        ApiError::PointNotFound { position: None, collection: text("docs"), id: PointId::Num(7), shards: Vec::new() },
        ApiError::UnknownPath { path: text("/x") },
        ApiError::MethodNotAllowed { method: text("PUT"), path: text("/search"), allowed: text("POST") },
        ApiError::FaultsOff,
        ApiError::TooManyRequests { limit: 1_024 },
        ApiError::Internal { reason: text("a handler panicked: no message") },
    ]
}

fn refusals() -> Vec<ApiError> {
    let refusals = vec![
        Refusal::CollectionNotFound { collection: CollectionId(3) },
        Refusal::CollectionDiffers { collection: CollectionId(3) },
        Refusal::VersionMismatch { position: 4, id: PointId::Uuid(Uuid::nil()), expected: 0, current: 12 },
        Refusal::RequestReused,
        Refusal::invalid_at(2, "vector", "has 2 components, the collection's vectors have 3"),
        Refusal::invalid("limit", "must be at least 1"),
        Refusal::NotSupported { field: "index".to_owned(), reason: "every search is exact".to_owned() },
        Refusal::Undecodable { reason: "format 9, this build knows 1".to_owned() },
        Refusal::CollectionDropped { collection: CollectionId(3) },
        Refusal::RequestExpired,
        Refusal::TooManyRequestIds { limit: 524_288 },
        Refusal::Undecided,
    ];
    refusals.into_iter().map(ApiError::Refused).collect()
}

fn routed() -> Vec<ApiError> {
    let (text, shard) = (str::to_owned, Some(ShardId(1)));
    let missing = vec![NodeName::new("node2").unwrap(), NodeName::new("node3").unwrap()];
    let config = CollectionConfig {
        vectors: BTreeMap::from([(String::new(), crate::engine::VectorParams::new(3, Distance::Dot))]),
    };
    let entry = CollectionEntry {
        id: CollectionId(3),
        config,
        default_consistency: Consistency::One,
        created_epoch: 9,
        payload_schema: BTreeMap::new(),
        schema_version: 0,
    };
    let bad = BadName { what: text("collection name"), name: text("a b"), reason: text("has a space") };
    let unknown = RouteError::Unknown { shard, reason: text("the leader was lost") };
    let failed = vec![(ShardId(1), Box::new(unknown.clone())), (ShardId(2), Box::new(no_leader(&missing)))];
    let done = vec![WrittenPoint { id: PointId::Num(7), shard: ShardId(0), version: 12 }];
    let mismatch = Refusal::VersionMismatch { position: 1, id: PointId::Num(8), expected: 0, current: 12 };
    let guarded = (ShardId(1), Box::new(RouteError::Refused { refusal: mismatch }));
    let reads = vec![
        RouteError::CollectionNotFound { name: text("x") },
        RouteError::CollectionReplaced { name: text("x") },
        RouteError::CollectionExists { name: text("x"), entry: Box::new(entry) },
        RouteError::BadName(bad),
        RouteError::Refused { refusal: Refusal::invalid_at(1, "id", "1 is in this batch twice") },
        no_leader(&missing),
        RouteError::NoQuorum { shard: None, reason: text("the read index"), missing: missing.clone() },
        RouteError::Stale { shard: ShardId(1), staleness_ms: Some(900), bound_ms: 50 },
        RouteError::Stale { shard: ShardId(1), staleness_ms: None, bound_ms: 50 },
        RouteError::TokenLapsed {
            shard: ShardId(1),
            reason: "it was recovered since; read without `after`".to_owned(),
        },
        RouteError::AnswerTooLarge { limit: 64 << 20 },
        RouteError::Deadline { committed: Committed::No, reason: text("shard 1") },
        RouteError::Overloaded { limit: text("peer_calls") },
        RouteError::Stopped { shard, reason: text("the disk is full; free some space and restart") },
        RouteError::NotFormed,
        RouteError::WrongCluster { node: text("node2") },
        RouteError::Unreadable { node: text("node2"), reason: text("no such call"), committed: Committed::No },
        RouteError::Internal { reason: text("two versions"), committed: Committed::Unknown },
    ];
    let writes = vec![
        unknown,
        RouteError::NotEverywhere { missing },
        RouteError::PartialWrite { done, done_shards: vec![ShardId(0)], failed },
        RouteError::PartialWrite { done: Vec::new(), done_shards: vec![ShardId(0)], failed: vec![guarded] },
        RouteError::Deadline { committed: Committed::Unknown, reason: text("shard 1") },
    ];
    let request = RequestId(Uuid::from_u128(7));
    let writes = writes.into_iter().map(|error| ApiError::Write { error, request });
    reads.into_iter().map(ApiError::Route).chain(writes).collect()
}

fn no_leader(missing: &[NodeName]) -> RouteError {
    RouteError::NoLeader { shard: Some(ShardId(1)), missing: missing.to_vec() }
}
