//! What was asked once is done once: writes whose copies come late, changes of the map whose answers were lost,
//! collections that were dropped.

use std::time::Duration;

use raft_groups::mutants::{Mutant, plant};

use super::*;
use crate::engine::{CountQuery, Refusal, Selector};
use crate::model::Consistency;
use crate::placement::{META, MetaCommand, MetaReply};
use crate::routing::testing::Fault;
use crate::routing::{Acknowledge, Committed, RouteError, Router};

#[tokio::test(start_paused = true)]
async fn who_does_not_know_the_time_asks_for_it_with_the_first_write_alone() {
    let (cluster, docs) = docs().await;
    cluster.0.lock().asks_for_dates = true;
    let router = cluster.router(None);
    let upsert = |id: u64, request: u128| {
        let options = CallOptions { request_id: RequestId(uuid::Uuid::from_u128(request)), ..options() };
        router.upsert(&docs, vec![point(id)], Acknowledge::Committed, options)
    };
    upsert(1, 1).await.unwrap();
    let before = cluster.requests();
    upsert(1, 2).await.unwrap();
    assert_eq!(cluster.requests(), before + 1);
    // After a long silence what this process knows is too old, and it asks once more.
    tokio::time::sleep(Duration::from_secs(200)).await;
    cluster.pass(Duration::from_secs(200));
    let before = cluster.requests();
    upsert(1, 3).await.unwrap();
    assert_eq!(cluster.requests(), before + 2);
    assert_eq!(cluster.points(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_finds_its_outcome_for_as_long_as_is_promised() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    let first = router.upsert(&docs, vec![point(1)], Acknowledge::Committed, options()).await.unwrap();
    let other = CallOptions { request_id: RequestId(uuid::Uuid::from_u128(78)), ..options() };
    router.upsert(&docs, vec![point(1)], Acknowledge::Committed, other).await.unwrap();
    cluster.pass(Duration::from_secs(14 * 60));
    let retry = router.upsert(&docs, vec![point(1)], Acknowledge::Committed, options()).await.unwrap();
    assert_eq!(retry.results, first.results);
}

#[tokio::test(start_paused = true)]
async fn what_gateways_name_is_forgotten_when_its_time_is_over() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    let by_gateway = || CallOptions { made_by: MadeBy::Gateway, ..options() };
    let first = router.upsert(&docs, vec![point(1)], Acknowledge::Committed, by_gateway()).await.unwrap();
    cluster.pass(Duration::from_secs(14 * 60));
    let again = router.upsert(&docs, vec![point(1)], Acknowledge::Committed, by_gateway()).await.unwrap();
    assert!(again.results[0].version > first.results[0].version);
}

/// Creates `a` so that the answer is lost, drops it before the repetition, and asks whether it is there in the end.
async fn create_lose_drop_repeat() -> bool {
    let cluster = FakeCluster::new(3, 1);
    let router = cluster.router(Some(2));
    cluster.fault(1, Fault::AnswerLost);
    let create =
        tokio::spawn(async move { router.create_collection("a", vectors(2), Consistency::Quorum, soon()).await });
    while cluster.map().collections.is_empty() {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    // The meta group's leader takes the drop before the repetition gets there.
    let id = cluster.map().collections["a"].id;
    let drop = MetaCommand::DropCollection { name: "a".to_owned(), id };
    cluster.change_map(&drop);
    let created = create.await.unwrap();
    assert!(created.is_ok_and(|created| !created.existed), "it was created, once");
    cluster.map().collections.contains_key("a")
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_does_not_bring_a_dropped_collection_back() {
    assert!(!create_lose_drop_repeat().await);
}

#[tokio::test(start_paused = true)]
async fn a_map_that_repeats_changes_is_caught() {
    let _planted = plant(Mutant::RepeatsMapChanges);
    assert!(create_lose_drop_repeat().await, "the bug is a collection that was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_begins_one_operation() {
    let cluster = FakeCluster::new(3, 1);
    let router = cluster.router(Some(2));
    cluster.fault(1, Fault::AnswerLost);
    let reply = router.change_map(MetaCommand::Rebalance { at_ms: 7 }, soon()).await.unwrap();
    assert!(matches!(reply, MetaReply::Begun { .. }));
    assert_eq!(cluster.map().operations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_create_makes_no_zombie() {
    let (cluster, docs) = docs().await;
    let (old, owner) = (cluster.router(None), cluster.router(Some(1)));
    assert!(owner.drop_collection("docs", soon()).await.unwrap());
    // The copy of an introduction that was held up since before the drop.
    let shards: Vec<_> = cluster.map().shards.keys().copied().collect();
    for told in old.introduce(&shards, &docs.entry, soon()).await {
        let refusal = Refusal::CollectionDropped { collection: docs.entry.id };
        assert_eq!(told, Err(RouteError::Refused { refusal }));
    }
    let recreated = owner.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
    // Who still believes in the old one writes to the new one.
    let written = old.upsert(&docs, points(20), Acknowledge::Committed, options()).await.unwrap();
    assert_eq!(written.results.len(), 20);
    let query = CountQuery { collection: recreated.collection.entry.id, filter: None };
    let found = owner.count(&recreated.collection, query, read(ReadMode::Lease)).await.unwrap();
    assert_eq!(found.value, 20);
}

#[tokio::test(start_paused = true)]
async fn shards_that_forget_drops_are_caught() {
    let (cluster, docs) = docs().await;
    let owner = cluster.router(Some(1));
    assert!(owner.drop_collection("docs", soon()).await.unwrap());
    let _planted = plant(Mutant::ForgetsDrops);
    let shards: Vec<_> = cluster.map().shards.keys().copied().collect();
    assert!(owner.introduce(&shards, &docs.entry, soon()).await.iter().all(Result::is_ok), "the bug is a zombie");
}

/// What becomes of a write by a door with an older map, where another door has said that the collection is gone while
/// whoever drops it has told the map and no shard.
async fn drop_by_halves(say_gone: impl AsyncFn(&Router, &Collection)) -> Result<usize, RouteError> {
    let (cluster, docs) = docs().await;
    let (old, other) = (cluster.router(None), cluster.router(Some(1)));
    old.collection("docs", soon()).await.unwrap();
    cluster.change_map(&MetaCommand::TakeOutCollection { name: "docs".to_owned(), id: docs.entry.id });
    other.read_map(soon()).await.unwrap();
    say_gone(&other, &docs).await;
    let written = old.upsert(&docs, points(20), Acknowledge::Committed, options()).await?;
    let query = CountQuery { collection: docs.entry.id, filter: None };
    let shown = match other.collection("docs", soon()).await {
        Ok(collection) => {
            other
                .count(&collection, CountQuery { collection: collection.entry.id, ..query }, read(ReadMode::Lease))
                .await
                .unwrap()
                .value
        }
        Err(_) => 0,
    };
    assert_eq!(shown, 20, "{} were acknowledged", written.results.len());
    Ok(written.results.len())
}

#[tokio::test(start_paused = true)]
async fn who_says_that_a_collection_is_gone_has_made_sure_of_it() {
    let gone = |result: Result<usize, RouteError>| matches!(result, Err(RouteError::CollectionNotFound { .. }));
    assert!(gone(
        drop_by_halves(async |other, _| assert!(!other.drop_collection("docs", soon()).await.unwrap())).await
    ));
    assert!(gone(
        drop_by_halves(async |other, _| {
            let found = other.collection("docs", soon()).await;
            assert!(matches!(found, Err(RouteError::CollectionNotFound { .. })));
        })
        .await
    ));
    // Who makes it anew gets a new one, and nothing lands in the old.
    let written = drop_by_halves(async |other, _| {
        let made = other.create_collection("docs", vectors(2), Consistency::Quorum, soon()).await.unwrap();
        assert!(!made.existed);
    });
    assert_eq!(written.await.unwrap(), 20);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "were acknowledged")]
async fn a_map_that_frees_names_early_is_caught() {
    let _planted = plant(Mutant::FreesNamesEarly);
    let _ = drop_by_halves(async |other, _| drop(other.drop_collection("docs", soon()).await)).await;
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_is_done_leaves_nothing_in_the_map() {
    let (cluster, _) = docs().await;
    assert!(cluster.router(Some(1)).drop_collection("docs", soon()).await.unwrap());
    assert!(cluster.map().leaving.is_empty() && cluster.map().collections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_goes_while_a_write_is_in_doubt_leaves_the_write_in_doubt() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    cluster.lead_all(Some(1));
    // A router that knows the shards' times: what it sends is carried out.
    let (nothing, other) = (Selector::Ids(vec![PointId::Num(1)]), RequestId(uuid::Uuid::from_u128(1)));
    let options_of_other = CallOptions { request_id: other, ..options() };
    router.delete(&docs, nothing, Acknowledge::Committed, options_of_other).await.unwrap();
    cluster.fault(1, Fault::AnswerLost);
    let write =
        tokio::spawn(async move { router.upsert(&docs, vec![point(1)], Acknowledge::Committed, options()).await });
    while cluster.points() == 0 {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    // What the write did is forgotten with its time, and then the collection goes.
    cluster.pass(Duration::from_secs(16 * 60));
    assert!(cluster.router(Some(1)).drop_collection("docs", soon()).await.unwrap());
    let error = write.await.unwrap().unwrap_err();
    assert_eq!(error.committed(), Committed::Unknown, "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_door_has_changed_holds_for_its_next_request() {
    let (cluster, _) = docs().await;
    let router = cluster.router(None);
    router.drop_collection("docs", soon()).await.unwrap();
    let error = router.collection("docs", soon()).await.unwrap_err();
    assert_eq!(error, RouteError::CollectionNotFound { name: "docs".to_owned() });
    router.create_collection("docs", vectors(3), Consistency::One, soon()).await.unwrap();
    assert_eq!(router.collection("docs", soon()).await.unwrap().entry.config, vectors(3));
    assert!(router.map().collections.contains_key("docs"));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_could_not_be_read_back_is_read_by_the_next_request() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    let id = docs.entry.id;
    // A router that knows the map's time: what it sends is carried out.
    let none = MetaCommand::DropCollection { name: "none".to_owned(), id };
    router.change_map(none, soon()).await.unwrap();
    cluster.lead(META, None);
    let change = {
        let (router, name) = (router.clone(), "docs".to_owned());
        let until = Instant::now() + Duration::from_millis(1_500);
        tokio::spawn(async move { router.change_map(MetaCommand::DropCollection { name, id }, until).await })
    };
    // The change is carried out by a leader that is lost with its answer, and with it whoever could be asked.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for node in 1..=3 {
        cluster.fault(node, Fault::AnswerLost);
    }
    cluster.lead(META, Some(1));
    while !cluster.map().collections.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cluster.lead(META, None);
    assert_eq!(change.await.unwrap().unwrap_err().committed(), Committed::Unknown);
    assert!(router.map().collections.contains_key("docs"), "nobody could be asked");
    let soon = || Instant::now() + Duration::from_millis(300);
    assert!(router.collection("docs", soon()).await.is_err(), "what may be gone is not taken for there");
    cluster.lead(META, Some(2));
    let error = router.collection("docs", soon()).await.unwrap_err();
    assert_eq!(error, RouteError::CollectionNotFound { name: "docs".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn a_change_of_something_else_keeps_no_collection_from_whoever_asks_for_it() {
    let (cluster, docs) = docs().await;
    let router = cluster.router(None);
    let (none, id) = (MetaCommand::DropCollection { name: "none".to_owned(), id: docs.entry.id }, docs.entry.id);
    router.change_map(none, soon()).await.unwrap();
    cluster.lead(META, None);
    let change = {
        let (router, until) = (router.clone(), Instant::now() + Duration::from_millis(1_500));
        let peer_addr = "there:2".to_owned();
        let moved = MetaCommand::Announce { node: 1, host: "there".to_owned(), port: 1, peer_addr, life: 9 };
        tokio::spawn(async move { router.change_map(moved, until).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    for node in 1..=3 {
        cluster.fault(node, Fault::AnswerLost);
    }
    cluster.lead(META, Some(1));
    while cluster.map().nodes[&1].host != "there" {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cluster.lead(META, None);
    assert_eq!(change.await.unwrap().unwrap_err().committed(), Committed::Unknown);
    let soon = || Instant::now() + Duration::from_millis(300);
    assert!(router.read_map(soon()).await.is_err(), "nobody leads the map");
    assert_eq!(router.collection("docs", soon()).await.unwrap().entry.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_successor_with_another_default_level_is_not_written_to_at_the_old_one() {
    let (cluster, docs) = docs().await;
    let (old, owner) = (cluster.router(None), cluster.router(Some(1)));
    owner.drop_collection("docs", soon()).await.unwrap();
    owner.create_collection("docs", vectors(2), Consistency::All, soon()).await.unwrap();
    let written = old.upsert(&docs, points(3), Acknowledge::Committed, options()).await;
    assert_eq!(written, Err(RouteError::CollectionReplaced { name: "docs".to_owned() }));
    assert_eq!(cluster.points(), 0);
    let now = old.collection("docs", soon()).await.unwrap();
    old.upsert(&now, points(3), Acknowledge::AppliedEverywhere, options()).await.unwrap();
}
