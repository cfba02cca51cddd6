//! Each anomaly of scans and counts, beside its nearest legal neighbour.

use super::check;
use crate::judge::check::HistoryVerdict;
use crate::judge::history::History;
use crate::judge::history::ops::pair;

/// Judges a history of lines `process type f value`.
fn judged(lines: &str) -> HistoryVerdict {
    let event = |line: &str| {
        let mut parts = line.trim().splitn(4, ' ');
        let mut part = || parts.next().unwrap();
        format!("{{:process {}, :type :{}, :f :{}, :value {}}}\n", part(), part(), part(), part())
    };
    let text: String = lines.split(';').map(event).collect();
    check(&pair(&History::parse(&text).unwrap()).unwrap().ops).unwrap()
}

fn class(lines: &str) -> String {
    match judged(lines) {
        HistoryVerdict::Illegal(violation) => violation.class,
        other => format!("{other:?}"),
    }
}

const ADDED: &str = "0 invoke add 1; 0 ok add 1";

fn after_add(lines: &str) -> String {
    class(&format!("{ADDED}; {lines}"))
}

#[test]
fn what_was_acknowledged_is_shown() {
    assert_eq!(after_add("1 invoke scan nil; 1 ok scan [1]"), "Ok");
    assert_eq!(after_add("1 invoke scan nil; 1 ok scan []"), "lost");
    assert_eq!(after_add("1 invoke scan nil; 1 ok scan []; 1 invoke scan nil; 1 ok scan [1]"), "stale read");
    // Begun before the acknowledgement, or of unknown fate: both answers are right.
    assert_eq!(class("1 invoke scan nil; 0 invoke add 1; 0 info add 1; 1 ok scan []"), "Ok");
    assert_eq!(class("0 invoke add 1; 0 info add 1; 1 invoke scan nil; 1 ok scan [1]"), "Ok");
}

#[test]
fn what_was_removed_stays_away() {
    let removed = "0 invoke remove 1; 0 ok remove 1";
    assert_eq!(after_add(&format!("{removed}; 1 invoke scan nil; 1 ok scan []")), "Ok");
    assert_eq!(after_add(&format!("{removed}; 1 invoke scan nil; 1 ok scan [1]")), "resurrected");
    assert_eq!(after_add("0 invoke remove 1; 0 info remove 1; 1 invoke scan nil; 1 ok scan [1]"), "Ok");
    assert_eq!(after_add("0 invoke remove 1; 0 fail remove 1; 1 invoke scan nil; 1 ok scan []"), "lost");
}

#[test]
fn a_sweep_removes_what_was_there_before_it_and_spares_what_comes_later() {
    let (swept, scan) =
        ("2 invoke sweep [0 9]; 2 ok sweep [0 9]", |shown| format!("1 invoke scan nil; 1 ok scan {shown}"));
    assert_eq!(after_add(&format!("{swept}; {}", scan("[]"))), "Ok");
    assert_eq!(after_add(&format!("{swept}; {}", scan("[1]"))), "resurrected");
    assert_eq!(after_add(&format!("2 invoke sweep [2 9]; 2 ok sweep [2 9]; {}", scan("[]"))), "lost");
    assert_eq!(after_add(&format!("2 invoke sweep [0 9]; 2 info sweep [0 9]; {}", scan("[]"))), "Ok");
    assert_eq!(after_add(&format!("2 invoke sweep [0 9]; 2 fail sweep [0 9]; {}", scan("[]"))), "lost");
    // Added before it, beside it, after it.
    assert_eq!(class(&format!("{swept}; {ADDED}; {}", scan("[]"))), "lost");
    assert_eq!(class(&format!("2 invoke sweep [0 9]; {ADDED}; 2 ok sweep [0 9]; {}", scan("[]"))), "Ok");
    assert_eq!(class(&format!("2 invoke sweep [0 9]; {ADDED}; 2 ok sweep [0 9]; {}", scan("[1]"))), "Ok");
}

#[test]
fn nothing_is_shown_twice_or_out_of_nowhere() {
    assert_eq!(after_add("1 invoke scan nil; 1 ok scan [1 1]"), "duplicate");
    assert_eq!(after_add("1 invoke scan nil; 1 ok scan [1 2]"), "phantom");
    assert_eq!(
        class("1 invoke scan nil; 1 ok scan [1]; 0 invoke add 1; 0 ok add 1; 1 invoke scan nil; 1 ok scan [1]"),
        "phantom"
    );
    assert_eq!(class("0 invoke add 1; 0 fail add 1; 1 invoke scan nil; 1 ok scan [1]"), "phantom");
}

#[test]
fn counts_lie_between_what_must_and_what_may_be_there() {
    let scan = "1 invoke scan nil; 1 ok scan [1]";
    let counted = |count: &str| {
        after_add(&format!("{scan}; 2 invoke add 5; 1 invoke count nil; 1 ok count {count}; 2 info add 5"))
    };
    assert_eq!([counted("0"), counted("1"), counted("2"), counted("3")], ["wrong count", "Ok", "Ok", "wrong count"]);
}

#[test]
fn an_element_that_was_never_read_is_not_passed_over() {
    assert!(after_add("1 invoke count nil; 1 ok count 1").contains("never read"));
}
