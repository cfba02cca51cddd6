//! The attacks, each with the bytes that it sends. `Owed::Refusal` stands where HTTP leaves a choice.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::exchange::{AttackMove, Owed, Then};
use super::{Attack, COLLECTION, POINTS, SIZE};

use Owed::{Answers, End, Nothing, Refusal};
use Then::{ClosesHalf, Drips, Ignores, Reads};

/// Far more than a body may have.
const GIB: usize = 1 << 30;
/// Between two moves: so that a harness of many does not only measure itself; so that those who are sent home come again; so
/// that they do not.
const SHORT: Duration = Duration::from_millis(5);
const AGAIN: Duration = Duration::from_secs(1);
const FOR_GOOD: Duration = Duration::from_secs(3_600);

fn make(name: &'static str, bytes: impl Into<Vec<u8>>, then: Then, owed: Owed) -> AttackMove {
    AttackMove { name, bytes: bytes.into(), then, owed }
}

/// A request without a body, the last of its connection.
fn get(host: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\r\n").into_bytes()
}

/// A request with a body, the last of its connection.
fn post(host: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let type_of = if headers.contains("content-type") { "" } else { "content-type: application/json\r\n" };
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{type_of}{headers}connection: close\r\n");
    let length = format!("content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), length.as_bytes(), body].concat()
}

/// A request whose body comes in pieces, as they are given.
fn chunked(host: SocketAddr, headers: &str, pieces: &str) -> Vec<u8> {
    let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n";
    format!("POST /search HTTP/1.1\r\nhost: {host}\r\n{head}{headers}\r\n{pieces}").into_bytes()
}

/// Bytes with a mark in them, which is replaced by what no text may have.
fn marked(mut text: Vec<u8>, raw: &[u8]) -> Vec<u8> {
    if let Some(place) = text.iter().position(|byte| *byte == b'~') {
        text.splice(place..=place, raw.iter().copied());
    }
    text
}

fn search() -> String {
    json!({"collection": COLLECTION, "vector": vec![1; SIZE], "limit": 1}).to_string()
}

/// All attacks on the port at `host`.
pub fn attacks(host: SocketAddr) -> Vec<Attack> {
    let attack = |name, crowd, moves| Attack { name, crowd, lasting: false, rest: SHORT, moves };
    let lasting = |name, crowd, rest, moves| Attack { lasting: true, rest, ..attack(name, crowd, moves) };
    vec![
        lasting("idle sockets", 20_000, FOR_GOOD, silent()),
        lasting("idle sockets that come again", 6_000, AGAIN, silent()),
        lasting("slow head", 2_000, SHORT, slow_heads(host)),
        attack("slow body", 2_000, slow_bodies(host)),
        attack("1 GiB announced, nothing sent", 1_000, announced(host)),
        lasting("slow reader", 200, SHORT, unread(host)),
        attack("half-closed sockets", 200, half_closed(host)),
        attack("header floods", 64, floods(host)),
        attack("pipelining", 32, pipelines(host)),
        attack("chunk extensions", 32, extensions(host)),
        attack("length and chunks together", 32, lengths(host)),
        attack("null bytes and non-UTF-8", 32, no_text(host)),
        attack("deep JSON", 32, deep(host)),
        attack("gzip bodies", 32, coded(host)),
        attack("pages of other sites, foreign names", 32, foreign(host)),
    ]
}

fn silent() -> Vec<AttackMove> {
    vec![make("a socket that says nothing", "", Reads, End)]
}

fn slow_heads(host: SocketAddr) -> Vec<AttackMove> {
    let started = format!("GET /health HTTP/1.1\r\nhost: {host}\r\n");
    vec![
        make("a head that stops", started.clone(), Reads, End),
        make("a head by single bytes", format!("{started}x: "), Drips(b"y"), End),
        make("a request line that stops", "GET /hea", Reads, End),
    ]
}

fn slow_bodies(host: SocketAddr) -> Vec<AttackMove> {
    let headers = "content-type: application/json\r\nconnection: close\r\ncontent-length: 33554432\r\n";
    let head = format!("POST /search HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n{{");
    let pieces = chunked(host, "", "1\r\n{\r\n");
    vec![
        make("a body that stops", head.clone(), Reads, Answers(408, 1)),
        // What is still sent when the node closes may cost the sender the answer.
        make("a body by single bytes", head, Drips(b" "), Refusal),
        make("pieces by the drop", pieces, Drips(b"1\r\n \r\n"), Refusal),
    ]
}

fn announced(host: SocketAddr) -> Vec<AttackMove> {
    let head = |more: &str| {
        format!(
            "POST /vectors HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{more}connection: close\r\n\
             content-length: {GIB}\r\n\r\n"
        )
    };
    vec![
        make("1 GiB announced", head(""), Reads, Answers(408, 1)),
        make("1 GiB announced, waiting for leave", head("expect: 100-continue\r\n"), Reads, Answers(413, 1)),
        make("a piece of 1 GiB announced", chunked(host, "", "40000000\r\n"), Reads, Answers(408, 1)),
    ]
}

fn unread(host: SocketAddr) -> Vec<AttackMove> {
    let all = json!({"collection": COLLECTION, "vector": vec![1; SIZE], "limit": POINTS, "with_vector": true});
    vec![make("an answer that is not read", post(host, "/search", "", all.to_string().as_bytes()), Ignores, Nothing)]
}

fn half_closed(host: SocketAddr) -> Vec<AttackMove> {
    let whole = post(host, "/search", "", search().as_bytes());
    let part = whole[..whole.len() - 5].to_vec();
    vec![
        make("half closed at once", "", ClosesHalf, End),
        make("half closed in the head", "GET /health HTTP/1.1\r\nho", ClosesHalf, End),
        make("half closed in the body", part, ClosesHalf, Answers(408, 1)),
        make("half closed after the request", whole, ClosesHalf, Answers(200, 1)),
    ]
}

fn floods(host: SocketAddr) -> Vec<AttackMove> {
    let many: String = (0..1_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = "y".repeat(1 << 20);
    vec![
        make("a thousand headers", get(host, "/health", &many), Reads, Refusal),
        make("a header of 1 MiB", get(host, "/health", &format!("x: {long}\r\n")), Reads, Refusal),
        make("a path of 1 MiB", get(host, &format!("/{long}"), ""), Reads, Refusal),
        make("trailers without end", chunked(host, "", &format!("0\r\n{}", many.repeat(20))), Reads, Refusal),
    ]
}

fn pipelines(host: SocketAddr) -> Vec<AttackMove> {
    let open = format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let many = |count: usize| [open.repeat(count - 1).into_bytes(), get(host, "/health", "")].concat();
    let found = search();
    let one =
        format!("POST /search HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{found}", found.len()).into_bytes();
    let searches = [one.repeat(99), post(host, "/search", "", found.as_bytes())].concat();
    vec![
        make("a thousand requests at once", many(1_000), Reads, Answers(200, 1_000)),
        make("a hundred searches at once", searches, Reads, Answers(200, 100)),
    ]
}

fn extensions(host: SocketAddr) -> Vec<AttackMove> {
    let body = search();
    let few = format!("{:x};name=value\r\n{body}\r\n0;last\r\n\r\n", body.len());
    let long = format!("1;{}\r\n \r\n0\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("1;{}\r\n \r\n", "a".repeat(200)).repeat(5_000);
    vec![
        make("a short extension", chunked(host, "", &few), Reads, Answers(200, 1)),
        make("an extension of 1 MiB", chunked(host, "", &long), Reads, Refusal),
        make("extensions of many pieces", chunked(host, "", &many), Reads, Refusal),
        make("a piece whose length is no number", chunked(host, "", "zz\r\n{}\r\n0\r\n\r\n"), Reads, Answers(400, 1)),
        make(
            "a piece whose length is too large",
            chunked(host, "", "fffffffffffffffff\r\n{}\r\n"),
            Reads,
            Answers(400, 1),
        ),
        make("a piece that ends elsewhere", chunked(host, "", "1\r\n{}\r\n0\r\n\r\n"), Reads, Answers(400, 1)),
        make("pieces that stop", chunked(host, "", "2\r\n{"), ClosesHalf, Answers(408, 1)),
    ]
}

fn lengths(host: SocketAddr) -> Vec<AttackMove> {
    let second = String::from_utf8_lossy(&get(host, "/health", "")).into_owned();
    let body = search();
    let pieces = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let open = |headers: &str| format!("POST /search HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n");
    let both = open("content-length: 6\r\ntransfer-encoding: chunked\r\n");
    let other = open("content-length: 6\r\ntransfer-encoding: xchunked\r\n");
    let coded = |codings| format!("{}{pieces}", open(&format!("connection: close\r\n{codings}")));
    vec![
        // The pieces count, and what follows them is not a second request.
        make("length and pieces", format!("{both}{pieces}{second}"), Reads, Answers(200, 1)),
        make("length, and pieces that are empty", format!("{both}0\r\n\r\n{second}"), Reads, Answers(400, 1)),
        make("length and an unknown coding", format!("{other}0\r\n\r\n{second}"), Reads, Answers(400, 1)),
        make("pieces of gzip", coded("transfer-encoding: gzip, chunked\r\n"), Reads, Answers(400, 1)),
        make(
            "pieces of gzip, in two headers",
            coded("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n"),
            Reads,
            Answers(400, 1),
        ),
        make(
            "two lengths",
            format!("{}{{}}", open("content-length: 2\r\ncontent-length: 3\r\n")),
            Reads,
            Answers(400, 1),
        ),
        make("a negative length", open("content-length: -1\r\n"), Reads, Answers(400, 1)),
        make(
            "a length beyond all numbers",
            open("content-length: 99999999999999999999999\r\n"),
            Reads,
            Answers(400, 1),
        ),
    ]
}

fn no_text(host: SocketAddr) -> Vec<AttackMove> {
    let (path, query) = (get(host, "/collections/~", ""), get(host, "/vectors/docs/1?consistency=~", ""));
    let (value, name) = (get(host, "/health", "x: ~\r\n"), get(host, "/health", "x~: y\r\n"));
    let kind = post(host, "/search", "content-type: ~\r\n", b"{}");
    let body = post(host, "/collections", "", b"{\"name\":\"~\",\"vector_size\":2}");
    let (null, none): (&[u8], &[u8]) = (b"\0", b"\xff");
    let name_of_host = b"GET /health HTTP/1.1\r\nhost: ~\r\nconnection: close\r\n\r\n".to_vec();
    vec![
        make("null in the path", marked(path.clone(), null), Reads, Answers(400, 1)),
        make("no UTF-8 in the path", marked(path.clone(), none), Reads, Answers(400, 1)),
        make("no UTF-8 in the path, in percent", marked(path.clone(), b"%ff"), Reads, Answers(400, 1)),
        make("null in the path, in percent", marked(path, b"%00"), Reads, Answers(404, 1)),
        make("null in the query", marked(query.clone(), null), Reads, Answers(400, 1)),
        make("no UTF-8 in the query", marked(query.clone(), none), Reads, Answers(400, 1)),
        make("no UTF-8 in the query, in percent", marked(query, b"%ff"), Reads, Answers(400, 1)),
        make("null in a header", marked(value.clone(), null), Reads, Answers(400, 1)),
        make("no UTF-8 in a header that means nothing", marked(value, none), Reads, Answers(200, 1)),
        make("null in a header's name", marked(name.clone(), null), Reads, Answers(400, 1)),
        make("no UTF-8 in a header's name", marked(name, none), Reads, Answers(400, 1)),
        make("no UTF-8 in the type", marked(kind, none), Reads, Answers(415, 1)),
        make("no UTF-8 in the host", marked(name_of_host, none), Reads, Answers(403, 1)),
        make("null in the body", marked(body.clone(), null), Reads, Answers(400, 1)),
        // As long as the mark: the length was announced.
        make("no UTF-8 in the body", marked(body, none), Reads, Answers(400, 1)),
        make(
            "null in a name, escaped",
            post(host, "/collections", "", br#"{"name":"\u0000"}"#),
            Reads,
            Answers(400, 1),
        ),
        make("half a surrogate", post(host, "/collections", "", br#"{"name":"\ud800"}"#), Reads, Answers(400, 1)),
    ]
}

fn deep(host: SocketAddr) -> Vec<AttackMove> {
    let (lists, objects) = ("[".repeat(1_000_000), "{\"a\":".repeat(200_000));
    let payload = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let point = format!(r#"{{"collection":"docs","vectors":[{{"id":1,"vector":[1],"payload":{{"a":{payload}}}}}]}}"#);
    let clause = format!("{}{{}}{}", "{\"must\":[".repeat(10_000), "]}".repeat(10_000));
    let filter = format!(r#"{{"collection":"docs","vector":[1],"filter":{clause}}}"#);
    vec![
        make("a million lists", post(host, "/search", "", lists.as_bytes()), Reads, Answers(400, 1)),
        make("objects in objects", post(host, "/vectors", "", objects.as_bytes()), Reads, Answers(400, 1)),
        make("a deep payload", post(host, "/vectors", "", point.as_bytes()), Reads, Answers(400, 1)),
        make("a deep filter", post(host, "/search", "", filter.as_bytes()), Reads, Answers(400, 1)),
    ]
}

fn coded(host: SocketAddr) -> Vec<AttackMove> {
    let zipped = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &vec![0; 1 << 16]].concat();
    let with = |coding: &str| post(host, "/vectors", &format!("content-encoding: {coding}\r\n"), &zipped);
    vec![
        make("gzip", with("gzip"), Reads, Answers(415, 1)),
        make("deflate", with("deflate"), Reads, Answers(415, 1)),
        make("gzip of gzip", with("gzip, gzip"), Reads, Answers(415, 1)),
    ]
}

fn foreign(host: SocketAddr) -> Vec<AttackMove> {
    let planted = json!({"name": "planted", "vector_size": 2}).to_string();
    let by = |headers: &str| post(host, "/collections", headers, planted.as_bytes());
    let rebound = "GET /collections HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let origin = "origin: http://evil.example\r\n";
    let headed = |target: &str, hosts: &str| format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    let ours = format!("host: {host}\r\n");
    let (twice, elsewhere) = (format!("{ours}host: evil.example\r\n"), "http://evil.example/health");
    let long = format!("/{}", "y".repeat(60_000));
    vec![
        make("a page of another site", by(&format!("{origin}sec-fetch-site: cross-site\r\n")), Reads, Answers(403, 1)),
        make("a page of another site, in an older browser", by(origin), Reads, Answers(403, 1)),
        make("a foreign name", rebound, Reads, Answers(403, 1)),
        make("two names", headed("/health", &twice), Reads, Answers(400, 1)),
        make("the same name twice", headed("/health", &format!("{ours}{ours}")), Reads, Answers(400, 1)),
        make("no name", headed("/health", ""), Reads, Answers(400, 1)),
        make("another name in the target", headed(elsewhere, &ours), Reads, Answers(400, 1)),
        make("the same name in the target", headed(&format!("http://{host}/health"), &ours), Reads, Answers(200, 1)),
        make("a long path", headed(&long, &ours), Reads, Answers(404, 1)),
    ]
}
