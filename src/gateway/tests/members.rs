//! Nodes that join and leave, as the door answers: statuses, guards, and that asking twice is asking once.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake::{self, FakeNode};
use super::{call, get, post};
use crate::gateway::Introduction;
use crate::placement::{MetaCommand, NodeState, OperationKind, planner};

/// A node that waits to be adopted at `port`.
fn waits(node: &FakeNode, name: &str, port: u16, incarnation: u8) {
    let entry = crate::placement::NodeEntry { incarnation: [incarnation; 16], ..fake::node(name, port) };
    node.introductions.lock().insert(port, Introduction { entry, cluster: None, taken: false });
}

fn question(name: &str, port: u16) -> Value {
    json!({"node_id": name, "host": "localhost", "port": port})
}

/// Decides and confirms whatever is to be decided, with all nodes well.
fn settle(node: &FakeNode) {
    for _ in 0..1000 {
        let map = node.cluster.map();
        for (group, placement) in map.placements().filter(|(_, placement)| !placement.settled) {
            let (planned, at) = (placement.planned, placement.confirmed_at + 1);
            node.cluster.change_map(&MetaCommand::Confirm { group, planned, members: placement.target.clone(), at });
        }
        let map = node.cluster.map();
        let nodes = map.nodes.keys().map(|node| (*node, planner::Liveness::Alive)).collect();
        let health = planner::Health { nodes, ..Default::default() };
        let Some(change) = planner::next(&map, &health, planner::PlanLimits::default()) else { return };
        node.cluster.change_map(&MetaCommand::Plan { epoch: map.epoch, at_ms: 1, change });
    }
    panic!("no rest");
}

#[tokio::test]
async fn a_node_is_adopted_once() {
    let (router, node) = fake::start();
    post(&router, "/cluster/nodes", question("node2", 8002)).await.refused(502, "node_unreachable");
    waits(&node, "node2", 8002, 2);
    let plan = post(&router, "/cluster/nodes?dry_run=true", question("node2", 8002)).await.ok();
    assert_eq!(plan.body["replication_factor"], json!([1, 2]));
    assert_eq!(node.cluster.map().nodes.len(), 1, "a dry run changes nothing");

    let joining = post(&router, "/cluster/nodes", question("node2", 8002)).await;
    assert_eq!(joining.status, StatusCode::ACCEPTED, "{}", joining.body);
    assert_eq!((&joining.body["state"], &joining.body["node_id"]), (&json!("joining"), &json!("node2")));
    let again = post(&router, "/cluster/nodes", question("node2", 8002)).await;
    assert_eq!((again.status, &again.body["operation_id"]), (StatusCode::ACCEPTED, &joining.body["operation_id"]));
    settle(&node);
    let known = post(&router, "/cluster/nodes", question("node2", 8002)).await.ok();
    assert_eq!((&known.body["operation_id"], &known.body["state"]), (&Value::Null, &json!("member")));
    let operation = joining.body["operation_id"].as_str().unwrap();
    let shown = get(&router, &format!("/quiver/v1/operations/{operation}")).await.ok();
    assert_eq!((&shown.body["kind"], &shown.body["state"]), (&json!("join"), &json!("done")));
    get(&router, "/quiver/v1/operations/op-99").await.refused(404, "operation_not_found");
}

#[tokio::test]
async fn who_cannot_be_that_node_is_refused() {
    let (router, node) = fake::start();
    waits(&node, "node2", 8002, 2);
    let other_name = post(&router, "/cluster/nodes", question("node3", 8002)).await.refused(409, "node_conflict");
    assert!(other_name.error().contains("is called `node2`"), "{}", other_name.error());
    // The same name at another address, and the same address with a later life.
    post(&router, "/cluster/nodes", question("node2", 8002)).await;
    waits(&node, "node2", 8009, 2);
    post(&router, "/cluster/nodes", question("node2", 8009)).await.refused(409, "node_conflict");
    waits(&node, "node2", 8002, 9);
    let later_life = post(&router, "/cluster/nodes", question("node2", 8002)).await.refused(409, "node_conflict");
    assert!(later_life.error().contains("later life"), "{}", later_life.error());
    let entry = fake::node("node4", 8004);
    let foreign = Introduction { entry, cluster: Some([9; 16]), taken: true };
    node.introductions.lock().insert(8004, foreign);
    let foreign = post(&router, "/cluster/nodes", question("node4", 8004)).await.refused(409, "node_conflict");
    assert!(foreign.error().contains("another cluster"), "{}", foreign.error());
}

/// A change that has begun goes on, whatever its client is told: so all that may be wrong is looked at before.
#[tokio::test]
async fn a_change_whose_options_are_refused_does_not_begin() {
    let (router, node) = fake::start();
    waits(&node, "node2", 8002, 2);
    post(&router, "/cluster/nodes", question("node2", 8002)).await;
    settle(&node);
    waits(&node, "node3", 8003, 3);
    let changes = [
        ("POST", "/cluster/nodes", question("node3", 8003)),
        ("POST", "/quiver/v1/nodes/node2/drain", Value::Null),
        ("POST", "/quiver/v1/nodes/node2/undrain", Value::Null),
        ("POST", "/quiver/v1/rebalance", Value::Null),
        ("POST", "/quiver/v1/shards/0/move", json!({"from": "node1", "to": "node2"})),
        ("DELETE", "/cluster/nodes/node2", Value::Null),
    ];
    let before = node.cluster.map().epoch;
    for (method, path, body) in &changes {
        for options in ["wait=true&timeout_ms=0", "timeout_ms=600001", "dry_run=true&timeout_ms=0", "wait=perhaps"] {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let refused = call(&router, method, &format!("{path}?{options}"), &body).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{method} {path}?{options}: {}", refused.body);
            assert_eq!(node.cluster.map().epoch, before, "{method} {path}?{options} began");
        }
    }
}

#[tokio::test]
async fn whoever_cannot_become_a_member_is_refused_at_once_with_the_way_out() {
    let own = fake::first_map().cluster;
    // What stands in the map, who answers at the address, and what is said to it.
    let states = [
        (None, Some(true), "removed"),
        (Some(NodeState::Leaving), Some(true), "op cancel op-1"),
        (Some(NodeState::Draining), Some(true), "undrain"),
        (Some(NodeState::Member), None, "does not answer"),
        (Some(NodeState::Draining), None, "does not answer"),
        (Some(NodeState::Leaving), None, "does not answer"),
    ];
    for (state, answers, words) in states {
        let mut map = fake::first_map();
        let entry = crate::placement::NodeEntry { incarnation: [2; 16], ..fake::node("node2", 8002) };
        if let Some(state) = state {
            map.apply(MetaCommand::AddNode { entry: entry.clone(), at_ms: 1 });
            let node = map.node_named("node2").unwrap();
            map.nodes.insert(node, crate::placement::NodeEntry { state, ..entry.clone() });
            map.replication_factor = map.wanted_factor.min(map.members()).max(1);
            let leave = OperationKind::Leave(node, entry.name.clone());
            map.operations.values_mut().for_each(|operation| operation.kind = leave.clone());
        }
        let (router, node) = fake::start_over(map);
        if let Some(taken) = answers {
            let introduction = Introduction { entry, cluster: Some(own), taken };
            node.introductions.lock().insert(8002, introduction);
        }
        for path in ["/cluster/nodes", "/cluster/nodes?dry_run=true"] {
            let refused = post(&router, path, question("node2", 8002)).await.refused(409, "node_conflict");
            assert!(refused.error().contains(words), "{state:?} {answers:?}: {}", refused.error());
        }
    }
    // One that is being taken in is waited for, also while it does not answer.
    let (router, node) = fake::start();
    waits(&node, "node2", 8002, 2);
    let joining = post(&router, "/cluster/nodes", question("node2", 8002)).await;
    node.introductions.lock().clear();
    let again = post(&router, "/cluster/nodes", question("node2", 8002)).await;
    assert_eq!((again.status, &again.body["operation_id"]), (StatusCode::ACCEPTED, &joining.body["operation_id"]));
}

#[tokio::test]
async fn the_last_node_and_majorities_are_guarded() {
    let (router, node) = fake::start();
    call(&router, "DELETE", "/cluster/nodes/node1", "").await.refused(409, "would_lose_data");
    call(&router, "DELETE", "/cluster/nodes/node1?force=true", "").await.refused(409, "would_lose_data");
    call(&router, "DELETE", "/cluster/nodes/node7", "").await.refused(404, "node_not_found");
    for (number, name) in [(2u8, "node2"), (3, "node3")] {
        waits(&node, name, 8000 + u16::from(number), number);
        post(&router, "/cluster/nodes", question(name, 8000 + u16::from(number))).await;
    }
    settle(&node);
    assert_eq!(node.cluster.map().replication_factor, 3);
    // Only node1 answers here, so nothing that needs a majority of three can be carried out.
    let guarded = call(&router, "DELETE", "/cluster/nodes/node2", "").await.refused(409, "would_lose_quorum");
    for words in ["1 of its 3", "force=true (`--force` on the command line)"] {
        assert!(guarded.error().contains(words), "{}", guarded.error());
    }
    let plan = call(&router, "DELETE", "/cluster/nodes/node2?dry_run=true", "").await.ok();
    assert!(!plan.body["obstacles"].as_array().unwrap().is_empty());
    let forced = call(&router, "DELETE", "/cluster/nodes/node2?force=true", "").await;
    assert_eq!((forced.status, &forced.body["state"]), (StatusCode::ACCEPTED, &json!("leaving")));
    assert!(forced.body["warnings"][0].as_str().unwrap().contains("replica"), "{}", forced.body);
    let id = forced.body["operation_id"].as_str().unwrap().to_owned();
    let again = call(&router, "DELETE", "/cluster/nodes/node2?force=true", "").await;
    assert_eq!(again.body["operation_id"], json!(id));
    // Called off: the node stays.
    let cancelled = call(&router, "DELETE", &format!("/quiver/v1/operations/{id}"), "").await.ok();
    assert_eq!(cancelled.body["state"], "cancelled");
    assert_eq!(node.cluster.map().nodes[&2].state, NodeState::Member);
}

#[tokio::test]
async fn the_plan_of_a_replacement_shows_the_join_and_the_departure() {
    let (router, node) = fake::start();
    waits(&node, "node2", 8002, 2);
    let mut asked = question("node2", 8002);
    asked["replaces"] = json!("node1");
    let plan = post(&router, "/cluster/nodes?dry_run=true", asked.clone()).await.ok();
    let moves = plan.body["moves"].as_array().unwrap();
    assert!(moves.iter().any(|row| row["from"] == "node1" && row["to"] == "node2"), "{}", plan.body);
    assert_eq!(plan.body["replication_factor"], json!([1, 1]));
    // It says what would be done, and does neither.
    let refused = post(&router, "/cluster/nodes", asked.clone()).await.refused(400, "invalid_input");
    assert!(refused.error().contains("dry_run=true"), "{}", refused.error());
    assert_eq!(node.cluster.map().nodes.len(), 1);
    asked["replaces"] = json!("node7");
    post(&router, "/cluster/nodes?dry_run=true", asked).await.refused(404, "node_not_found");
}

#[tokio::test]
async fn draining_labels_and_moves() {
    let (router, node) = fake::start();
    for number in 2..=3u8 {
        let (name, port) = (format!("node{number}"), 8000 + u16::from(number));
        waits(&node, &name, port, number);
        post(&router, "/cluster/nodes", question(&name, port)).await;
    }
    settle(&node);
    call(&router, "PUT", "/quiver/v1/nodes/node2/labels", r#"{"labels":{"zone":"a"}}"#).await.ok();
    let shown = get(&router, "/cluster/nodes/node2").await.ok();
    assert_eq!((&shown.body["labels"]["zone"], &shown.body["state"]), (&json!("a"), &json!("member")));
    let nowhere = json!({"from": "node1", "to": "node2"});
    post(&router, "/quiver/v1/shards/0/move", nowhere).await.refused(409, "not_possible");
    post(&router, "/quiver/v1/shards/9/move", json!({"from": "node1", "to": "node2"}))
        .await
        .refused(404, "shard_not_found");
    let leader = post(&router, "/quiver/v1/shards/0/leader", json!({"to": "node3"})).await;
    assert_eq!(leader.status, StatusCode::ACCEPTED);
    assert_eq!(get(&router, "/quiver/v1/shards/0").await.ok().body["preferred_leader"], "node3");
    let drain = post(&router, "/quiver/v1/nodes/node3/drain?force=true", json!({})).await;
    assert_eq!((drain.status, &drain.body["state"]), (StatusCode::ACCEPTED, &json!("draining")));
    settle(&node);
    let map = node.cluster.map();
    assert!(!map.holds_replicas(3), "{map:?}");
    assert_eq!(map.replication_factor, 2);
    let undrain = post(&router, "/quiver/v1/nodes/node3/undrain", json!({})).await;
    assert_eq!(undrain.status, StatusCode::ACCEPTED, "{}", undrain.body);
    settle(&node);
    assert!(node.cluster.map().holds_replicas(3));
    let rows = get(&router, "/quiver/v1/operations").await.ok();
    assert_eq!(rows.body["operations"].as_array().unwrap().len(), 4);
}
