//! Histories that are right by construction, from a seed: for the bench and for the judges' own tests.
//!
//! Each operation gets a moment of effect inside its interval, and effects are applied to a model in the order of their
//! moments; so an order that explains the history exists, and any judge that finds fault with it is wrong. Outcomes may
//! be unknown, with or without effect.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::judge::history::edn::Edn;
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};

/// How large a history is, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of all choices.
    pub seed: u64,
    /// Concurrent clients.
    pub clients: usize,
    /// Operations in all.
    pub operations: usize,
    /// Registers, lists or points.
    pub keys: usize,
    /// One outcome in this many stays unknown; 0 for none.
    pub unknown_one_in: u32,
}

/// An operation before anyone knows what it is.
struct OperationSchedule {
    process: i64,
    call: i64,
    effect: i64,
    ret: i64,
    known: bool,
    happens: bool,
}

fn slots(shape: Shape, rng: &mut StdRng) -> Vec<OperationSchedule> {
    let mut slots = Vec::with_capacity(shape.operations);
    let mut clients: Vec<(i64, i64)> = (0..shape.clients as i64).map(|client| (client, 0)).collect();
    for number in 0..shape.operations {
        let client = &mut clients[number % shape.clients];
        let call = client.1 + rng.random_range(1..1000);
        let effect = call + rng.random_range(1..1000);
        let ret = effect + rng.random_range(1..1000);
        let known = shape.unknown_one_in == 0 || !rng.random_ratio(1, shape.unknown_one_in);
        slots.push(OperationSchedule { process: client.0, call, effect, ret, known, happens: known || rng.random() });
        // A client that does not know what became of its operation is never heard of again.
        *client = (if known { client.0 } else { client.0 + shape.clients as i64 }, ret);
    }
    slots.sort_by_key(|slot| slot.effect);
    slots
}

/// What an operation is: its name, what it is asked with, what comes of it (`None`: it fails) and further members.
struct OperationContent {
    f: &'static str,
    input: Edn,
    output: Option<Edn>,
}

fn history(shape: Shape, mut apply: impl FnMut(&mut StdRng, usize, bool) -> OperationContent) -> History {
    let mut rng = StdRng::seed_from_u64(shape.seed);
    let slots = slots(shape, &mut rng);
    let mut events = Vec::with_capacity(2 * slots.len());
    for (number, slot) in slots.iter().enumerate() {
        let done = apply(&mut rng, number, slot.happens);
        let event = |kind, value, time| HistoryEvent {
            process: HistoryProcess::Client(slot.process),
            ..HistoryEvent::new(0, kind, done.f, value).at(time)
        };
        // Only an outcome that is known says what came of it.
        let (kind, value) = match (slot.known, &done.output) {
            (false, _) => (Type::Info, done.input.clone()),
            (true, Some(output)) => (Type::Ok, output.clone()),
            (true, None) => (Type::Fail, done.input.clone()),
        };
        let ended = event(kind, value, slot.ret);
        let mismatch = kind == Type::Fail && done.f == "cas";
        events.push(event(Type::Invoke, done.input.clone(), slot.call));
        events.push(if mismatch { ended.with("error", Edn::keyword("mismatch")) } else { ended });
    }
    // Of events at one time calls come first, as the judges take them.
    events.sort_by_key(|event| (event.time, event.kind != Type::Invoke));
    let numbered =
        events.into_iter().enumerate().map(|(index, event)| HistoryEvent { index: Some(index as i64), ..event });
    History::new(numbered.collect())
}

fn pair(key: usize, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::Int(key as i64), value])
}

/// Registers of unique values: reads and writes by halves, and `cas` and deletes where `cas` is set.
pub fn registers(shape: Shape, cas: bool) -> History {
    let mut state = vec![Edn::Nil; shape.keys];
    history(shape, |rng, number, happens| {
        let key = rng.random_range(0..shape.keys);
        let value = Edn::Int(number as i64 + 1);
        // What it shows is what the state holds; it changes the state only where it happens.
        match rng.random_range(0..if cas { 10 } else { 6 }) {
            0..3 => {
                OperationContent { f: "read", input: pair(key, Edn::Nil), output: Some(pair(key, state[key].clone())) }
            }
            3..6 => {
                if happens {
                    state[key] = value.clone();
                }
                OperationContent { f: "write", input: pair(key, value.clone()), output: Some(pair(key, value)) }
            }
            6 => {
                if happens {
                    state[key] = Edn::Nil;
                }
                OperationContent { f: "delete", input: pair(key, Edn::Nil), output: Some(pair(key, Edn::Nil)) }
            }
            _ => {
                let from =
                    if rng.random() { state[key].clone() } else { Edn::Int(rng.random_range(0..number as i64 + 1)) };
                let input = pair(key, Edn::Vector(vec![from.clone(), value.clone()]));
                let matches = state[key] == from;
                if matches && happens {
                    state[key] = value;
                }
                OperationContent { f: "cas", input: input.clone(), output: matches.then_some(input) }
            }
        }
    })
}

/// A set: one read in five.
pub fn sets(shape: Shape) -> History {
    let mut state = Vec::new();
    history(shape, |rng, number, happens| {
        if rng.random_ratio(1, 5) {
            return OperationContent { f: "read", input: Edn::Nil, output: Some(Edn::Vector(state.clone())) };
        }
        let element = Edn::Int(number as i64);
        if happens {
            state.push(element.clone());
        }
        OperationContent { f: "add", input: element.clone(), output: Some(element) }
    })
}

/// Transactions of one to four reads and appends. A list is left for a new one after 32 appends.
pub fn appends(shape: Shape) -> History {
    let mut lists: BTreeMap<i64, Vec<Edn>> = BTreeMap::new();
    let mut hot: Vec<i64> = (0..shape.keys as i64).collect();
    let mut next = 0;
    history(shape, |rng, _, happens| {
        let (mut asked, mut shown, mut scratch) = (Vec::new(), Vec::new(), BTreeMap::new());
        for _ in 0..rng.random_range(1..=4) {
            let place = rng.random_range(0..hot.len());
            let key = hot[place];
            // Its own appends are seen within the transaction, and by others only where it happens.
            let list: &mut Vec<Edn> =
                scratch.entry(key).or_insert_with(|| lists.get(&key).cloned().unwrap_or_default());
            if rng.random() {
                asked.push(step("r", key, Edn::Nil));
                shown.push(step("r", key, Edn::Vector(list.clone())));
                continue;
            }
            next += 1;
            list.push(Edn::Int(next));
            asked.push(step("append", key, Edn::Int(next)));
            shown.push(step("append", key, Edn::Int(next)));
            // Lists stay short: a new key takes the place of a long one.
            if list.len() >= 32 {
                hot[place] = hot.iter().max().copied().unwrap_or(0) + 1;
            }
        }
        if happens {
            lists.extend(scratch);
            lists.retain(|key, _| hot.contains(key));
        }
        OperationContent { f: "txn", input: Edn::Vector(asked), output: Some(Edn::Vector(shown)) }
    })
}

fn step(f: &str, key: i64, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::keyword(f), Edn::Int(key), value])
}

/// Points of two dimensions, each vector a function of its write; exact searches for the nearest five.
pub fn searches(shape: Shape) -> History {
    let mut live: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
    history(shape, |rng, number, happens| {
        let key = rng.random_range(0..shape.keys);
        let id = Edn::Int(key as i64);
        // What it shows is what the live points give; it changes them only where it happens.
        match rng.random_range(0..8) {
            0..3 => {
                let query = [f64::from(rng.random_range(0..100)), 0.0];
                let mut hits: Vec<(f64, usize)> =
                    live.iter().map(|(key, at)| ((at[0] - query[0]).hypot(at[1]), *key)).collect();
                hits.sort_by(|left, right| left.0.total_cmp(&right.0));
                hits.truncate(5);
                let hits = hits.into_iter().map(|(score, key)| pair(key, Edn::Float(score)));
                OperationContent {
                    f: "search",
                    input: query_of(&query, 5, true),
                    output: Some(Edn::Vector(hits.collect())),
                }
            }
            3 => {
                if happens {
                    live.remove(&key);
                }
                OperationContent { f: "delete", input: id.clone(), output: Some(id) }
            }
            _ => {
                let at = [(number * 7 % 101) as f64, number as f64 / 64.0];
                if happens {
                    live.insert(key, at);
                }
                let input = pair(key, Edn::Vector(at.iter().map(|part| Edn::Float(*part)).collect()));
                OperationContent { f: "upsert", input: input.clone(), output: Some(input) }
            }
        }
    })
}

/// What a search is asked with.
pub fn query_of(query: &[f64], limit: i64, exact: bool) -> Edn {
    let member = |name: &str, value| (Edn::keyword(name), value);
    Edn::Map(vec![
        member("distance", Edn::keyword("euclid")),
        member("exact", Edn::Bool(exact)),
        member("limit", Edn::Int(limit)),
        member("vector", Edn::Vector(query.iter().map(|part| Edn::Float(*part)).collect())),
    ])
}
