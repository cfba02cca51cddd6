//! Cycles, and their names.
//!
//! Strongly connected components (Tarjan, 1972, without recursion) of ever more kinds of edges: of values alone, then with
//! the order of each process, then with that of time, so that an anomaly is named by the weakest order that it breaks. In
//! each component the gravest class is told: `G0` (only ww), `G1c` (ww and wr), `G-single` (one rw), `G2-item` (more). Pure.

use std::collections::{HashMap, HashSet, VecDeque};

use super::graph::{DependencyGraph, DependencyKind, PROCESS, REALTIME, RW, WR, WW};
use super::{Anomaly, Txn};
use crate::judge::history::ops::NEVER;

/// How many searches for a cycle through one rw edge a component is worth.
const TRIES: usize = 2_000;

/// How many transactions are tried as the start of a short cycle.
const STARTS: usize = 50;

/// A cycle: its transactions in order, each with the kind of its edge to the next.
type Cycle = Vec<(u32, DependencyKind)>;

/// All anomalies that are cycles, one a component.
pub fn find(txns: &[Txn], names: &[String], graph: &DependencyGraph) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut told: HashSet<u32> = HashSet::new();
    // A cycle that needs no order of processes or time is the worse one, so it is looked for first.
    for (order, suffix) in [(0, ""), (PROCESS, "-process"), (PROCESS | REALTIME, "-realtime")] {
        for component in components(graph, None, WW | WR | RW | order) {
            if component.iter().any(|txn| told.contains(txn)) {
                continue;
            }
            let inside: HashSet<u32> = component.iter().copied().collect();
            // One anomaly of a component is told; the others have the same cause as a rule.
            let Some((class, cycle)) = gravest(graph, &inside, order) else { continue };
            let cause = sentence(txns, names, graph, &cycle);
            found.push(Anomaly {
                class: format!("{class}{suffix}"),
                cause,
                txns: cycle.iter().map(|(txn, _)| *txn as usize).collect(),
            });
            told.extend(component);
        }
    }
    found
}

fn gravest(graph: &DependencyGraph, inside: &HashSet<u32>, order: DependencyKind) -> Option<(&'static str, Cycle)> {
    // A short cycle through these kinds of edges; to try a few starts is enough for a short one.
    let closed = |kinds: DependencyKind| {
        let component = components(graph, Some(inside), kinds).into_iter().next()?;
        let inside: HashSet<u32> = component.iter().copied().collect();
        let starts = component.iter().take(STARTS);
        starts.filter_map(|start| path(graph, &inside, kinds, *start, *start)).min_by_key(Vec::len)
    };
    // From the gravest to the least: each kind of cycle includes those before.
    if let Some(cycle) = closed(WW | order) {
        return Some(("G0", cycle));
    }
    if let Some(cycle) = closed(WW | WR | order) {
        return Some(("G1c", cycle));
    }
    if let Some(cycle) = single(graph, inside, order) {
        return Some(("G-single", cycle));
    }
    Some(("G2-item", closed(WW | WR | RW | order)?))
}

/// A shortest cycle with exactly one rw edge.
fn single(graph: &DependencyGraph, inside: &HashSet<u32>, order: DependencyKind) -> Option<Cycle> {
    let mut readers: Vec<u32> = inside.iter().copied().collect();
    readers.sort_unstable();
    let edges = readers.iter().flat_map(|from| graph.out(*from).iter().map(move |(to, kind)| (*from, *to, *kind)));
    let antis = edges.filter(|(_, to, kind)| *kind == RW && inside.contains(to)).take(TRIES);
    let cycle = |(from, to, _)| {
        let mut rest = path(graph, inside, WW | WR | order, to, from)?;
        rest.insert(0, (from, RW));
        Some(rest)
    };
    antis.filter_map(cycle).min_by_key(Vec::len)
}

/// A shortest way from `start` to `goal` with at least one edge: each transaction on it but the goal, with the kind of the
/// edge out of it. Where two edges join the same two, one of values is told.
fn path(graph: &DependencyGraph, inside: &HashSet<u32>, kinds: DependencyKind, start: u32, goal: u32) -> Option<Cycle> {
    let mut came: HashMap<u32, (u32, DependencyKind)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    // Breadth first, so the path is a shortest one. It may end where it starts.
    while let Some(txn) = queue.pop_front() {
        for (to, kind) in graph.out(txn).iter().filter(|(to, kind)| kinds & kind != 0 && inside.contains(to)) {
            if came.contains_key(to) {
                continue;
            }
            came.insert(*to, (txn, *kind));
            if *to == goal {
                return Some(walk_back(&came, start, goal));
            }
            queue.push_back(*to);
        }
    }
    None
}

fn walk_back(came: &HashMap<u32, (u32, DependencyKind)>, start: u32, goal: u32) -> Cycle {
    let mut way = Vec::new();
    let mut at = goal;
    while let Some(step) = came.get(&at) {
        way.push(*step);
        at = step.0;
        if at == start {
            break;
        }
    }
    way.reverse();
    way
}

/// The transactions `inside`, or all, in the order of their numbers, so that an answer is the same each time.
fn in_order(graph: &DependencyGraph, inside: Option<&HashSet<u32>>) -> Vec<u32> {
    let Some(inside) = inside else { return (0..graph.len() as u32).collect() };
    let mut sorted: Vec<u32> = inside.iter().copied().collect();
    sorted.sort_unstable();
    sorted
}

/// The strongly connected components of more than one transaction, over edges of `kinds`.
fn components(graph: &DependencyGraph, inside: Option<&HashSet<u32>>, kinds: DependencyKind) -> Vec<Vec<u32>> {
    const NEW: u32 = u32::MAX;
    let size = graph.len();
    // Tarjan's marks of each transaction: when it was met, and the earliest that can be reached from it.
    let (mut index, mut low) = (vec![NEW; size], vec![0_u32; size]);
    let mut on_stack = vec![false; size];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    // The calls of the recursion, as a list: the transaction, and its next edge. A history can be deeper than a stack.
    let mut calls: Vec<(u32, usize)> = Vec::new();
    for root in in_order(graph, inside) {
        if index[root as usize] != NEW {
            continue;
        }
        calls.push((root, 0));
        while let Some((txn, edge)) = calls.pop() {
            let at = txn as usize;
            // The first time: it is met.
            if edge == 0 {
                (index[at], low[at], on_stack[at]) = (next, next, true);
                next += 1;
                stack.push(txn);
            }
            let out = graph.out(txn);
            // The next edge to something new. Edges to what is on the stack are noted on the way.
            let follow = (edge..out.len()).find(|edge| {
                let (to, kind) = out[*edge];
                let counts = kinds & kind != 0 && inside.is_none_or(|inside| inside.contains(&to));
                if counts && index[to as usize] != NEW && on_stack[to as usize] {
                    low[at] = low[at].min(index[to as usize]);
                }
                counts && index[to as usize] == NEW
            });
            if let Some(edge) = follow {
                calls.push((txn, edge + 1));
                calls.push((out[edge].0, 0));
                continue;
            }
            // All its edges were followed. Where nothing earlier was reached, it is the root of a component.
            if low[at] == index[at] {
                let from = stack.iter().rposition(|other| *other == txn).unwrap_or(0);
                let component = stack.split_off(from);
                component.iter().for_each(|txn| on_stack[*txn as usize] = false);
                if component.len() > 1 {
                    found.push(component);
                }
            }
            // What was reached from it was reached from its caller, too.
            if let Some((parent, _)) = calls.last() {
                low[*parent as usize] = low[*parent as usize].min(low[at]);
            }
        }
    }
    found
}

fn sentence(txns: &[Txn], names: &[String], graph: &DependencyGraph, cycle: &Cycle) -> String {
    // Each edge in words, by the value that it rests on.
    let step = |(position, (txn, kind)): (usize, &(u32, DependencyKind))| {
        let to = cycle[(position + 1) % cycle.len()].0;
        let reason = graph.reasons.get(&(*txn, to, *kind));
        let (list, value) = reason.map_or(("?", 0), |(key, value)| (names[*key as usize].as_str(), *value));
        match *kind {
            WW => format!("T{to} appended {value} to list {list} after T{txn}"),
            WR => format!("T{to} read {value} of T{txn} in list {list}"),
            RW => format!("T{txn} did not see {value} that T{to} appended to list {list}"),
            PROCESS => format!("T{to} followed T{txn} in its process"),
            _ => {
                let ended = txns[*txn as usize].ret;
                let ended = if ended == NEVER { "" } else { "had ended " };
                format!("T{txn} {ended}before T{to} began")
            }
        }
    };
    let steps: Vec<String> = cycle.iter().enumerate().map(step).collect();
    // The last step is the one that cannot be, after all others.
    match steps.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{}, yet {last}", first.join(", ")),
        _ => steps.concat(),
    }
}
