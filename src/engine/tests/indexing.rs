//! The background: graphs built beside writes and searches, and kept over a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use vector_index::Way;

use super::*;

/// Enough for a graph that is walked.
const MANY: u64 = 3_000;
const SIZE: usize = 12;

/// The vector that write number `write` of a point brings: of the two, each tells the other.
fn vector_of(id: u64, write: u64) -> Vec<f32> {
    let one = id * 1_000 + write + 1;
    (0..SIZE as u64).map(|part| (one * (part + 7) * 7_919 % 10_007) as f32 / 5_000.0 - 1.0).collect()
}

fn written(id: u64, write: u64) -> PointWrite {
    PointWrite { payload: payload(json!({"write": write, "half": id % 2})), ..point(id, &vector_of(id, write)) }
}

fn filled(points: u64) -> Shard {
    let mut shard = Shard::with_docs(SIZE, Distance::Cosine);
    for ids in (0..points).collect::<Vec<_>>().chunks(500) {
        shard.upsert(ids.iter().map(|id| written(*id, 0)).collect());
    }
    shard
}

fn index_all(engine: &Engine) {
    while engine.index(100, true) {}
}

/// Saved graphs, in memory.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<GraphName, Vec<u8>>>);

impl GraphStore for Kept {
    fn take(&self, collection: CollectionId, vector_name: &str) -> Option<Vec<u8>> {
        let name = GraphName { collection, vector_name: vector_name.to_owned() };
        self.0.lock().unwrap().get(&name).cloned()
    }
}

fn with_all(query: SearchQuery) -> SearchQuery {
    SearchQuery { with_payload: PayloadSelector::All, with_vector: VectorSelector::All, ..query }
}

/// Whether a hit's vector, payload, score and place belong together.
fn check(target: &[f32], hits: &[Hit]) {
    for hit in hits {
        let PointId::Num(id) = hit.id else { unreachable!("ids are numbers here") };
        let write = json!(hit.payload.as_ref().unwrap())["write"].as_u64().unwrap();
        let vector = &hit.vectors.as_ref().unwrap()[""];
        assert_eq!(*vector, vector_of(id, write));
        let dot = |left: &[f32], right: &[f32]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f32>();
        let cosine = dot(target, vector) / (dot(target, target) * dot(vector, vector)).sqrt();
        assert!((cosine - hit.score).abs() < 1e-4, "{cosine} {}", hit.score);
    }
    let order = |left: &Hit, right: &Hit| right.score.total_cmp(&left.score).then(left.id.cmp(&right.id));
    assert!(hits.is_sorted_by(|left, right| order(left, right).is_lt()));
}

#[test]
fn whatever_goes_on_hits_are_whole() {
    let Shard { engine, index, .. } = filled(MANY);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Acquire) {
                engine.index(8, true);
            }
        });
        threads.spawn(|| {
            for write in 1..=40 {
                let ids = (0..MANY).filter(|id| (id * 7 + write) % 10 == 0);
                let (points, gone): (Vec<u64>, Vec<u64>) = ids.partition(|id| (id + write) % 9 != 0);
                let points = points.into_iter().map(|id| written(id, write)).collect();
                let selector = Selector::Ids(gone.into_iter().map(PointId::Num).collect());
                let commands = [
                    Command::Upsert { collection: DOCS, request: None, points },
                    Command::Delete { collection: DOCS, request: None, selector },
                ];
                for (number, command) in commands.into_iter().enumerate() {
                    let at = Position { index: index + 2 * write + number as u64, term: 1 };
                    engine.apply(at, &command.encode(), &mut Changes::default()).unwrap();
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut round = 0;
        while !done.load(Ordering::Acquire) {
            round += 1;
            let target = vector_of(round * 13, 5);
            let hits = engine.search(&with_all(nearest(&target, 20))).unwrap();
            assert_eq!(hits.len(), 20);
            check(&target, &hits);
        }
    });
    index_all(&engine);
    assert_eq!(engine.index_progress(), IndexProgress { indexed: engine.points(), waiting: 0, dead: 0 });
}

#[test]
fn a_write_is_found_at_once_and_through_the_graph_later() {
    let mut shard = filled(MANY);
    index_all(&shard.engine);
    for write in 1..100 {
        shard.upsert(vec![written(write * 29, write)]);
        let target = vector_of(write * 29, write);
        let found = shard.engine.find(&with_all(nearest(&target, 5))).unwrap();
        assert_eq!(found.explain.way, Way::GraphOfVectors);
        assert!(found.hits.iter().any(|hit| hit.id == PointId::Num(write * 29) && hit.score > 0.999_999));
        check(&target, &found.hits);
    }
    assert!(shard.engine.index_progress().waiting > 0);
    assert_eq!(shard.engine.backlog(), shard.engine.index_progress().waiting);
    index_all(&shard.engine);
    assert_eq!((shard.engine.index_progress().waiting, shard.engine.backlog()), (0, 0));
    // What waits after a start without graphs is no writer's doing.
    assert_eq!((shard.reopened().index_progress().waiting, shard.reopened().backlog()), (MANY, 0));
}

#[test]
fn graphs_outlive_the_engine() {
    let mut shard = filled(MANY);
    index_all(&shard.engine);
    let graph_store = Arc::new(Kept::default());
    for Graph { name, .. } in shard.engine.graphs() {
        graph_store.0.lock().unwrap().insert(name.clone(), shard.engine.graph(&name).unwrap());
    }
    shard.upsert((0..10).map(|id| written(id, 1)).collect());
    let open = || Engine::open(&Setup { graph_store: Some(graph_store.clone()) }, &shard.state).unwrap();
    let engine = open();
    assert_eq!(engine.index_progress(), IndexProgress { indexed: MANY - 10, waiting: 10, dead: 10 });
    assert_eq!(engine.digest(), shard.engine.digest());
    let target = vector_of(3, 1);
    let found = engine.find(&with_all(nearest(&target, 20))).unwrap();
    assert_eq!((found.explain.way, found.hits[0].id), (Way::GraphOfVectors, PointId::Num(3)));
    check(&target, &found.hits);

    for bytes in graph_store.0.lock().unwrap().values_mut() {
        bytes[100] ^= 1;
    }
    assert_eq!(open().index_progress(), IndexProgress { indexed: 0, waiting: MANY, dead: 0 });
}

#[test]
fn payload_indexes_change_the_way_and_not_the_answer() {
    let mut shard = filled(MANY);
    index_all(&shard.engine);
    let half = json!({"must": {"key": "half", "match": {"value": 1}}});
    let few = json!({"must": [{"key": "write", "match": {"value": 1}}, {"key": "half", "match": {"value": 1}}]});
    shard.upsert((0..600).map(|id| written(id, 1)).collect());
    let ask = |engine: &Engine, filter_value: &serde_json::Value, exact| {
        let query = SearchQuery { filter: Some(filter(filter_value.clone())), ..nearest(&vector_of(5, 1), 10) };
        engine.find(&SearchQuery { params: SearchParams { ef: None, exact }, ..query }).unwrap()
    };
    let ids = |found: &Found| found.hits.iter().map(|hit| hit.id).collect::<Vec<_>>();
    let before = [&half, &few].map(|filter| ask(&shard.engine, filter, true));
    assert!(before.iter().all(|found| found.explain.candidates.is_none() && found.explain.filtered > 0));
    let schema =
        [("half", FieldType::Integer), ("write", FieldType::Integer)].map(|(name, kind)| (name.to_owned(), kind));
    shard.run(&Command::SetPayloadSchema { collection: DOCS, version: 1, schema: schema.into() });
    for (filter, before) in [&half, &few].into_iter().zip(before) {
        let exact = ask(&shard.engine, filter, true);
        assert_eq!(ids(&exact), ids(&before));
        let found = ask(&shard.engine, filter, false);
        let recalled = ids(&found).iter().filter(|id| ids(&before).contains(id)).count();
        assert!(recalled >= 9, "{:?}", found.explain);
    }
    let explain = ask(&shard.engine, &few, false).explain;
    assert_eq!((explain.candidates, explain.filtered), (Some(300), 0));
    assert_eq!(explain.indexes, ["half".to_owned(), "write".to_owned()].into());
}
