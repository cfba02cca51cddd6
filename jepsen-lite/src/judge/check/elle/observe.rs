//! What reads show: the order of each list's versions, and what is wrong without any cycle.
//!
//! Found here: `internal` (a transaction contradicts itself), `duplicate-elements`, `phantom` (nobody appended it), `G1a` (an
//! aborted transaction's), `G1b` (a state from inside a transaction), `incompatible-order` (two reads of which neither is a
//! beginning of the other). Pure.

use std::collections::{HashMap, HashSet};

use super::{Anomaly, MicroOperation, Txn};
use crate::judge::history::Type;

/// What is known of the versions of all lists.
#[derive(Debug, Default)]
pub struct Versions {
    /// For each key the longest list that was read.
    pub longest: Vec<Vec<i64>>,
    /// Who appended a value.
    pub writer: HashMap<(u32, i64), usize>,
    /// The appends of certainly committed transactions that no read shows, by key.
    pub unread: Vec<Vec<usize>>,
}

/// The versions, and the anomalies that need no cycle.
pub fn observe(txns: &[Txn], names: &[String]) -> (Versions, Vec<Anomaly>) {
    let mut versions = Versions {
        longest: vec![Vec::new(); names.len()],
        writer: HashMap::new(),
        unread: vec![Vec::new(); names.len()],
    };
    // For each writer and key its last append.
    let mut last: HashMap<(usize, u32), i64> = HashMap::new();
    for (number, txn) in txns.iter().enumerate() {
        for step in &txn.steps {
            if let MicroOperation::Append(key, value) = step {
                versions.writer.insert((*key, *value), number);
                last.insert((number, *key), *value);
            }
        }
    }
    let mut found = Vec::new();
    let mut longest_by: Vec<usize> = vec![0; names.len()];
    for (number, txn) in txns.iter().enumerate() {
        found.extend(internal(number, txn, names));
        for (key, list) in txn.steps.iter().filter_map(shown) {
            found.extend(elements(txns, names, number, key, list, &versions, &last));
            let longest = &versions.longest[key as usize];
            let (short, long) =
                if list.len() > longest.len() { (longest.as_slice(), list) } else { (list, longest.as_slice()) };
            if !long.starts_with(short) {
                let name = &names[key as usize];
                let cause = format!("list {name} was read as {} and as {}", tail(list), tail(longest));
                found.push(anomaly("incompatible-order", cause, vec![longest_by[key as usize], number]));
            } else if list.len() > longest.len() {
                (versions.longest[key as usize], longest_by[key as usize]) = (list.to_vec(), number);
            }
        }
    }
    let read: HashSet<(u32, i64)> =
        (0_u32..).zip(&versions.longest).flat_map(|(key, list)| list.iter().map(move |value| (key, *value))).collect();
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.outcome == Type::Ok) {
        for step in &txn.steps {
            if let MicroOperation::Append(key, value) = step
                && !read.contains(&(*key, *value))
                && versions.unread[*key as usize].last() != Some(&number)
            {
                versions.unread[*key as usize].push(number);
            }
        }
    }
    (versions, found)
}

fn anomaly(class: &str, cause: String, txns: Vec<usize>) -> Anomaly {
    Anomaly { class: class.to_owned(), cause, txns }
}

/// The key and the list of a read that showed one.
pub fn shown(step: &MicroOperation) -> Option<(u32, &[i64])> {
    match step {
        MicroOperation::Read(key, Some(list)) => Some((*key, list)),
        _ => None,
    }
}

/// A list for people: its end.
pub fn tail(list: &[i64]) -> String {
    let from = list.len().saturating_sub(6);
    let items: Vec<String> = list[from..].iter().map(i64::to_string).collect();
    format!("[{}{}]", if from > 0 { "… " } else { "" }, items.join(" "))
}

/// A transaction's reads agree with its own earlier reads and appends.
fn internal(number: usize, txn: &Txn, names: &[String]) -> Option<Anomaly> {
    // Known of each list: what it holds, or, not having read it, what it ends with.
    let mut known: HashMap<u32, (bool, Vec<i64>)> = HashMap::new();
    for step in &txn.steps {
        match step {
            MicroOperation::Append(key, value) => known.entry(*key).or_default().1.push(*value),
            MicroOperation::Read(key, Some(list)) => {
                if let Some((whole, expected)) = known.get(key)
                    && !(if *whole { list == expected } else { list.ends_with(expected) })
                {
                    let so_far = if *whole { "" } else { "… " };
                    let expected = tail(expected).replacen('[', &format!("[{so_far}"), 1);
                    let name = &names[*key as usize];
                    let cause =
                        format!("T{number} read list {name} as {} where by its own steps it is {expected}", tail(list));
                    return Some(anomaly("internal", cause, vec![number]));
                }
                known.insert(*key, (true, list.clone()));
            }
            MicroOperation::Read(_, None) => {}
        }
    }
    None
}

fn elements(
    txns: &[Txn],
    names: &[String],
    number: usize,
    key: u32,
    list: &[i64],
    versions: &Versions,
    last: &HashMap<(usize, u32), i64>,
) -> Vec<Anomaly> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let name = &names[key as usize];
    // What the longest list already showed was judged when it was read.
    let judged = if versions.longest[key as usize].starts_with(list) { list.len() } else { 0 };
    for value in &list[judged..] {
        if !seen.insert(*value) {
            let cause = format!("T{number} read list {name} with {value} twice: {}", tail(list));
            found.push(anomaly("duplicate-elements", cause, vec![number]));
            break;
        }
        match versions.writer.get(&(key, *value)) {
            None => {
                let cause = format!("T{number} read {value} in list {name}, which nobody appended");
                found.push(anomaly("phantom", cause, vec![number]));
            }
            Some(writer) if txns[*writer].outcome == Type::Fail => {
                let cause = format!("T{number} read {value} in list {name}, which the aborted T{writer} appended");
                found.push(anomaly("G1a", cause, vec![*writer, number]));
            }
            Some(_) => {}
        }
    }
    let end = list.last().and_then(|value| Some((value, *versions.writer.get(&(key, *value))?)));
    if let Some((value, writer)) = end
        && writer != number
        && last.get(&(writer, key)) != Some(value)
    {
        let cause = format!("T{number} read list {name} up to {value}, from inside T{writer}, which appended more");
        found.push(anomaly("G1b", cause, vec![writer, number]));
    }
    found
}
