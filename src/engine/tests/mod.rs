//! The engine as a whole, driven as a group drives it: commands in, changes committed, memory rebuilt from them.

mod apart;
mod building;
mod codec;
mod commands;
mod deletion;
mod indexing;
mod once;
mod payload_indexes;
mod payloads;
mod points;
mod replay;
mod replicated;
mod search;

use std::collections::BTreeMap;

use raft_groups::{Changes, Machine, MemoryState, Position, StateReader as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::model::limits;

const DOCS: CollectionId = CollectionId(1);

/// A replica: a live engine, and the state its changes built.
struct Shard {
    engine: Engine,
    state: MemoryState,
    index: u64,
}

impl Shard {
    fn new() -> Self {
        let state = MemoryState::default();
        Self { engine: Engine::open(&Setup::default(), &state).unwrap(), state, index: 0 }
    }

    /// With the collection [`DOCS`] of one unnamed vector.
    fn with_docs(size: usize, distance: Distance) -> Self {
        let mut shard = Self::new();
        let config = CollectionConfig::single(size, distance);
        assert_eq!(shard.run(&Command::CreateCollection { collection: DOCS, config }), Reply::Created);
        shard
    }

    fn run(&mut self, command: &Command) -> Reply {
        self.run_bytes(&command.encode())
    }

    fn run_bytes(&mut self, command: &[u8]) -> Reply {
        self.index += 1;
        let mut changes = Changes::default();
        let reply = self.engine.apply(Position { index: self.index, term: 1 }, command, &mut changes).unwrap();
        self.state.commit(&changes);
        Reply::decode(&reply).unwrap()
    }

    /// As the leader has it proposed at the time `time_ms`.
    fn run_at(&mut self, time_ms: u64, lifetime: Option<Lifetime>, command: &Command) -> Reply {
        self.run_bytes(&Entry { time_ms, lifetime, command: &command.encode() }.encode())
    }

    fn upsert(&mut self, points: Vec<PointWrite>) -> Reply {
        self.run(&Command::Upsert { collection: DOCS, request: None, points })
    }

    fn delete(&mut self, selector: Selector) -> Reply {
        self.run(&Command::Delete { collection: DOCS, request: None, selector })
    }

    /// Erases what the engine has left, as its replica does; how many records that were.
    fn clear_away(&mut self) -> usize {
        let (ranges, mut erased) = (self.engine.take_garbage().keys, Changes::default());
        let mut visit = |key: &[u8], _: &[u8]| {
            if ranges.iter().any(|(from, to)| (&from[..]..&to[..]).contains(&key)) {
                erased.delete(key.to_vec());
            }
            std::ops::ControlFlow::Continue(())
        };
        self.state.scan(&[], &mut visit).unwrap();
        self.state.commit(&erased);
        erased.iter().count()
    }

    fn reopened(&self) -> Engine {
        Engine::open(&Setup::default(), &self.state).unwrap()
    }
}

fn point(id: u64, vector: &[f32]) -> PointWrite {
    PointWrite {
        id: PointId::Num(id),
        vectors: BTreeMap::from([(DEFAULT_VECTOR.to_owned(), vector.to_vec())]),
        payload: Payload::default(),
        if_version: None,
    }
}

fn payload(value: Value) -> Payload {
    Payload::from(value.as_object().unwrap())
}

fn filter(value: Value) -> Filter {
    Filter::parse(&value).unwrap()
}

fn request(number: u128) -> Option<RequestId> {
    Some(RequestId(Uuid::from_u128(number)))
}

fn nearest(vector: &[f32], limit: usize) -> SearchQuery {
    SearchQuery {
        collection: DOCS,
        vector_name: DEFAULT_VECTOR.to_owned(),
        target: Target::Vector(vector.to_vec()),
        limit,
        filter: None,
        score_threshold: None,
        with_payload: PayloadSelector::None,
        with_vector: VectorSelector::None,
        params: SearchParams::default(),
    }
}

fn page(offset: Option<PointId>, limit: usize) -> ScrollQuery {
    let (with_payload, with_vector) = (PayloadSelector::All, VectorSelector::All);
    ScrollQuery { collection: DOCS, offset, limit, filter: None, with_payload, with_vector }
}

/// A point, bit for bit comparable.
type Content = (PointId, u64, Value, BTreeMap<String, Vec<u32>>);

/// Everything a collection holds.
fn contents(engine: &Engine, collection: CollectionId) -> Vec<Content> {
    let query = ScrollQuery { collection, ..page(None, limits::MAX_LIMIT) };
    let records = engine.scroll(&query).unwrap().records;
    let bits = |vector: Vec<f32>| vector.into_iter().map(f32::to_bits).collect();
    let each = records.into_iter().map(|record| {
        let vectors = record.vectors.unwrap().into_iter().map(|(name, vector)| (name, bits(vector))).collect();
        (record.id, record.version, json!(record.payload), vectors)
    });
    each.collect()
}
