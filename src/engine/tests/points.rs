//! Which points are refused, and how the others are read back.

use super::*;

fn refusal(shard: &mut Shard, points: Vec<PointWrite>) -> String {
    let (digest, before) = (shard.engine.digest().1, shard.engine.points());
    let reply = shard.upsert(points);
    assert_eq!((shard.engine.digest().1, shard.engine.points()), (digest, before), "nothing is applied");
    match reply {
        Reply::Refused(refusal @ Refusal::Invalid { .. }) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_points_are_refused_by_position_and_member() {
    let mut shard = Shard::with_docs(2, Distance::Cosine);
    let good = || point(1, &[1.0, 0.0]);
    let mut named = good();
    named.vectors.insert("image".to_owned(), vec![1.0, 0.0]);
    let mut bare = good();
    bare.vectors.clear();
    let deep = (0..limits::MAX_PAYLOAD_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    let big = "x".repeat(limits::MAX_PAYLOAD_BYTES);
    for (bad, expected) in [
        (point(2, &[1.0]), "item 1: vector: has 1 components, the collection's vectors have 2"),
        (point(2, &[1.0, f32::NAN]), "item 1: vector: component 1 is NaN, and must be a finite number"),
        (point(2, &[f32::INFINITY, 1.0]), "item 1: vector: component 0 is inf, and must be a finite number"),
        (point(2, &[0.0, -0.0]), "item 1: vector: all components are zero"),
        (point(1, &[1.0, 1.0]), "item 1: id: 1 is in this batch twice"),
        (
            PointWrite { id: 2.into(), ..named },
            "item 1: vector.image: the collection has no vector `image`; its vector has no name",
        ),
        (PointWrite { id: 2.into(), ..bare }, "item 1: vector: the vector is missing"),
        (
            PointWrite { payload: payload(json!({"a": deep})), ..point(2, &[1.0, 1.0]) },
            "item 1: payload: arrays and objects go 64 deep",
        ),
        (PointWrite { payload: payload(json!({"a": big})), ..point(2, &[1.0, 1.0]) }, "item 1: payload: 1048584 bytes"),
    ] {
        let message = refusal(&mut shard, vec![good(), bad]);
        assert!(message.starts_with(expected), "{message}");
    }
    let many = (0..=limits::MAX_BATCH as u64).map(|id| point(id, &[1.0, 0.0])).collect();
    assert_eq!(refusal(&mut shard, many), "points: 10001 items, the limit is 10000");
    assert_eq!(shard.upsert(Vec::new()), Reply::Upserted(Vec::new()));
}

#[test]
fn a_zero_vector_is_refused_only_where_it_has_no_meaning() {
    for distance in [Distance::Dot, Distance::Euclid, Distance::Manhattan] {
        let mut shard = Shard::with_docs(2, distance);
        assert!(matches!(shard.upsert(vec![point(1, &[0.0, 0.0])]), Reply::Upserted(_)));
    }
}

#[test]
fn bad_settings_are_refused() {
    let create = |vectors: Vec<(String, usize)>| {
        let params = |size| VectorParams::new(size, Distance::Dot);
        let vectors = vectors.into_iter().map(|(name, size)| (name, params(size))).collect();
        let config = CollectionConfig { vectors };
        Shard::new().run(&Command::CreateCollection { collection: DOCS, config })
    };
    let name = |number: usize| format!("v{number}");
    assert_eq!(create(vec![(String::new(), limits::MAX_VECTOR_SIZE)]), Reply::Created);
    for vectors in [
        vec![],
        vec![(name(1), 0)],
        vec![(name(1), limits::MAX_VECTOR_SIZE + 1)],
        vec![("x".repeat(limits::MAX_VECTOR_NAME_BYTES + 1), 1)],
        (0..=limits::MAX_VECTORS_PER_COLLECTION).map(|number| (name(number), 1)).collect(),
    ] {
        assert!(matches!(create(vectors), Reply::Refused(Refusal::Invalid { .. })));
    }
}

#[test]
fn scrolling_goes_through_every_point_in_the_order_of_ids() {
    let mut shard = Shard::with_docs(1, Distance::Dot);
    let uuid = PointId::Uuid(Uuid::from_u128(3));
    shard.upsert(vec![
        PointWrite { id: uuid, ..point(0, &[1.0]) },
        point(u64::MAX, &[2.0]),
        point(4, &[3.0]),
        point(2, &[4.0]),
    ]);
    let (mut seen, mut offset) = (Vec::new(), None);
    loop {
        let part = shard.engine.scroll(&page(offset, 3)).unwrap();
        seen.extend(part.records.iter().map(|record| record.id));
        offset = part.next;
        if offset.is_none() {
            break;
        }
    }
    assert_eq!(seen, [2.into(), 4.into(), u64::MAX.into(), uuid]);
    assert_eq!(
        shard.engine.scroll(&page(Some(3.into()), 1)).unwrap().records[0].id,
        4.into(),
        "an offset need not exist"
    );
    let few = ScrollQuery { filter: Some(filter(json!({"must_not": [{"has_id": [4]}]}))), ..page(None, 2) };
    let part = shard.engine.scroll(&few).unwrap();
    assert_eq!((part.records.len(), part.next), (2, Some(uuid)));
    for limit in [0, limits::MAX_LIMIT + 1] {
        assert!(matches!(shard.engine.scroll(&page(None, limit)), Err(Refusal::Invalid { .. })));
    }
}

#[test]
fn answers_carry_what_was_asked_for() {
    let mut shard = Shard::new();
    let vectors = ["text", "image"].map(|name| (name.to_owned(), VectorParams::new(2, Distance::Cosine)));
    shard.run(&Command::CreateCollection { collection: DOCS, config: CollectionConfig { vectors: vectors.into() } });
    let written = PointWrite {
        id: 1.into(),
        vectors: BTreeMap::from([("text".to_owned(), vec![3.0, 0.1])]),
        payload: payload(json!({"a": 1, "b": [2], "c": null})),
        if_version: None,
    };
    shard.upsert(vec![written]);
    let get = |with_payload, with_vector| {
        let query = GetQuery { collection: DOCS, ids: vec![9.into(), 1.into()], with_payload, with_vector };
        shard.engine.get(&query).map(|records| (records[0].payload.clone(), records[0].vectors.clone()))
    };
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let names = |list: &[&str]| VectorSelector::Names(keys(list));
    assert_eq!(get(PayloadSelector::None, VectorSelector::None).unwrap(), (None, None));
    let text = BTreeMap::from([("text".to_owned(), vec![3.0, 0.1])]);
    assert_eq!(get(PayloadSelector::All, VectorSelector::All).unwrap().1, Some(text), "as written, not normalised");
    assert_eq!(
        get(PayloadSelector::Include(["a".to_owned()].into()), names(&["image"])).unwrap(),
        (Some(payload(json!({"a": 1}))), Some(BTreeMap::new()))
    );
    assert_eq!(
        get(PayloadSelector::Exclude(["a".to_owned()].into()), VectorSelector::None).unwrap().0,
        Some(payload(json!({"b": [2], "c": null})))
    );
    assert!(matches!(get(PayloadSelector::None, names(&["sound"])), Err(Refusal::Invalid { .. })));
    let by = |name: &str| shard.engine.search(&SearchQuery { vector_name: name.to_owned(), ..nearest(&[1.0, 0.0], 5) });
    assert_eq!(by("text").unwrap().len(), 1);
    assert_eq!(by("image").unwrap(), [], "the point has no such vector");
    assert_eq!(
        by("").unwrap_err().to_string(),
        "vector_name: the collection has no unnamed vector; it has `image`, `text`"
    );
}

#[test]
fn counts_and_memory_follow_the_points() {
    let mut shard = Shard::with_docs(64, Distance::Euclid);
    let empty = shard.engine.memory_bytes();
    shard.upsert((0..1_000).map(|id| point(id, &[id as f32; 64])).collect());
    assert!(shard.engine.memory_bytes() - empty >= 1_000 * 64 * 4);
    let count = |filter| shard.engine.count(&CountQuery { collection: DOCS, filter }).unwrap();
    assert_eq!((count(None), count(Some(filter(json!({"must": {"has_id": [1, 2, 5_000]}}))))), (1_000, 2));
    assert_eq!(shard.engine.collections()[0].points, 1_000);
    // Whole numbers of this size need no more than 16 bits.
    assert_eq!(shard.engine.read_vectors(DOCS, "").unwrap().0, 1_000 * 64 * 2);
    shard.delete(Selector::Filter(Filter::default()));
    assert_eq!(shard.engine.points(), 0);
}
