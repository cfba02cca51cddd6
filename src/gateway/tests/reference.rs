//! The reference names every route, member, code and limit; what it says of itself is held here.

use super::*;
use crate::api::ErrorCode;
use crate::gateway::Limits;
use crate::gateway::node::front_page::REFERENCE;
use crate::model::limits;

/// `METHOD /path` of every route: the gateway's table, and the console's pages, without those of the demo, which is another
/// server.
fn routes() -> Vec<String> {
    let own = crate::gateway::routes(&fake::state(8).0);
    let own = own.described().iter().map(|route| format!("{} {}", route.method, route.path));
    let console = include_str!("../../console/mod.rs");
    let console = console.split(".route(\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let console = console.filter(|(path, _)| !path.starts_with("/app")).map(|(path, _)| format!("GET {path}"));
    own.chain(console).collect()
}

#[test]
fn every_route_is_named() {
    let routes = routes();
    assert!(routes.len() > 45, "{routes:?}");
    for route in routes {
        assert!(REFERENCE.contains(&format!("`{route}`")), "{route} is not in src/api/README.md");
    }
}

#[test]
fn every_code_is_named() {
    for code in ErrorCode::ALL {
        assert!(REFERENCE.contains(&format!("`{}`", code.as_str())), "{code:?} is not in src/api/README.md");
    }
}

#[test]
fn every_limit_is_named() {
    let said = Limits::default();
    for (number, words) in [
        (said.body_bytes, "32 MiB"),
        (said.batch, "10,000 (`max_batch`)"),
        (said.limit, "10,000 (`max_limit`)"),
        (said.searches, "1,000 (`max_searches`)"),
        (said.collections, "10,000 (`max_collections`)"),
        (said.in_flight, "1,024 (`in_flight`)"),
        (said.default_timeout.as_secs() as usize, "10 s; at most 600 s"),
        (limits::MAX_VECTOR_SIZE, "65,535"),
        (limits::MAX_VECTORS_PER_COLLECTION, "64, with names of up to 255 bytes"),
        (limits::MAX_INDEXED_FIELDS, "indexed fields of a collection | 64"),
        (limits::MAX_PAYLOAD_BYTES, "1 MiB as compact JSON"),
        (limits::MAX_PAYLOAD_DEPTH, "64 deep"),
        (limits::MAX_FILTER_DEPTH, "16 deep"),
        (limits::MAX_FILTER_CONDITIONS, "1,000 conditions"),
        (limits::MAX_FILTER_VALUES, "10,000 values"),
        (limits::MAX_PATH_BYTES, "paths of 1,024 bytes"),
        (limits::MAX_REMEMBERED_REQUESTS, "524,288"),
    ] {
        assert!(REFERENCE.contains(words), "{words} is not in src/api/README.md");
        let digits: String = words.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',').collect();
        let count: usize = digits.replace(',', "").parse().unwrap_or(number);
        assert_eq!(count << if words.contains("MiB") { 20 } else { 0 }, number, "{words}");
    }
}

#[tokio::test]
async fn the_front_door_leads_everywhere() {
    let (router, _) = docs().await;
    let front = get(&router, "/").await.ok().body;
    assert_eq!((&front["title"], &front["version"]), (&json!("Quiver"), &json!(env!("CARGO_PKG_VERSION"))));
    for (name, path) in front["links"].as_object().unwrap() {
        let there = get(&router, path.as_str().unwrap()).await;
        assert_eq!(there.status, StatusCode::OK, "{name}: {}", there.body);
    }
    assert!(get(&router, "/reference").await.body.as_str().unwrap().starts_with("# The HTTP API"));
}
