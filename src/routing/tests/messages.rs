//! The messages between nodes that earlier releases sent, byte for byte: each is read, and this build sends the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_groups::{GroupId, ReadMode, ReadPoint, Role};
use serde_json::json;

use crate::engine::{
    self, CollectionId, CountQuery, Explain, Filter, GetQuery, Hit, Lifetime, MadeBy, Payload, PayloadSelector,
    PointId, Record, Refusal, ScrollPage, ScrollQuery, SearchQuery, Target, VectorSelector,
};
use crate::model::SearchParams;
use crate::routing::LogPoint;
use crate::routing::rpc::message::{Call, CallAnswer, CallError, Query, QueryAnswer, RouteRequest, RouteResponse};
use crate::routing::rpc::wire::{decode, decode_response, encode, encode_response};

/// A line for each message: a word, and its bytes.
const MESSAGES: &str = include_str!("../../../tests/data/formats/wire-1/nodes.txt");

const DOCS: CollectionId = CollectionId(3);

fn uuid() -> PointId {
    PointId::Uuid(uuid::Uuid::from_u128(0xabc))
}

fn names() -> BTreeSet<String> {
    ["a".to_owned(), "b".to_owned()].into()
}

fn vectors() -> Option<BTreeMap<String, Vec<f32>>> {
    Some([(String::new(), vec![1.0, -0.5]), ("t".to_owned(), vec![2.0])].into())
}

fn filter() -> Option<Filter> {
    let numbers = json!({"key": "a", "range": {"gt": 9_007_199_254_740_993u64, "lte": 1.5e300}});
    let dates = json!({"key": "b[].c", "range": {"gte": "2024-02-29T12:00:00.5+02:00"}});
    let filter = json!({"must": [numbers, dates, {"key": "k", "match": {"any": ["x", 1, true]}}],
        "must_not": [{"has_id": [7, "00000000-0000-0000-0000-000000000abc"]}, {"is_null": {"key": "n"}}],
        "min_should": {"conditions": [{"nested": {"key": "o", "filter": {"must": [{"key": "p", "values_count": {"lt": 2}}]}}}],
                       "min_count": 1}});
    Some(Filter::parse(&filter).unwrap())
}

fn queries() -> [Query; 5] {
    let search = SearchQuery {
        collection: DOCS,
        vector_name: "t".to_owned(),
        target: Target::Vector(vec![0.25, -3.0]),
        limit: 10,
        filter: filter(),
        score_threshold: Some(0.5),
        with_payload: PayloadSelector::Include(names()),
        with_vector: VectorSelector::Names(names()),
        params: SearchParams { ef: Some(128), exact: true },
    };
    let (with_payload, with_vector) = (PayloadSelector::Exclude(names()), VectorSelector::All);
    let page = ScrollQuery {
        collection: DOCS,
        offset: Some(uuid()),
        limit: 300,
        filter: None,
        with_payload: with_payload.clone(),
        with_vector: VectorSelector::None,
    };
    [
        Query::Search(vec![search]),
        Query::Get(GetQuery { collection: DOCS, ids: vec![PointId::Num(300), uuid()], with_payload, with_vector }),
        Query::Scroll(page),
        Query::Count(CountQuery { collection: DOCS, filter: None }),
        Query::Map,
    ]
}

fn requests() -> Vec<RouteRequest> {
    let write = Call::Write {
        group: GroupId(5),
        command: Bytes::from_static(b"\x02command"),
        everywhere: true,
        lifetime: Some(Lifetime { made_by: MadeBy::Client, born_ms: 70_000, lasts_ms: 900 }),
    };
    let after = Some(LogPoint { recovered: 1, index: 300 });
    let modes = [ReadMode::Follower, ReadMode::Lease, ReadMode::Linearizable].into_iter().cycle();
    let read = |(query, mode): (Query, ReadMode)| Call::Read {
        group: GroupId(5),
        mode,
        after,
        max_staleness_ms: Some(1000),
        query: Arc::new(query),
        room: None,
    };
    let calls = queries().into_iter().zip(modes).map(read).chain([write, Call::Report]);
    calls
        .map(|call| RouteRequest { cluster: [9; 16], from: Some(1), to: 300, timeout_ms: 5000, calls: vec![call] })
        .collect()
}

fn found() -> [QueryAnswer; 4] {
    let payload = || Some(Payload::from_text(r#"{"a":1}"#));
    let hit = Hit { id: uuid(), score: 0.75, version: 9, payload: payload(), vectors: vectors() };
    let record = Record { id: PointId::Num(7), version: 300, payload: payload(), vectors: None };
    [
        QueryAnswer::Hits(vec![engine::Found { hits: vec![hit], explain: Explain::default() }]),
        QueryAnswer::Records(vec![record.clone()]),
        QueryAnswer::Page(ScrollPage { records: vec![record], next: Some(uuid()) }),
        QueryAnswer::Count(70_000),
    ]
}

fn errors() -> Vec<CallError> {
    let reason = || "why".to_owned();
    vec![
        CallError::NotLeader { leader: Some(2) },
        CallError::NotHere { reason: reason() },
        CallError::Busy { limit: reason() },
        CallError::Indeterminate { reason: reason() },
        CallError::Stopped { reason: reason() },
        CallError::NoQuorum { reason: reason() },
        CallError::Behind { applied: 300 },
        CallError::Stale { staleness_ms: None },
        CallError::Late { reason: reason() },
        CallError::Broken { reason: reason() },
        CallError::Refused(Refusal::VersionMismatch { position: 1, id: uuid(), expected: 0, current: 300 }),
        CallError::Unfit { reason: reason() },
        CallError::Undated { time_ms: 70_000 },
        CallError::Unreadable { reason: reason() },
        CallError::Lapsed { reason: reason() },
    ]
}

fn responses() -> Vec<RouteResponse> {
    let (reply, lagging) = (Bytes::from_static(b"\x01reply"), [2, 300].into());
    let written = CallAnswer::Written { index: 300, term: 4, reply, lagging, time_ms: 70_000 };
    let contact = Some(Duration::from_millis(1500));
    let point = ReadPoint { role: Role::Follower, term: 4, index: 300, leader_contact: contact };
    let read = found().map(|found| Ok(CallAnswer::Read { point: point.clone(), found }));
    let answers = [Ok(written)].into_iter().chain(read).chain(errors().into_iter().map(Err));
    let misdirected = RouteResponse::Misdirected { cluster: [9; 16], node: 300 };
    answers.map(|answer| RouteResponse::Answers(vec![answer])).chain([misdirected]).collect()
}

fn line(word: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{word} {hex}\n")
}

#[test]
fn messages_of_earlier_releases_are_read_and_this_one_sends_the_same() {
    let sent = requests().into_iter().map(|request| line("request", &encode(request).unwrap()));
    let answered = responses().into_iter().map(|response| line("response", &encode_response(&response).unwrap()));
    let lines: String = sent.chain(answered).collect();
    assert_eq!(lines, MESSAGES, "a message has changed: it needs a form of its own under another version");
    let bytes = |line: &str| -> Vec<u8> {
        let hex = line.split_once(' ').unwrap().1;
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let mut lines = MESSAGES.lines();
    for request in requests() {
        assert_eq!(decode(&bytes(lines.next().unwrap())), Ok(request));
    }
    for response in responses() {
        assert_eq!(decode_response(&bytes(lines.next().unwrap())), Ok(response));
    }
}
