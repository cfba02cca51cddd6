//! What a client is told in plain words: every member of every request with every wrong type, and `null` for each that is
//! optional.

use serde_json::json;

use crate::gateway::node::front_page;
use crate::gateway::tests::*;

/// Words of Rust and of its parsers, none of which means anything to a client.
const RUST: [&str; 27] = [
    "usize",
    "u8",
    "u16",
    "u32",
    "u64",
    "i64",
    "f32",
    "f64",
    "str",
    "struct",
    "enum",
    "tuple",
    "newtype",
    "variant",
    "ident",
    "sequence",
    "EOF",
    "deserialize",
    "serde",
    "unwrap",
    "panicked",
    "Some",
    "None",
    "Option",
    "Err",
    "LogId",
    "channel",
];
const PHRASES: [&str; 6] = ["invalid type", "invalid value", "a map", "unit value", "recursion limit", "digit found"];

/// A request with every member that it knows.
struct Sample {
    method: &'static str,
    path: &'static str,
    body: Value,
    /// Members that must be there, and those of which one must be.
    required: &'static [&'static str],
}

fn sample(method: &'static str, path: &'static str, body: Value, required: &'static [&'static str]) -> Sample {
    Sample { method, path, body, required }
}

pub(in crate::gateway::tests) fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn filter() -> Value {
    json!({
        "must": [{"key": "a", "match": {"value": 1}}, {"has_id": [1]}, {"is_empty": {"key": "a"}}],
        "should": [{"key": "a", "range": {"gt": 1, "lte": 2}}, {"key": "a", "match": {"any": ["x"]}}],
        "must_not": [{"key": "a", "values_count": {"gte": 1}}, {"nested": {"key": "a", "filter": {}}}],
        "min_should": {"conditions": [{"is_null": {"key": "a"}}], "min_count": 1}
    })
}

fn samples() -> Vec<Sample> {
    let read = json!({"consistency": "one", "after": "s0.0-1", "max_staleness_ms": 1000, "timeout_ms": 1000, "allow_partial": false});
    let write = json!({"consistency": "one", "request_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "timeout_ms": 1000});
    let page = json!({"limit": 1, "filter": filter(), "with_payload": ["a"], "with_vector": true});
    let near = json!({"vector": [1, 0, 0], "id": null, "using": "", "offset": 1, "score_threshold": 0.5, "params": {"ef": 10, "exact": true}});
    let one = with(page.clone(), near);
    let by_id = with(one.clone(), json!({"vector": null, "id": 1}));
    let of = |body: Value| with(body, json!({"collection": "docs"}));
    let point = json!({"id": 1, "vector": [1, 0, 0], "payload": {"a": 1}, "if_version": null});
    let vector = json!({"size": 3, "distance": "dot", "index": {"type": "hnsw", "m": 16, "ef_construct": 100}, "quantization": "int8"});
    let settings = json!({"name": "x", "consistency_level": "one", "quantization": "int8", "index": vector["index"]});
    let single = json!({"vector_size": 3, "distance": "dot", "vectors": null});
    let several = json!({"vector_size": null, "distance": null, "vectors": {"a": vector}});
    let lone = json!({"vector_size": null, "distance": null, "vectors": vector});
    let explained = |body| with(of(body), json!({"explain": true}));
    let batch = json!({"searches": [one, by_id]});
    let nodes = json!({"node_id": "node1", "host": "localhost", "port": 8001, "replaces": null});
    let faults = json!({"cut": [], "cut_to": [], "cut_from": [], "delay_ms": {}});
    let timings = json!({"heartbeat_ms": 100, "election_min_ms": 500, "election_max_ms": 1000});
    vec![
        sample("POST", "/vectors", with(of(write.clone()), json!({"vectors": [point]})), &["collection", "vectors"]),
        sample(
            "DELETE",
            "/vectors",
            with(of(write.clone()), json!({"ids": [1], "filter": null, "all": false})),
            &["collection", "ids"],
        ),
        sample(
            "DELETE",
            "/vectors",
            with(of(write), json!({"ids": null, "filter": filter(), "all": true})),
            &["collection", "filter"],
        ),
        sample("POST", "/search", explained(with(one.clone(), read.clone())), &["collection", "vector"]),
        sample("POST", "/search", explained(with(by_id, read.clone())), &["collection", "id"]),
        sample("POST", "/quiver/v1/search/batch", explained(with(batch, read.clone())), &["collection", "searches"]),
        sample("POST", "/quiver/v1/scroll", with(with(of(page), json!({"offset": 1})), read.clone()), &["collection"]),
        sample("POST", "/quiver/v1/count", with(of(json!({"filter": filter()})), read), &["collection"]),
        sample("POST", "/collections", with(settings.clone(), single), &["name"]),
        sample("POST", "/collections", with(settings.clone(), several), &["name", "vectors"]),
        sample("POST", "/collections", with(settings, lone), &["name", "vectors"]),
        sample(
            "PUT",
            "/collections/docs/index",
            json!({"field_name": "a", "field_schema": {"type": "keyword", "on_disk": false}}),
            &["field_name", "field_schema"],
        ),
        sample("POST", "/cluster/nodes", nodes, &["node_id", "host", "port"]),
        sample("PUT", "/quiver/v1/nodes/node1/labels", json!({"labels": {"zone": "a"}}), &["labels"]),
        sample("PUT", "/quiver/v1/timings", timings, &[]),
        sample("POST", "/quiver/v1/shards/0/move", json!({"from": "node1", "to": "node1"}), &["from", "to"]),
        sample("POST", "/quiver/v1/shards/0/leader", json!({"to": "node1"}), &["to"]),
        sample("PUT", "/quiver/v1/faults", faults, &[]),
    ]
}

/// The way to every value in a body.
fn ways(value: &Value, at: &str, into: &mut Vec<String>) {
    let mut step = |name: String, value: &Value| {
        into.push(name.clone());
        ways(value, &name, into);
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| step(format!("{at}/{}", name.replace('/', "~1")), value));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(place, value)| step(format!("{at}/{place}"), value)),
        _ => {}
    }
}

pub(in crate::gateway::tests) fn check_words(request: &str, answered: &Answered) {
    let text = answered.error();
    let word = |word: &str| RUST.contains(&word);
    assert!(!text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(word), "{request}: {text}");
    assert!(!PHRASES.iter().any(|phrase| text.contains(phrase)), "{request}: {text}");
}

#[tokio::test]
async fn a_wrong_type_is_told_in_plain_words_and_by_its_member() {
    let wrong = [
        json!(null),
        json!(true),
        json!(5),
        json!(-5),
        json!(1.5),
        json!(1e300),
        json!("x"),
        json!("ünï"),
        json!([]),
        json!([1]),
        json!([[]]),
        json!({}),
        json!({"x": 1}),
    ];
    let (router, _) = docs().await;
    let mut refused = 0;
    for Sample { method, path, body, .. } in samples() {
        let mut all = vec![String::new()];
        ways(&body, "", &mut all);
        for way in all {
            for value in &wrong {
                let mut body = body.clone();
                *body.pointer_mut(&way).unwrap() = value.clone();
                let request = format!("{method} {path} with {value} at {way}");
                let answered = call(&router, method, path, &body.to_string()).await;
                if answered.status.is_success() {
                    continue;
                }
                refused += 1;
                assert_ne!(answered.code(), "malformed_json", "{request}: {}", answered.body);
                let ours = [501, 502].contains(&answered.status.as_u16());
                assert!(answered.status.as_u16() < 500 || ours, "{request}: {}", answered.body);
                check_words(&request, &answered);
                if !way.is_empty() && answered.status == 400 {
                    let field = answered.detail("field").as_str().unwrap_or_default();
                    assert!(!field.is_empty(), "{request} names no member: {}", answered.body);
                }
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[tokio::test]
async fn null_means_absent_for_every_optional_member() {
    for Sample { method, path, body, required } in samples() {
        // The samples hold every member there is: an error about one that is not names those.
        let (router, _) = docs().await;
        let refused = call(&router, method, path, &json!({"no such member": 1}).to_string()).await;
        let known = refused.refused(400, "unknown_field").error().to_owned();
        let known: Vec<&str> = known.split("known here are ").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        let sent: Vec<&String> = body.as_object().unwrap().keys().collect();
        for member in known.iter().filter(|member| **member != body_path(&known)) {
            assert!(sent.iter().any(|sent| sent == member), "{method} {path} knows {member}, and the sample does not");
            assert!(front_page::REFERENCE.contains(&format!("`{member}`")), "{member} is not in src/api/README.md");
        }
        for member in sent.into_iter().filter(|member| !required.contains(&member.as_str())) {
            let (mut absent, mut null) = (body.clone(), body.clone());
            absent.as_object_mut().unwrap().remove(member);
            null[member] = json!(null);
            let fresh = docs().await.0;
            let absent = call(&fresh, method, path, &absent.to_string()).await;
            let fresh = docs().await.0;
            let null = call(&fresh, method, path, &null.to_string()).await;
            let request = format!("{method} {path}: {member}");
            assert_eq!(null.status, absent.status, "{request}: {} {}", null.body, absent.body);
            assert_eq!(null.error(), absent.error(), "{request}");
        }
    }
}

/// What follows the list of members: the path of the one that is unknown.
fn body_path<'a>(known: &[&'a str]) -> &'a str {
    known.last().copied().unwrap_or_default()
}

#[tokio::test]
async fn query_strings_and_paths_are_told_in_plain_words() {
    let (router, _) = docs().await;
    for (method, path) in [
        ("GET", "/vectors/docs/1?timeout_ms=soon"),
        ("GET", "/vectors/docs/1?with_payload=maybe"),
        ("GET", "/vectors/docs/1?consistency=most"),
        ("GET", "/vectors/docs/1?colour=red"),
        ("GET", "/vectors/docs/1?timeout_ms=1&timeout_ms=2"),
        ("DELETE", "/vectors/docs/1?request_id=seven"),
        ("DELETE", "/collections/docs/index/a?wait=perhaps"),
        ("DELETE", "/collections/docs/index/a?ordering=none"),
        ("POST", "/quiver/v1/rebalance?dry_run=1"),
        ("GET", "/quiver/v1/groups/0/log?last=-1"),
        ("GET", "/quiver/v1/groups/first/log"),
        ("GET", "/quiver/v1/shards/first"),
        ("GET", "/vectors/docs/seven"),
        ("GET", "/vectors/docs/%ff"),
    ] {
        let answered = call(&router, method, path, "").await.refused(400, "invalid_input");
        check_words(path, &answered);
    }
    let taken = "/vectors/docs/1?timeout_ms=500&with_payload=false&consistency=Majority";
    get(&router, taken).await.refused(404, "point_not_found");
    let late = get(&router, "/vectors/docs/1?timeout_ms=soon").await;
    assert!(
        late.error().contains("`timeout_ms`: a whole number") && late.error().contains("\"soon\""),
        "{}",
        late.error()
    );
}

#[tokio::test]
async fn a_broken_body_is_told_in_plain_words() {
    let (router, _) = docs().await;
    let good = r#"{"collection":"docs","vectors":[{"id":1,"vector":[1,-0.5e1,0],"payload":{"a":"\u00e9\n","b":[true,null]}}]}"#;
    for end in (0..good.len()).filter(|end| good.is_char_boundary(*end)) {
        let answered = call(&router, "POST", "/vectors", &good[..end]).await.refused(400, "malformed_json");
        check_words(&good[..end], &answered);
        for letter in ["x", "\"", "}", "]", ",", ":", "\\", "\n", "\u{1}", "0", "-", "{", "["] {
            let broken = format!("{}{letter}{}", &good[..end], &good[end..]);
            let answered = call(&router, "POST", "/vectors", &broken).await;
            if !answered.status.is_success() {
                check_words(&broken, &answered);
            }
        }
    }
    let number =
        call(&router, "POST", "/vectors", &good.replace("-0.5e1", "1e999")).await.refused(400, "invalid_input");
    assert_eq!(number.detail("field"), "vectors[0].vector[1]");
    let typed = post(&router, "/collections", json!({"name": "x", "consistency_level": true})).await;
    let typed = typed.refused(400, "invalid_input");
    assert_eq!(typed.detail("field"), "consistency_level");
    assert!(typed.error().contains("`majority`") && typed.error().contains("true was given"), "{}", typed.error());
}
