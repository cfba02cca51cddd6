//! Changes of a history that must not change its verdict, or may change it one way only.

use super::verdict;
use crate::judge::check::{ConsistencyModel, HistoryVerdict};
use crate::judge::history::edn::Edn;
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};
use crate::judge::synth;
use crate::judge::synth::Shape;

/// Histories of registers, every second with one read changed at random; so some are legal and some are not.
fn histories() -> Vec<History> {
    let history = |seed: u64| {
        let shape = Shape { seed, clients: 4, operations: 60, keys: 2, unknown_one_in: 9 };
        let mut history = synth::registers(shape, true);
        let reads: Vec<usize> = (0..history.events.len())
            .filter(|index| history.events[*index].kind == Type::Ok && history.events[*index].f == "read")
            .collect();
        if seed % 2 == 1 {
            let (one, other) = (reads[seed as usize % reads.len()], reads[seed as usize * 7 % reads.len()]);
            history.events[one].value = history.events[other].value.clone();
        }
        history
    };
    (0..200).map(history).collect()
}

fn legal(history: &History) -> bool {
    verdict(ConsistencyModel::CasRegister, history) == HistoryVerdict::Ok
}

fn same(change: impl Fn(&mut HistoryEvent)) {
    let (mut good, mut bad) = (0, 0);
    for history in histories() {
        let before = legal(&history);
        let mut changed = history;
        changed.events.iter_mut().for_each(&change);
        assert_eq!(legal(&changed), before);
        *if before { &mut good } else { &mut bad } += 1;
    }
    assert!(good > 50 && bad > 20, "{good} legal and {bad} illegal");
}

fn renamed(value: &Edn) -> Edn {
    match value {
        Edn::Int(number) => Edn::Str(format!("v{number}")),
        Edn::Vector(items) => Edn::Vector(items.iter().map(renamed).collect()),
        other => other.clone(),
    }
}

#[test]
fn the_names_of_values_and_processes_mean_nothing() {
    same(|event| event.value = renamed(&event.value));
    same(|event| {
        if let HistoryProcess::Client(number) = &mut event.process {
            *number = 10_000 - *number;
        }
    });
}

#[test]
fn only_the_order_of_times_means_something() {
    same(|event| event.time = event.time.map(|time| time * 3 + 1_000_000));
    // Without times the lines, which are in the order of times, say the same.
    same(|event| event.time = None);
}

#[test]
fn a_wider_interval_or_one_pending_operation_less_makes_nothing_illegal() {
    for history in histories().into_iter().filter(legal) {
        let last = history.events.iter().filter_map(|event| event.time).max().unwrap_or(0);
        for index in (0..history.events.len()).step_by(11) {
            let mut wider = history.clone();
            let event = &mut wider.events[index];
            // Only the last of its process may move: a process does one thing at a time.
            let process = event.process.clone();
            if event.kind != Type::Invoke && !history.events[index + 1..].iter().any(|other| other.process == process) {
                event.time = Some(last + 1);
                assert!(legal(&wider));
            }
        }
        let mut fewer = history.clone();
        let reads = |process: &HistoryProcess| {
            history
                .events
                .iter()
                .any(|event| event.process == *process && event.kind == Type::Info && event.f == "read")
        };
        let mut dropped = Vec::new();
        for (index, event) in history.events.iter().enumerate() {
            if event.kind == Type::Info && event.f == "read" && reads(&event.process) {
                let invoked = history.events[..index].iter().rposition(|other| other.process == event.process);
                dropped.extend([Some(index), invoked].into_iter().flatten());
            }
        }
        let mut index = 0;
        fewer.events.retain(|_| {
            index += 1;
            !dropped.contains(&(index - 1))
        });
        assert!(legal(&fewer));
    }
}
