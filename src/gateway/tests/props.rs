//! Whatever is sent, the answer is a 2xx, or a 4xx or 501 with our body; never a panic, never a 500.

use proptest::prelude::*;
use serde_json::{Map, json};
use tokio::runtime::Runtime;

use super::*;

const PATHS: [(&str, &str); 8] = [
    ("POST", "/vectors"),
    ("DELETE", "/vectors"),
    ("POST", "/search"),
    ("POST", "/quiver/v1/search/batch"),
    ("POST", "/collections"),
    ("POST", "/quiver/v1/scroll"),
    ("POST", "/quiver/v1/count"),
    ("PUT", "/quiver/v1/faults"),
];

/// JSON that is often nearly right: members that exist, values of every type.
fn nearly() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["docs", "one", "s1.0-1", "", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"])
            .prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        Just(json!([1, 0, 0])),
        Just(json!({"id": 1, "vector": [1, 0, 0]})),
    ];
    let names = vec![
        "collection",
        "vectors",
        "vector",
        "id",
        "ids",
        "payload",
        "filter",
        "limit",
        "offset",
        "must",
        "key",
        "match",
        "value",
        "consistency",
        "after",
        "with_payload",
        "params",
        "ef",
        "name",
        "vector_size",
        "score_threshold",
        "request_id",
        "cut",
        "using",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let members = prop::collection::vec((prop::sample::select(names.clone()), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// A request that is right in all but one member.
fn off_by_one() -> impl Strategy<Value = Value> {
    let good =
        json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}], "vector": [1, 0, 0], "limit": 3});
    let kept = prop::collection::vec(any::<bool>(), 4);
    let added = [
        "filter",
        "ids",
        "consistency",
        "after",
        "payload",
        "offset",
        "limit",
        "with_vector",
        "vector",
        "timeout_ms",
        "vectors",
    ];
    (kept, prop::sample::select(added.to_vec()), nearly()).prop_map(move |(kept, name, value)| {
        let members = good.as_object().unwrap().clone().into_iter();
        let mut body: Map<_, _> =
            members.zip(kept).filter(|((name, _), kept)| *kept || name == "collection").map(|(pair, _)| pair).collect();
        body.insert(name.to_owned(), value);
        body.into()
    })
}

fn check(runtime: &Runtime, router: &Router, body: &str) -> Result<(), TestCaseError> {
    for (method, path) in PATHS {
        let answered = runtime.block_on(call(router, method, path, body));
        let status = answered.status.as_u16();
        prop_assert!(
            answered.status.is_success() || (400..500).contains(&status) || status == 501,
            "{} {}: {}",
            path,
            body,
            answered.body
        );
        prop_assert!(
            answered.status.is_success() || !answered.code().is_empty(),
            "{} {}: {}",
            path,
            body,
            answered.body
        );
    }
    Ok(())
}

fn run(cases: u32, bodies: impl Strategy<Value = String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (router, _) = runtime.block_on(docs());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    runner.run(&bodies, |body| check(&runtime, &router, &body)).unwrap();
}

#[test]
fn any_text_is_answered() {
    run(300, "\\PC{0,80}");
}

#[test]
fn any_json_is_answered() {
    run(500, nearly().prop_map(|value| value.to_string()));
}

#[test]
fn requests_with_one_wrong_member_are_answered() {
    run(1_000, off_by_one().prop_map(|value| value.to_string()));
}

#[test]
fn cut_and_garbled_requests_are_answered() {
    let good =
        json!({"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0.5, -1e-3], "payload": {"a": "\u{e9}"}}]})
            .to_string();
    let cut = (0..good.len(), any::<u8>(), any::<bool>()).prop_map(move |(at, byte, keep)| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = byte;
        bytes.truncate(if keep { bytes.len() } else { at + 1 });
        String::from_utf8_lossy(&bytes).into_owned()
    });
    run(300, cut);
}

#[test]
fn any_path_and_query_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (router, _) = runtime.block_on(docs());
    let part = "[a-z0-9%=&.+_-]{0,12}";
    let name =
        prop::sample::select(vec!["consistency", "after", "timeout_ms", "max_staleness_ms", "with_vector", "colour"]);
    let path =
        (part, part, name, part).prop_map(|(name, id, key, value)| format!("/vectors/{name}/{id}?{key}={value}"));
    let config = ProptestConfig::with_cases(500);
    let ask = |path: String| {
        prop_assume!(path.parse::<axum::http::Uri>().is_ok());
        let answered = runtime.block_on(super::get(&router, &path));
        prop_assert!(answered.status.is_client_error() && !answered.code().is_empty(), "{}: {}", path, answered.body);
        Ok(())
    };
    proptest::test_runner::TestRunner::new(config).run(&path, ask).unwrap();
}
