//! Each wrong answer of a search in its smallest form, and beside it its nearest legal neighbour.

use crate::judge::check::{CheckLimits, HistoryVerdict};
use crate::judge::history::History;
use crate::judge::history::ops::pair;

/// Points on a line, in short: `process upsert id x @call-return`, `process delete id @…`, `process search x limit [[id score] …] @…`
/// (`near` in place of `search` is approximate, `old` is at ONE).
fn judge(lines: &str) -> HistoryVerdict {
    let mut events = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, when) = line.rsplit_once('@').unwrap();
        let parts: Vec<&str> = what.trim().splitn(5, ' ').collect();
        let (f, asked, shown) = match parts[1] {
            "upsert" => ("upsert", format!("[{} [{}]]", parts[2], parts[3]), None),
            "delete" => ("delete", parts[2].to_owned(), None),
            kind => {
                let asked = format!(
                    "{{:vector [{}], :limit {}, :exact {}, :distance :euclid}}",
                    parts[2],
                    parts[3],
                    kind != "near"
                );
                ("search", asked, Some(parts[4].to_owned()))
            }
        };
        let level = if parts[1] == "old" { ", :level :one" } else { "" };
        let (call, ret) = when.split_once('-').unwrap();
        let kind = if ret.ends_with('?') { "info" } else { "ok" };
        let shown = shown.unwrap_or_else(|| asked.clone());
        for (kind, time, value) in [("invoke", call, asked), (kind, ret.trim_end_matches('?'), shown)] {
            let line = format!(
                "{{:process {}, :type :{kind}, :f :{f}, :value {value}, :time {time}000000{level}}}\n",
                parts[0]
            );
            events.push((time.parse::<i64>().unwrap(), kind != "invoke", line));
        }
    }
    events.sort();
    let text: String = events.into_iter().map(|(_, _, line)| line).collect();
    super::check(&pair(&History::parse(&text).unwrap()).unwrap().ops, CheckLimits::default()).unwrap()
}

fn bad(class: &str, told: &str, lines: &str) {
    match judge(lines) {
        HistoryVerdict::Illegal(violation) => {
            assert_eq!(violation.class, class, "{}", violation.cause);
            assert!(violation.cause.contains(told), "{}", violation.cause);
        }
        other => panic!("{class}: {other:?}"),
    }
}

fn good(lines: &str) {
    assert_eq!(judge(lines), HistoryVerdict::Ok, "{lines}");
}

const POINTS: &str = "0 upsert 1 1.0 @1-2\n 0 upsert 2 2.0 @3-4\n 0 upsert 3 5.0 @5-6\n";

#[test]
fn an_exact_search_shows_the_nearest_of_one_state() {
    good(&format!("{POINTS} 1 search 0.0 2 [[1 1.0] [2 2.0]] @7-8"));
    bad("non-linearizable", "another top 2", &format!("{POINTS} 1 search 0.0 2 [[1 1.0] [3 5.0]] @7-8"));
    bad("non-linearizable", "the 3 live points", &format!("{POINTS} 1 search 0.0 2 [[1 1.0]] @7-8"));
    good(&format!("{POINTS} 1 search 0.0 2 [[1 1.0]] @1-3"));
    good(&format!("{POINTS} 1 search 0.0 9 [] @1-2"));
    // Two states, each half shown.
    let moved = format!("{POINTS} 0 upsert 1 9.0 @7-8\n 0 upsert 2 8.0 @9-10\n");
    bad("non-linearizable", "", &format!("{moved} 1 search 0.0 2 [[1 1.0] [3 5.0]] @7-10"));
    good(&format!("{moved} 1 search 0.0 2 [[2 2.0] [3 5.0]] @7-10"));
}

#[test]
fn of_equally_near_points_any_may_be_shown() {
    let tied = "0 upsert 1 1.0 @1-2\n 0 upsert 2 -1.0 @3-4\n";
    good(&format!("{tied} 1 search 0.0 1 [[1 1.0]] @7-8\n 1 search 0.0 1 [[2 1.0]] @9-10"));
}

#[test]
fn a_hit_is_of_what_was_there() {
    bad(
        "deleted hit",
        "deleted, which was acknowledged 2 ms before",
        &format!("{POINTS} 0 delete 1 @7-8\n 1 near 0.0 2 [[1 1.0] [2 2.0]] @10-11"),
    );
    good(&format!("{POINTS} 0 delete 1 @7-10\n 1 near 0.0 2 [[1 1.0] [2 2.0]] @10-11"));
    good(&format!("{POINTS} 0 delete 1 @7-8?\n 1 near 0.0 2 [[1 1.0] [2 2.0]] @10-11"));
    bad("stale hit", "overwritten", &format!("{POINTS} 0 upsert 1 3.0 @7-8\n 1 near 0.0 2 [[1 1.0] [2 2.0]] @10-11"));
    good(&format!("{POINTS} 0 upsert 1 3.0 @7-8\n 1 old 0.0 2 [[1 1.0] [2 2.0]] @10-11"));
    bad("wrong score", "score 1.5", &format!("{POINTS} 1 near 0.0 2 [[1 1.5] [2 2.0]] @10-11"));
    bad("wrong score", "", &format!("{POINTS} 1 old 0.0 2 [[1 1.5] [2 2.0]] @10-11"));
    bad("phantom", "nobody wrote", &format!("{POINTS} 1 near 0.0 2 [[7 1.0] [2 2.0]] @10-11"));
    bad("duplicate", "point 1 twice", &format!("{POINTS} 1 near 0.0 2 [[1 1.0] [1 1.0]] @10-11"));
    bad("unsorted", "not sorted", &format!("{POINTS} 1 near 0.0 2 [[2 2.0] [1 1.0]] @10-11"));
    bad("too many hits", "3 hits where 2", &format!("{POINTS} 1 near 0.0 2 [[1 1.0] [2 2.0] [3 5.0]] @10-11"));
}

#[test]
fn approximate_searches_find_most_of_what_is_near() {
    good(&format!("{POINTS} 1 near 0.0 3 [[1 1.0] [2 2.0] [3 5.0]] @10-11"));
    bad("recall", "0.67", &format!("{POINTS} 1 near 0.0 3 [[1 1.0] [3 5.0]] @10-11"));
    // What is being written may be missed.
    good(&format!("{POINTS} 0 upsert 4 3.0 @9-12\n 1 near 0.0 3 [[1 1.0] [2 2.0] [3 5.0]] @10-11"));
}
