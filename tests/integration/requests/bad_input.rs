//! Bad input: a 4xx in the contract's error body that names item and field; nothing applied, nothing lost, the node as
//! well as before.

use anyhow::{Context, Result, ensure};
use jepsen_lite::client::{AnswerClass, ApiAnswer, ApiClient};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::seed::seed;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{place, single};

/// One bad request: how it is sent, the statuses allowed, and words of which one must be in the answer.
struct Case {
    name: &'static str,
    method: Method,
    path: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    statuses: &'static [u16],
    /// Alternatives, each a set of words that must all be there.
    says: &'static [&'static [&'static str]],
}

fn case(
    name: &'static str,
    path: &'static str,
    body: impl Into<String>,
    statuses: &'static [u16],
    says: &'static [&'static [&'static str]],
) -> Case {
    Case {
        name,
        method: Method::POST,
        path,
        content_type: Some("application/json"),
        body: body.into().into_bytes(),
        statuses,
        says,
    }
}

/// A batch of a good point and a bad one, so that the position is worth naming and "nothing applied" can be seen.
fn batch(bad: &str) -> String {
    format!(r#"{{"collection":"c","vectors":[{{"id":100,"vector":[1,2,3,4]}},{bad}]}}"#)
}

fn upserts() -> Vec<Case> {
    let bad = |name, point: &str, says| case(name, "/vectors", batch(point), &[400, 422], says);
    vec![
        bad("too few components", r#"{"id":101,"vector":[1,2,3]}"#, &[&["1", "vector", "4", "3"]]),
        bad("too many components", r#"{"id":101,"vector":[1,2,3,4,5]}"#, &[&["1", "vector", "4", "5"]]),
        bad("no component", r#"{"id":101,"vector":[]}"#, &[&["vector"]]),
        bad("infinite by overflow", r#"{"id":101,"vector":[1,2,3,1e999]}"#, &[&["vector"], &["number out of range"]]),
        bad("infinite as f32", r#"{"id":101,"vector":[1,2,3,1e39]}"#, &[&["1", "vector", "finite"], &["out of range"]]),
        bad("null component", r#"{"id":101,"vector":[1,2,null,4]}"#, &[&["null"]]),
        bad("string component", r#"{"id":101,"vector":[1,2,"NaN",4]}"#, &[&["NaN"]]),
        bad("bare NaN", r#"{"id":101,"vector":[1,2,NaN,4]}"#, &[&["line", "column"], &["expected"]]),
        bad("zero vector under cosine", r#"{"id":101,"vector":[0,0,0,0]}"#, &[&["1", "vector", "zero"]]),
        bad("the same id twice", r#"{"id":100,"vector":[4,3,2,1]}"#, &[&["1", "id", "100"]]),
        bad("an id that is no UUID", r#"{"id":"not-a-uuid","vector":[1,2,3,4]}"#, &[&["not-a-uuid"]]),
        bad("a negative id", r#"{"id":-1,"vector":[1,2,3,4]}"#, &[&["id"], &["-1"]]),
        bad("a fractional id", r#"{"id":1.5,"vector":[1,2,3,4]}"#, &[&["id"], &["1.5"]]),
        bad("no id", r#"{"vector":[1,2,3,4]}"#, &[&["id"]]),
        bad("no vector", r#"{"id":101}"#, &[&["vector"]]),
        bad("a vector nobody named", r#"{"id":101,"vector":{"title":[1,2,3,4]}}"#, &[&["1", "title"]]),
        bad("a payload that is no object", r#"{"id":101,"vector":[1,2,3,4],"payload":[1]}"#, &[&["payload", "object"]]),
        bad("an unknown member of a point", r#"{"id":101,"vector":[1,2,3,4],"colour":1}"#, &[&["colour"]]),
        // Alone: a batch is all or nothing within a shard, and only a shard knows its versions.
        case(
            "a version that is not there",
            "/vectors",
            r#"{"collection":"c","vectors":[{"id":101,"vector":[1,2,3,4],"if_version":77}]}"#,
            &[412],
            &[&["77"]],
        ),
        case(
            "an unknown member",
            "/vectors",
            r#"{"collection":"c","vectors":[],"consistancy":"all"}"#,
            &[400, 422],
            &[&["consistancy"]],
        ),
        case(
            "an unknown level",
            "/vectors",
            r#"{"collection":"c","vectors":[{"id":1,"vector":[1,2,3,4]}],"consistency":"most"}"#,
            &[400, 422],
            &[&["most"]],
        ),
        case(
            "a request id that is no UUID",
            "/vectors",
            r#"{"collection":"c","vectors":[{"id":1,"vector":[1,2,3,4]}],"request_id":"r1"}"#,
            &[400, 422],
            &[&["request_id"], &["UUID"], &["uuid"]],
        ),
        case(
            "an unknown collection",
            "/vectors",
            r#"{"collection":"nope","vectors":[{"id":1,"vector":[1,2,3,4]}]}"#,
            &[404],
            &[&["nope"]],
        ),
        case(
            "malformed JSON",
            "/vectors",
            r#"{"collection":"c","vectors":[{"id":1,"#,
            &[400],
            &[&["line"], &["EOF"], &["JSON"]],
        ),
        case(
            "an array instead of an object",
            "/vectors",
            "[]",
            &[400, 422],
            &[&["an object is wanted", "an array was given"]],
        ),
        case("an empty body", "/vectors", "", &[400], &[&["empty"], &["EOF"], &["JSON"]]),
    ]
}

fn searches() -> Vec<Case> {
    let bad = |name, members: &str, says| {
        case(name, "/search", format!(r#"{{"collection":"c",{members}}}"#), &[400, 422], says)
    };
    let deep = format!("{}{}{}", r#"{"must":["#.repeat(200), r#"{"key":"a","match":{"value":1}}"#, "]}".repeat(200));
    vec![
        bad("a query of the wrong size", r#""vector":[1,2,3]"#, &[&["vector", "4", "3"]]),
        bad("a zero query under cosine", r#""vector":[0,0,0,0]"#, &[&["vector", "zero"]]),
        bad("an infinite query", r#""vector":[1,2,3,1e39]"#, &[&["vector", "finite"], &["out of range"]]),
        bad("limit 0", r#""vector":[1,2,3,4],"limit":0"#, &[&["limit"]]),
        bad(
            "a limit over the limit",
            r#""vector":[1,2,3,4],"limit":1000000"#,
            &[&["limit", "10000"], &["limit", "10,000"]],
        ),
        bad("a negative limit", r#""vector":[1,2,3,4],"limit":-5"#, &[&["limit"], &["-5"]]),
        bad("neither vector nor id", r#""limit":3"#, &[&["vector"]]),
        bad("both vector and id", r#""vector":[1,2,3,4],"id":1"#, &[&["vector", "id"]]),
        bad("an unknown member", r#""vector":[1,2,3,4],"limits":3"#, &[&["limits"]]),
        bad("an unknown parameter", r#""vector":[1,2,3,4],"params":{"hnsw_ef":3}"#, &[&["hnsw_ef"]]),
        bad("an unknown filter clause", r#""vector":[1,2,3,4],"filter":{"most":[]}"#, &[&["most"]]),
        bad(
            "an unknown condition",
            r#""vector":[1,2,3,4],"filter":{"must":[{"key":"a","matches":{"value":1}}]}"#,
            &[&["matches"]],
        ),
        bad(
            "a filter too deep",
            &format!(r#""vector":[1,2,3,4],"filter":{deep}"#),
            &[&["filter"], &["deep"], &["depth"], &["recursion"]],
        ),
        bad("a token nobody gave", r#""vector":[1,2,3,4],"after":"%%%""#, &[&["after"], &["token"]]),
        case("an unknown collection", "/search", r#"{"collection":"nope","vector":[1]}"#, &[404], &[&["nope"]]),
    ]
}

fn others() -> Vec<Case> {
    let create = |name, body: &str, statuses, says| case(name, "/collections", body, statuses, says);
    let mut cases = vec![
        create("a vector size of 0", r#"{"name":"x","vector_size":0}"#, &[400, 422], &[&["vector_size"], &["size"]]),
        create(
            "a vector size over the limit",
            r#"{"name":"x","vector_size":65536}"#,
            &[400, 413, 422],
            &[&["65535"], &["65,535"]],
        ),
        create("an unknown distance", r#"{"name":"x","distance":"hamming"}"#, &[400, 422], &[&["hamming"]]),
        create("an empty name", r#"{"name":""}"#, &[400, 422], &[&["name"]]),
        create("a name with a slash", r#"{"name":"a/b"}"#, &[400, 422], &[&["name"]]),
        create("an unknown member", r#"{"name":"x","shards":9}"#, &[400, 422], &[&["shards"]]),
        create(
            "codes that there are not",
            r#"{"name":"x","quantization":{"scalar":{}}}"#,
            &[400, 422, 501],
            &[&["quantization"]],
        ),
        create("other settings", r#"{"name":"c","vector_size":5}"#, &[409], &[&["c"]]),
    ];
    let by = |method, mut case: Case| {
        case.method = method;
        case
    };
    let delete = |name, body: &str, statuses, says| by(Method::DELETE, case(name, "/vectors", body, statuses, says));
    cases.extend([
        delete("neither ids nor filter", r#"{"collection":"c"}"#, &[400, 422], &[&["ids", "filter"]]),
        delete(
            "both ids and filter",
            r#"{"collection":"c","ids":[1],"filter":{}}"#,
            &[400, 422],
            &[&["ids", "filter"]],
        ),
        delete("an unknown collection", r#"{"collection":"nope","ids":[1]}"#, &[404], &[&["nope"]]),
        by(Method::DELETE, case("dropping an unknown collection", "/collections/nope", "", &[404, 200], &[])),
        by(Method::GET, case("an id in the path that is none", "/vectors/c/seven", "", &[400, 422], &[&["seven"]])),
        by(Method::GET, case("a collection in the path that is none", "/vectors/nope/1", "", &[404], &[&["nope"]])),
        by(
            Method::GET,
            case("an unknown query parameter", "/vectors/c/1?consistancy=all", "", &[400, 422], &[&["consistancy"]]),
        ),
        by(Method::GET, case("an unknown path", "/no/such/path", "", &[404], &[])),
        by(Method::PATCH, case("an unknown method", "/vectors", "{}", &[405], &[])),
        Case {
            content_type: Some("text/plain"),
            ..case(
                "a wrong content type",
                "/vectors",
                batch(r#"{"id":1,"vector":[1,2,3,4]}"#),
                &[400, 415],
                &[&["application/json"], &["content"], &["Content"]],
            )
        },
        case("invalid UTF-8", "/vectors", "", &[400], &[]),
    ]);
    if let Some(last) = cases.last_mut() {
        last.body = b"{\"collection\":\"\xff\xfe\"}".to_vec();
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_by_name_and_changes_nothing() -> Result<()> {
    let _place = place().await;
    seed("bad_input");
    let cluster = TestCluster::start(single("bad-input")).await?;
    let client = cluster.client(0);
    client.create_collection("c", 4, "cosine").await.ok()?;
    client
        .upsert("c", vec![json!({"id": 1, "vector": [1, 2, 3, 4], "payload": {"kept": true}})], json!({}))
        .await
        .ok()?;
    let before = state(&client).await?;
    let mut faults = Vec::new();
    for case in upserts().into_iter().chain(searches()).chain(others()) {
        let answer = client.send_raw(case.method.clone(), case.path, case.content_type, case.body.clone()).await;
        if let Err(fault) = judge(&case, &answer) {
            faults.push(format!("{} ({} {}): {fault:#}", case.name, case.method, case.path));
        }
        let after = state(&client).await?;
        ensure!(after == before, "{} changed something: {before} became {after}", case.name);
        ensure!(client.health().await.status == Some(200), "unhealthy after: {}", case.name);
    }
    huge_bodies(&client).await?;
    ensure!(state(&client).await? == before, "a huge body changed something");
    ensure!(faults.is_empty(), "{} bad answers:\n{}", faults.len(), faults.join("\n"));
    version_mismatch(&client).await?;
    cluster.finish()
}

/// Everything there is to change.
async fn state(client: &ApiClient) -> Result<Value> {
    let more = json!({"consistency": "all", "with_vector": true});
    let points = client.search("c", &[1.0, 1.0, 1.0, 1.0], 100, more).await.ok()?["results"].clone();
    let collections = client.get("/collections").await.ok()?["result"].clone();
    Ok(json!({"points": points, "collections": collections}))
}

fn judge(case: &Case, answer: &ApiAnswer) -> Result<()> {
    let status = answer.status.with_context(|| format!("no answer: {}", answer.problem))?;
    // A guard that fails is 412, whatever else is allowed; it stands in the table for the position of the item.
    let allowed = case.statuses.contains(&status) || (status == 412 && case.name.contains("version"));
    ensure!(allowed, "status {status} instead of {:?}: {}", case.statuses, answer.body);
    if status == 200 {
        return Ok(());
    }
    let members = &answer.body["status"];
    ensure!(
        !answer.message().is_empty() && !answer.code().is_empty(),
        "not the contract's error body: {}",
        answer.body
    );
    ensure!(members["committed"] == "no" && members["retryable"] == false, "{}", answer.body);
    ensure!(
        members["request_id"].is_string() && members["details"].is_object() && answer.body["time"].is_number(),
        "{}",
        answer.body
    );
    let text = answer.body.to_string();
    let said = case.says.is_empty() || case.says.iter().any(|words| words.iter().all(|word| text.contains(word)));
    ensure!(said, "it says none of {:?}: {text}", case.says);
    ensure!(!text.contains("panicked"), "{text}");
    Ok(())
}

/// Bodies over 32 MiB, announced and endless: refused, with the limit named where the answer can still be read.
async fn huge_bodies(client: &ApiClient) -> Result<()> {
    let mut body = br#"{"collection":"c","vectors":[],"x":""#.to_vec();
    body.resize((32 << 20) + 10, b'a');
    let answer = client.send_raw(Method::POST, "/vectors", Some("application/json"), body).await;
    ensure!(answer.status == Some(413) && answer.class == AnswerClass::Fail, "{}", answer.problem);
    ensure!(answer.body.to_string().contains("33554432"), "the limit is not named: {}", answer.body);
    let many: Vec<_> = (0..10_001).map(|id| json!({"id": id, "vector": [1, 2, 3, 4]})).collect();
    let answer = client.upsert("c", many, json!({})).await;
    ensure!(matches!(answer.status, Some(400 | 413 | 422)), "{}", answer.problem);
    ensure!(answer.body.to_string().contains("10000"), "the limit is not named: {}", answer.body);
    Ok(())
}

/// 412 with the current version, and nothing of the batch applied.
async fn version_mismatch(client: &ApiClient) -> Result<()> {
    let version = client.point("c", "1", "").await.ok()?["version"].as_u64().context("no version")?;
    let points = vec![json!({"id": 1, "vector": [4, 3, 2, 1], "if_version": version + 1})];
    let answer = client.upsert("c", points, json!({})).await;
    ensure!(answer.status == Some(412) && answer.class == AnswerClass::Fail, "{answer:?}");
    ensure!(
        answer.body["status"]["details"].to_string().contains(&version.to_string()),
        "the current version is not given: {}",
        answer.body
    );
    let points = vec![json!({"id": 1, "vector": [4, 3, 2, 1], "if_version": 0})];
    ensure!(
        client.upsert("c", points, json!({})).await.status == Some(412),
        "`if_version` 0 means that it must not exist"
    );
    let points = vec![json!({"id": 1, "vector": [4, 3, 2, 1], "if_version": version})];
    let body = client.upsert("c", points, json!({})).await.ok()?;
    ensure!(body["results"][0]["version"].as_u64() > Some(version), "{body}");
    Ok(())
}
