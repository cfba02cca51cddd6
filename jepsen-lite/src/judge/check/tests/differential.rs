//! Four opinions on many small random histories: brute force over all orders, the search, the zones, and the crate
//! `porcupine-rs` (asked without a limit, for it calls illegal what it had no time for).

use porcupine_rs::{Operation, check_operations};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::judge::check::CheckLimits;
use crate::judge::check::register::{NIL, Register, RegisterOperation, linearizable, prune};
use crate::judge::check::wgl::{LinearizationResult, SequentialModel, TimedOperation, search};
use crate::judge::check::zones;
use crate::judge::history::ops::NEVER;

/// A random history of up to seven operations; about half of them are linearizable.
fn random(rng: &mut StdRng, cas: bool) -> Vec<TimedOperation<RegisterOperation>> {
    let size = rng.random_range(0..=7);
    let mut ends: Vec<usize> = (0..size).flat_map(|op| [op, op]).collect();
    // Mostly short intervals, so that time forbids something.
    let reach = rng.random_range(2..=6);
    for window in 0..ends.len().saturating_sub(reach) {
        ends[window..window + reach].shuffle(rng);
    }
    let mut intervals = vec![(0, 0); size];
    for (place, op) in ends.into_iter().enumerate() {
        let place = place as u64 + 1;
        intervals[op] = if intervals[op].0 == 0 { (place, 0) } else { (intervals[op].0, place) };
    }
    let unique = !cas || rng.random_ratio(1, 4);
    let mut timed: Vec<_> = intervals
        .into_iter()
        .enumerate()
        .map(|(source, (call, ret))| {
            let mut value = || if unique { rng.random_range(0..=size as u32) } else { rng.random_range(0..3) };
            let (one, other) = (value(), value());
            let mine = if unique { source as u32 + 1 } else { one };
            let op = match rng.random_range(0..if cas { 8 } else { 5 }) {
                0..2 => RegisterOperation::Write(mine),
                2..5 => RegisterOperation::Read(Some(one)),
                5 => RegisterOperation::Read(None),
                _ => RegisterOperation::Cas { from: one, to: other, done: Some(rng.random_ratio(3, 4)) },
            };
            TimedOperation { call, ret, op, source }
        })
        .collect();
    for timed in &mut timed {
        if rng.random_ratio(1, 8) {
            timed.ret = NEVER;
            match &mut timed.op {
                RegisterOperation::Read(value) => *value = None,
                RegisterOperation::Cas { done, .. } => *done = None,
                RegisterOperation::Write(_) => {}
            }
        }
    }
    timed.sort_by_key(|timed| timed.call);
    timed
}

/// Every order that time allows, one after the other.
fn brute(ops: &[TimedOperation<RegisterOperation>], left: &mut Vec<usize>, state: u32) -> bool {
    if left.iter().all(|op| ops[*op].ret == NEVER) {
        return true;
    }
    (0..left.len()).any(|place| {
        let op = left[place];
        if left.iter().any(|other| ops[*other].ret < ops[op].call) {
            return false;
        }
        let Some(next) = Register.step(&state, &ops[op].op) else { return false };
        left.remove(place);
        let found = brute(ops, left, next);
        left.insert(place, op);
        found
    })
}

impl porcupine_rs::Model for Register {
    type State = u32;
    type Op = RegisterOperation;
    type Metadata = ();

    fn init() -> u32 {
        NIL
    }

    fn step(state: &u32, op: &RegisterOperation) -> (bool, u32) {
        let next = SequentialModel::step(&Register, state, op);
        (next.is_some(), next.unwrap_or(*state))
    }
}

fn porcupine(ops: &[TimedOperation<RegisterOperation>]) -> bool {
    let operation = |timed: &TimedOperation<RegisterOperation>| Operation {
        client_id: None,
        call_time: timed.call as i64,
        return_time: if timed.ret == NEVER { 1_000 + timed.call as i64 } else { timed.ret as i64 },
        op: timed.op,
        metadata: None,
    };
    check_operations::<Register>(&ops.iter().map(operation).collect::<Vec<_>>())
}

fn searched(ops: &[TimedOperation<RegisterOperation>]) -> bool {
    match search(&Register, ops, CheckLimits::default()) {
        LinearizationResult::Order(order) => {
            assert!(explains(ops, &order), "{ops:?} is not explained by {order:?}");
            true
        }
        LinearizationResult::Stuck { .. } => false,
        LinearizationResult::Limit => panic!("no limit was near: {ops:?}"),
    }
}

/// The order holds all that ended, agrees with time, and is legal.
fn explains(ops: &[TimedOperation<RegisterOperation>], order: &[usize]) -> bool {
    let in_time = order
        .iter()
        .enumerate()
        .all(|(place, op)| order[..place].iter().all(|before| ops[*before].call < ops[*op].ret));
    let complete = ops.iter().enumerate().all(|(op, timed)| timed.ret == NEVER || order.contains(&op));
    in_time && complete && order.iter().try_fold(NIL, |state, op| Register.step(&state, &ops[*op].op)).is_some()
}

fn compare(seed: u64, histories: usize, cas: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut legal, mut by_zones) = (0, 0);
    for number in 0..histories {
        let ops = random(&mut rng, cas);
        let truth = brute(&ops, &mut (0..ops.len()).collect(), NIL);
        assert_eq!(searched(&ops), truth, "search: {ops:?}");
        assert_eq!(searched(&prune(&ops)), truth, "search after pruning: {ops:?}");
        assert_eq!(linearizable(&ops, CheckLimits::default()), Some(truth), "as it is used: {ops:?}");
        if zones::applies(&ops) {
            assert_eq!(zones::conflict(&ops).is_none(), truth, "zones: {ops:?}");
            by_zones += 1;
        }
        if number % 10 == 0 {
            assert_eq!(porcupine(&ops), truth, "porcupine-rs: {ops:?}");
        }
        legal += usize::from(truth);
    }
    assert!(legal > histories / 10 && legal < histories * 9 / 10, "{legal} of {histories} are legal");
    assert!(by_zones > histories / 20, "{by_zones} of {histories} by zones");
}

#[test]
fn all_opinions_agree_on_registers_of_unique_values() {
    compare(1, 80_000, false);
}

#[test]
fn all_opinions_agree_on_registers_with_cas() {
    compare(2, 40_000, true);
}
