//! Each anomaly of collections that come and go, beside its nearest legal neighbour.

use super::check;
use crate::judge::check::HistoryVerdict;
use crate::judge::history::History;
use crate::judge::history::ops::pair;

/// The class of a history of lines `process type f value`, or what else the judge says.
fn class(lines: &str) -> String {
    let event = |line: &str| {
        let mut parts = line.trim().splitn(4, ' ');
        let mut part = || parts.next().unwrap();
        format!("{{:process {}, :type :{}, :f :{}, :value {}}}\n", part(), part(), part(), part())
    };
    let text: String = lines.split(';').map(event).collect();
    match check(&pair(&History::parse(&text).unwrap()).unwrap().ops).unwrap() {
        HistoryVerdict::Illegal(violation) => violation.class,
        other => format!("{other:?}"),
    }
}

const MADE: &str = "0 invoke create [a nil]; 0 ok create [a nil]; 0 invoke add [a 1]; 0 ok add [a 1]";
const DROPPED: &str = "1 invoke drop [a nil]; 1 ok drop [a nil]";
const MADE_AGAIN: &str = "1 invoke create [a nil]; 1 ok create [a nil]";

fn read(shown: &str) -> String {
    format!("2 invoke read [a nil]; 2 ok read [a {shown}]")
}

fn after(parts: &[&str]) -> String {
    class(&[&[MADE], parts].concat().join("; "))
}

#[test]
fn what_was_added_is_shown_until_a_drop_may_have_taken_it() {
    assert_eq!(after(&[&read("[1]")]), "Ok");
    assert_eq!(after(&[&read("[]")]), "lost");
    assert_eq!(after(&["1 invoke drop [a nil]", &read("[]"), "1 info drop [a nil]"]), "Ok");
    assert_eq!(after(&["1 invoke drop [a nil]", "1 fail drop [a nil]", &read("[]")]), "lost");
    assert_eq!(after(&[&read("[1 2]")]), "phantom");
}

#[test]
fn what_a_drop_took_does_not_come_back_with_the_name() {
    assert_eq!(after(&[DROPPED, MADE_AGAIN, &read("[]")]), "Ok");
    assert_eq!(after(&[DROPPED, MADE_AGAIN, &read("[1]")]), "resurrected");
    // While the drop goes on, or where nobody knows what came of it, both may be.
    assert_eq!(after(&["1 invoke drop [a nil]", &read("[1]"), "1 ok drop [a nil]"]), "Ok");
    assert_eq!(after(&["1 invoke drop [a nil]; 1 info drop [a nil]", &read("[1]")]), "Ok");
    // A write of unknown fate may land in the new collection.
    let late = "3 invoke add [a 2]; 3 info add [a 2]";
    assert_eq!(after(&[late, DROPPED, MADE_AGAIN, &read("[2]")]), "Ok");
}

#[test]
fn a_dropped_collection_takes_nothing_and_shows_nothing() {
    let add = "3 invoke add [a 2]; 3 ok add [a 2]";
    assert_eq!(after(&[DROPPED, &read(":gone")]), "Ok");
    assert_eq!(after(&[DROPPED, &read("[]")]), "resurrected");
    assert_eq!(after(&[DROPPED, add]), "written to nothing");
    assert_eq!(after(&[DROPPED, "4 invoke create [a nil]; 4 info create [a nil]", add, &read("[2]")]), "Ok");
    assert_eq!(after(&[DROPPED, MADE_AGAIN, add, &read("[2]")]), "Ok");
}

#[test]
fn a_collection_that_is_there_is_not_gone() {
    assert_eq!(after(&[&read(":gone")]), "lost collection");
    assert_eq!(after(&[DROPPED, MADE_AGAIN, &read(":gone")]), "lost collection");
    assert_eq!(after(&["1 invoke drop [a nil]", &read(":gone"), "1 ok drop [a nil]"]), "Ok");
    assert_eq!(class(&read(":gone")), "Ok");
}
