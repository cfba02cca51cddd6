//! Histories that are right by construction: none may be refused. The same with one anomaly planted: all must be.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::verdict;
use crate::judge::check::{ConsistencyModel, HistoryVerdict};
use crate::judge::history::edn::Edn;
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};
use crate::judge::synth;
use crate::judge::synth::Shape;

const RUNS: u64 = 150;

fn shape(seed: u64) -> Shape {
    let keys = 1 + seed as usize % 4;
    Shape { seed, clients: 2 + seed as usize % 7, operations: 150, keys, unknown_one_in: [0, 6, 20][seed as usize % 3] }
}

fn every(model: ConsistencyModel, history: impl Fn(Shape) -> History, plant: impl Fn(&mut StdRng, &mut History)) {
    for seed in 0..RUNS {
        let mut history = history(shape(seed));
        assert_eq!(verdict(model, &history), HistoryVerdict::Ok, "seed {seed} is right");
        plant(&mut StdRng::seed_from_u64(seed), &mut history);
        let verdict = verdict(model, &history);
        assert!(matches!(verdict, HistoryVerdict::Illegal(_)), "seed {seed} is wrong: {verdict:?}");
    }
}

/// Appends an operation of a new process after everything else.
fn finally(history: &mut History, f: &str, asked: Edn, shown: Edn) {
    let time = history.events.iter().filter_map(|event| event.time).max().unwrap_or(0);
    for (kind, value, time) in [(Type::Invoke, asked, time + 1), (Type::Ok, shown, time + 2)] {
        history.events.push(HistoryEvent {
            process: HistoryProcess::Client(1_000_000),
            ..HistoryEvent::new(0, kind, f, value).at(time)
        });
    }
}

/// An acknowledged event that `wanted` likes, drawn at random.
fn acknowledged(rng: &mut StdRng, history: &History, wanted: impl Fn(&HistoryEvent) -> bool) -> usize {
    let events: Vec<usize> = (0..history.events.len())
        .filter(|index| history.events[*index].kind == Type::Ok && wanted(&history.events[*index]))
        .collect();
    events[rng.random_range(0..events.len())]
}

fn pair(key: &Edn, value: Edn) -> Edn {
    Edn::Vector(vec![key.clone(), value])
}

#[test]
fn a_stale_read_at_the_end_is_found() {
    let plant = |rng: &mut StdRng, history: &mut History| {
        // Two acknowledged writes after each other; the final read shows the first.
        let first = acknowledged(rng, history, |event| event.f == "write");
        let value = history.events[first].value.clone();
        let key = value.items().unwrap()[0].clone();
        finally(history, "write", pair(&key, Edn::Int(900_000)), pair(&key, Edn::Int(900_000)));
        finally(history, "read", pair(&key, Edn::Nil), value);
    };
    every(ConsistencyModel::Register, |shape| synth::registers(shape, false), plant);
    every(ConsistencyModel::CasRegister, |shape| synth::registers(shape, true), plant);
}

#[test]
fn a_lost_write_is_found() {
    every(
        ConsistencyModel::Register,
        |shape| synth::registers(shape, false),
        |_, history| {
            let key = Edn::Int(0);
            finally(history, "write", pair(&key, Edn::Int(900_000)), pair(&key, Edn::Int(900_000)));
            finally(history, "read", pair(&key, Edn::Nil), pair(&key, Edn::Nil));
        },
    );
}

#[test]
fn an_element_lost_from_the_last_read_is_found() {
    every(ConsistencyModel::Set, synth::sets, |rng, history| {
        let add = acknowledged(rng, history, |event| event.f == "add");
        let lost = history.events[add].value.clone();
        let all =
            history.events.iter().filter(|event| event.f == "add" && event.kind == Type::Ok && event.value != lost);
        let shown = all.map(|event| event.value.clone()).collect();
        finally(history, "read", Edn::Nil, Edn::Vector(shown));
    });
}

#[test]
fn an_append_lost_to_a_later_read_is_found() {
    every(ConsistencyModel::Append, synth::appends, |_, history| {
        let step = |f: &str, value: Edn| Edn::Vector(vec![Edn::Vector(vec![Edn::keyword(f), Edn::Int(77_777), value])]);
        let list = |values: &[i64]| Edn::Vector(values.iter().map(|value| Edn::Int(*value)).collect());
        for value in [900_001, 900_002] {
            finally(history, "txn", step("append", Edn::Int(value)), step("append", Edn::Int(value)));
        }
        finally(history, "txn", step("r", Edn::Nil), step("r", list(&[900_001, 900_002])));
        finally(history, "txn", step("r", Edn::Nil), step("r", list(&[900_001])));
    });
}

#[test]
fn a_read_cut_short_is_found() {
    every(ConsistencyModel::Append, synth::appends, |rng, history| {
        // Some read shows one value less than it did, and the one that it hides was acknowledged before it began.
        let append = acknowledged(rng, history, |event| event.value.to_string().contains(":append"));
        let steps = history.events[append].value.items().unwrap().to_vec();
        let lost = steps.iter().find(|step| step.items().unwrap()[0].name() == Some("append")).unwrap();
        let [_, key, _] = lost.items().unwrap() else { unreachable!() };
        let read = |value: Edn| Edn::Vector(vec![Edn::Vector(vec![Edn::keyword("r"), key.clone(), value])]);
        finally(history, "txn", read(Edn::Nil), read(Edn::Vector(Vec::new())));
    });
}

#[test]
fn a_wrong_hit_is_found() {
    let hit = |history: &History, rng: &mut StdRng| {
        let read = acknowledged(rng, history, |event| {
            event.f == "search" && event.value.items().is_some_and(|hits| !hits.is_empty())
        });
        let hits = history.events[read].value.items().unwrap().to_vec();
        let place = rng.random_range(0..hits.len());
        (read, hits, place)
    };
    every(ConsistencyModel::Search, synth::searches, |_, history| {
        let point = |id: i64| Edn::Vector(vec![Edn::Int(id), Edn::Vector(vec![Edn::Float(50.0), Edn::Float(1000.0)])]);
        finally(history, "upsert", point(900), point(900));
        finally(history, "search", synth::query_of(&[50.0, 1000.0], 1, true), Edn::Vector(Vec::new()));
    });
    every(ConsistencyModel::Search, synth::searches, |rng, history| {
        let (read, mut hits, place) = hit(history, rng);
        let [id, score] = hits[place].items().unwrap() else { unreachable!() };
        hits[place] = Edn::Vector(vec![id.clone(), Edn::Float(score.float().unwrap() + 0.01)]);
        history.events[read].value = Edn::Vector(hits);
    });
}
