//! A shard's time over minutes and changes of leaders. It passes with real time and never faster. So a retry finds what
//! the first try did for as long as is promised, and what nobody may repeat any more is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::simulated_nodes::SimulatedNodes;
use super::{PATIENCE, create_collection, simulate};
use crate::engine::{MadeBy, Payload, PointId, PointWrite, RequestId};
use crate::placement::ShardId;
use crate::routing::{Acknowledge, CallOptions, Collection};

async fn written(world: &SimulatedNodes, collection: &Collection, request: u128, made_by: MadeBy) -> u64 {
    let vectors = BTreeMap::from([(String::new(), vec![1.0, 1.0])]);
    let point = PointWrite { id: PointId::Num(1), vectors, payload: Payload::default(), if_version: None };
    let began = Instant::now();
    loop {
        for router in world.routers() {
            let (request_id, deadline) = (RequestId(Uuid::from_u128(request)), Instant::now() + Duration::from_secs(2));
            let options = CallOptions { deadline, request_id, made_by };
            let point = point.clone();
            if let Ok(done) = router.upsert(collection, vec![point], Acknowledge::Committed, options).await {
                return done.results[0].version;
            }
        }
        assert!(began.elapsed() < PATIENCE, "nobody takes the write");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The greatest time that any replica of the shard has seen.
fn time_of(world: &SimulatedNodes) -> Duration {
    let times = world.groups(ShardId(0)).into_values().map(|group| group.machine().time_ms());
    Duration::from_millis(times.max().unwrap_or_default())
}

async fn story(seed: u64) {
    let mut world = SimulatedNodes::start(seed, 1).await;
    let began = Instant::now() - Duration::from_secs(1);
    let collection = create_collection(&world).await;
    let first = written(&world, &collection, 1, MadeBy::Client).await;
    let by_gateway = written(&world, &collection, 2, MadeBy::Gateway).await;
    assert!(by_gateway > first);
    let mut number = 100;
    for minute in 1..=4 {
        if minute % 3 == 0 {
            let victim = world.leader(Some(ShardId(0))).expect("somebody leads");
            world.crash(victim).await;
            sleep(Duration::from_secs(5)).await;
            world.start_node(victim).await;
        }
        sleep(Duration::from_secs(60)).await;
        number += 1;
        written(&world, &collection, number, MadeBy::Gateway).await;
        let (time, passed) = (time_of(&world), began.elapsed());
        assert!(time <= passed, "{time:?} were counted in {passed:?}");
        // A new leader counts from the last time that was written, which is a minute ago.
        let uncounted = Duration::from_secs(70) * (minute / 3) + Duration::from_secs(20);
        assert!(time + uncounted > passed, "only {time:?} were counted in {passed:?}");
    }
    assert_eq!(written(&world, &collection, 1, MadeBy::Client).await, first, "within the time that is promised");
    assert!(written(&world, &collection, 2, MadeBy::Gateway).await > by_gateway, "no copy of it may come any more");
    sleep(Duration::from_secs(15 * 60)).await;
    assert!(written(&world, &collection, 1, MadeBy::Client).await > first, "that time is over");
}

#[test]
fn a_shards_time_passes_with_real_time_whoever_leads() {
    simulate(story(1));
}
