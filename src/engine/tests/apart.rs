//! Queries that are answered beside the state: the same answers, of one state, while commands are carried out.

use std::cell::Cell;

use raft_groups::mutants::{Mutant, plant};

use super::*;

const POINTS: u64 = 3_000;

/// Points of three groups, of which one is looked for by a condition that no index knows.
fn full() -> Shard {
    let mut shard = Shard::with_docs(2, Distance::Euclid);
    let all = (1..=POINTS).map(|id| written(id, id % 3)).collect();
    assert!(matches!(shard.upsert(all), Reply::Upserted(_)));
    shard
}

fn written(id: u64, group: u64) -> PointWrite {
    PointWrite { payload: payload(json!({"group": group, "id": id})), ..point(id, &[id as f32, 1.0]) }
}

fn of_group(group: u64) -> Filter {
    filter(json!({"must": [{"key": "group", "match": {"value": group}}]}))
}

fn search(group: u64) -> SearchQuery {
    SearchQuery { filter: Some(of_group(group)), ..nearest(&[100.0, 1.0], 5) }
}

fn scroll(with_vector: VectorSelector) -> ScrollQuery {
    ScrollQuery { filter: Some(of_group(1)), with_vector, ..page(None, 700) }
}

fn count(group: u64) -> CountQuery {
    CountQuery { collection: DOCS, filter: Some(of_group(group)) }
}

#[test]
fn the_answers_are_those_of_queries_that_hold_the_state() {
    let shard = full();
    let meter = Meter::unlimited();
    for group in 0..4 {
        let (apart, held) =
            (shard.engine.find_apart(&search(group), &meter, &Room::unlimited()), shard.engine.find(&search(group)));
        assert_eq!(apart.unwrap().unwrap().hits, held.unwrap().hits);
        let counted = shard.engine.count_apart(&count(group), &meter).unwrap();
        assert_eq!(counted, Some(shard.engine.count(&count(group)).unwrap()));
    }
    for with_vector in [VectorSelector::None, VectorSelector::All] {
        let mut query = scroll(with_vector);
        loop {
            let held = shard.engine.scroll(&query).unwrap();
            assert_eq!(shard.engine.scroll_apart(&query, &meter, usize::MAX).unwrap(), Some(held.clone()));
            match held.next {
                Some(next) => query.offset = Some(next),
                None => break,
            }
        }
    }
}

/// Carries a write of one point out on an engine that somebody is asking something.
fn write(engine: &Engine, index: &Cell<u64>, point: PointWrite) {
    assert!(engine.state.try_write().is_some(), "the state is held");
    index.set(index.get() + 1);
    let command = Command::Upsert { collection: DOCS, request: None, points: vec![point] };
    engine.apply(Position { index: index.get(), term: 1 }, &command.encode(), &mut Changes::default()).unwrap();
}

#[test]
fn commands_are_carried_out_meanwhile_and_a_search_sees_all_that_came_before_its_end() {
    let shard = full();
    let (index, asked) = (Cell::new(shard.index), Cell::new(0));
    let go_on = || {
        asked.set(asked.get() + 1);
        if asked.get() <= 3 {
            // The nearest leaves the group, one becomes the nearest, and one is new.
            write(&shard.engine, &index, written(100, 0));
            write(&shard.engine, &index, PointWrite { vectors: point(1, &[100.0, 1.0]).vectors, ..written(1, 1) });
            let near = point(1, &[100.0, 2.0]).vectors;
            write(&shard.engine, &index, PointWrite { vectors: near, ..written(POINTS + asked.get(), 1) });
        }
        true
    };
    let found =
        shard.engine.find_apart(&search(1), &Meter::new(u64::MAX, &go_on), &Room::unlimited()).unwrap().unwrap();
    assert!(asked.get() > 3, "nothing came between");
    assert_eq!(found.hits, shard.engine.find(&search(1)).unwrap().hits);
    assert_eq!(found.hits[0].id, PointId::Num(1));
}

#[test]
fn a_page_and_a_count_are_of_one_state_while_commands_are_carried_out() {
    for with_vector in [VectorSelector::None, VectorSelector::All] {
        let shard = full();
        let (index, asked) = (Cell::new(shard.index), Cell::new(0));
        let go_on = || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                write(&shard.engine, &index, written(1, 2));
                write(&shard.engine, &index, written(2, 1));
            }
            true
        };
        let (before, counted) =
            (shard.engine.scroll(&scroll(with_vector.clone())).unwrap(), shard.engine.count(&count(1)));
        let page = shard
            .engine
            .scroll_apart(&scroll(with_vector.clone()), &Meter::new(u64::MAX, &go_on), usize::MAX)
            .unwrap()
            .unwrap();
        let after = shard.engine.scroll(&scroll(with_vector)).unwrap();
        assert!(asked.get() > 0 && before != after && (page == before || page == after), "of neither state: {page:?}");
        asked.set(0);
        write(&shard.engine, &index, written(2, 2));
        write(&shard.engine, &index, written(1, 1));
        let found = shard.engine.count_apart(&count(1), &Meter::new(u64::MAX, &go_on)).unwrap();
        assert_eq!(found, Some(counted.unwrap()), "one went and one came, at once");
    }
}

#[test]
fn a_query_ends_when_it_is_told_to_whatever_it_is() {
    let shard = full();
    let never = || false;
    let ended = || Meter::new(u64::MAX, &never);
    assert_eq!(shard.engine.count_apart(&count(1), &ended()), Ok(None));
    assert_eq!(shard.engine.scroll_apart(&scroll(VectorSelector::All), &ended(), usize::MAX), Ok(None));
    assert!(shard.engine.find_apart(&search(1), &ended(), &Room::unlimited()).unwrap().is_none());
    let brief = || Meter::new(10, &|| true);
    assert_eq!(shard.engine.try_count(&count(1), &brief()), Ok(None));
    assert_eq!(shard.engine.try_scroll(&scroll(VectorSelector::None), &brief(), &Room::unlimited()), Ok(None));
    assert!(
        shard
            .engine
            .try_find(
                &SearchQuery { params: SearchParams { exact: true, ef: None }, ..search(1) },
                &brief(),
                &Room::unlimited()
            )
            .unwrap()
            .is_none()
    );
    assert_eq!(shard.engine.try_count(&CountQuery { collection: DOCS, filter: None }, &brief()), Ok(Some(POINTS)));
    let _planted = plant(Mutant::NeverEndsQueries);
    assert!(shard.engine.count_apart(&count(1), &ended()).unwrap().is_some(), "the planted bug goes on");
}
