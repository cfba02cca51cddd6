//! Commands, replies and queries in their binary form.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

pub(super) fn ids() -> impl Strategy<Value = PointId> {
    prop_oneof![3 => (0u64..12).prop_map(PointId::Num), 1 => (0u128..3).prop_map(|id| PointId::Uuid(Uuid::from_u128(id)))]
}

pub(super) fn filters() -> impl Strategy<Value = Filter> {
    prop_oneof![
        (0..4).prop_map(|colour| filter(json!({"must": [{"key": "colour", "match": {"value": colour}}]}))),
        ids().prop_map(|id| filter(json!({"should": [{"has_id": [id]}, {"is_null": {"key": "colour"}}]}))),
    ]
}

fn payloads() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::default()),
        (0..4).prop_map(|colour| payload(json!({"colour": colour}))),
        any::<(f64, String)>()
            .prop_map(|(number, text)| payload(json!({"colour": null, "n": number, "t": [{"u": text}]}))),
    ]
}

fn points() -> impl Strategy<Value = PointWrite> {
    let vector = prop_oneof![
        9 => prop::collection::vec(prop_oneof![Just(-0.0f32), -2.0f32..2.0], 3),
        1 => prop::collection::vec(any::<f32>(), 0..5)
    ];
    let vectors = prop_oneof![
        9 => vector.clone().prop_map(|vector| BTreeMap::from([(String::new(), vector)])),
        1 => prop::collection::btree_map("[a]?", vector, 0..3)
    ];
    let guard = prop_oneof![6 => Just(None), 1 => (0u64..30).prop_map(Some)];
    (ids(), vectors, payloads(), guard).prop_map(|(id, vectors, payload, if_version)| PointWrite {
        id,
        vectors,
        payload,
        if_version,
    })
}

fn schemas() -> impl Strategy<Value = PayloadSchema> {
    let kind = prop_oneof![Just(FieldType::Keyword), Just(FieldType::Integer), Just(FieldType::Datetime)];
    prop::collection::btree_map("colour|n|t\\[\\]\\.u|\\[", kind, 0..3)
}

pub(super) fn commands() -> impl Strategy<Value = Command> {
    let collection = || (1u64..3).prop_map(CollectionId);
    let requests = || prop_oneof![2 => Just(None), 1 => (0u128..6).prop_map(request)];
    let distance = prop_oneof![Just(Distance::Cosine), Just(Distance::Euclid)];
    let selector = prop_oneof![
        prop::collection::vec(ids(), 0..4).prop_map(Selector::Ids),
        prop::collection::vec((ids(), 0u64..30), 0..3).prop_map(Selector::Guarded),
        filters().prop_map(Selector::Filter),
    ];
    prop_oneof![
        2 => (collection(), distance).prop_map(|(collection, distance)| Command::CreateCollection { collection, config: CollectionConfig::single(3, distance) }),
        1 => collection().prop_map(|collection| Command::DropCollection { collection }),
        12 => (collection(), requests(), prop::collection::vec(points(), 0..5))
            .prop_map(|(collection, request, points)| Command::Upsert { collection, request, points }),
        2 => (collection(), 0u64..9, schemas()).prop_map(|(collection, version, schema)| Command::SetPayloadSchema { collection, version, schema }),
        4 => (collection(), requests(), selector).prop_map(|(collection, request, selector)| Command::Delete { collection, request, selector }),
    ]
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = postcard::to_stdvec(value).unwrap();
    assert_eq!(&postcard::from_bytes::<T>(&bytes).unwrap(), value);
}

#[test]
fn queries_and_answers_round_trip() {
    let names = || ["a".to_owned()].into();
    let query = SearchQuery {
        filter: Some(filter(json!({"must": [{"key": "a[].b", "range": {"gt": 0.1}}]}))),
        score_threshold: Some(0.5),
        with_payload: PayloadSelector::Include(names()),
        with_vector: VectorSelector::Names(names()),
        params: SearchParams { ef: Some(64), exact: true },
        ..nearest(&[1.0, -0.0], 10)
    };
    let vectors = Some(BTreeMap::from([("a".to_owned(), vec![0.1])]));
    let (id, payload) = (PointId::Uuid(Uuid::from_u128(9)), Some(payload(json!({"a": [1, {"b": null}]}))));
    let hit = Hit { id, score: 0.5, version: 3, payload: payload.clone(), vectors: vectors.clone() };
    let explain = Explain {
        compared: 5,
        filtered: 2,
        candidates: Some(7),
        indexes: ["a".to_owned()].into(),
        ..Explain::default()
    };
    round_trip(&query);
    round_trip(&Found { hits: vec![hit], explain });
    round_trip(&ScrollPage { records: vec![Record { id, version: 3, payload, vectors }], next: Some(id) });
    round_trip(&CountQuery { collection: DOCS, filter: query.filter.clone() });
    round_trip(&ScrollQuery { filter: query.filter, ..page(Some(id), 3) });
    let config = CollectionConfig::single(3, Distance::Manhattan);
    let fields = BTreeMap::from([("a[].b".to_owned(), FieldStats { kind: FieldType::Uuid, points: 3 })]);
    round_trip(&CollectionStats { collection: DOCS, config: config.clone(), points: 4, schema_version: 9, fields });
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        text,
        r#"{"vectors":{"":{"size":3,"distance":"manhattan","quantization":"none","graph":{"m":16,"ef_construct":100}}}}"#
    );
    assert_eq!(serde_json::from_str::<CollectionConfig>(&text.replace("manhattan", "Manhattan")).unwrap(), config);
}

#[test]
fn replies_round_trip() {
    let id = PointId::Num(1);
    for reply in [
        Reply::Created,
        Reply::Dropped,
        Reply::Upserted(vec![(id, 2), (PointId::Uuid(Uuid::from_u128(1)), 2)]),
        Reply::Deleted { count: 1, version: 2 },
        Reply::Refused(Refusal::CollectionNotFound { collection: DOCS }),
        Reply::Refused(Refusal::VersionMismatch { position: 1, id, expected: 2, current: 3 }),
        Reply::Refused(Refusal::RequestReused),
        Reply::Refused(Refusal::invalid_at(1, "vector", "is wrong")),
        Reply::SchemaSet,
    ] {
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
}

proptest! {
    #[test]
    fn commands_round_trip(command in commands()) {
        let bytes = command.encode();
        let decoded = Command::decode(&bytes).unwrap();
        // Bytes rather than values: a vector to be refused may hold NaN, which equals nothing.
        prop_assert_eq!(decoded.encode(), bytes.clone());
        if let Command::Upsert { collection, request, points } = &command {
            let lent: Vec<&PointWrite> = points.iter().collect();
            prop_assert_eq!(Command::encode_upsert(*collection, *request, &lent), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Command::decode(&bytes);
        let _ = Reply::decode(&bytes);
    }

    #[test]
    fn a_damaged_command_is_refused_or_applied_but_never_panics(command in commands(), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = command.encode().to_vec();
        // The first byte is the version: one of a newer release stops the shard, and is no damage.
        let place = 1 + place.index(bytes.len() - 1);
        bytes[place] = byte;
        let mut shard = Shard::with_docs(3, Distance::Cosine);
        shard.run_bytes(&bytes);
        shard.run_bytes(&bytes[..cut.index(bytes.len())]);
        prop_assert_eq!(shard.reopened().digest(), shard.engine.digest());
    }
}

#[test]
fn every_kind_of_command_passes_the_look_before_it_is_proposed() {
    let (collection, config) = (DOCS, CollectionConfig::single(2, Distance::Dot));
    let points = vec![point(1, &[1.0, 2.0]), point(2, &[])];
    for command in [
        Command::CreateCollection { collection, config },
        Command::DropCollection { collection },
        Command::Upsert { collection, request: request(1), points },
        Command::Delete { collection, request: None, selector: Selector::Ids(vec![1.into()]) },
        Command::SetPayloadSchema { collection, version: 1, schema: PayloadSchema::new() },
        Command::RetireCollections { first: collection, last: collection },
    ] {
        let bytes = command.encode();
        assert_eq!((Command::check(&bytes), Command::decode(&bytes)), (Ok(()), Ok(command)));
    }
}

proptest! {
    #[test]
    fn a_glance_passes_what_decoding_takes_and_nothing_else(command in commands(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let bytes = command.encode().to_vec();
        prop_assert_eq!(Command::check(&bytes), Ok(()));
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] = byte;
        for bytes in [&damaged[..], &bytes[..cut.index(bytes.len())], &[&bytes[..], &[byte]].concat()[..]] {
            prop_assert_eq!(Command::check(bytes).is_ok(), Command::decode(bytes).is_ok());
        }
    }
}
