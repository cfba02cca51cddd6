//! Each anomaly of transactions in its smallest form, and beside it its nearest legal neighbour.

use crate::judge::check::HistoryVerdict;
use crate::judge::history::History;
use crate::judge::history::ops::pair;

/// Transactions in short: `process [steps] @call-return`, a line a transaction; `!` aborted, `?` unknown.
fn judge(lines: &str) -> HistoryVerdict {
    let mut events = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, when) = line.rsplit_once('@').unwrap();
        let (process, steps) = what.trim().split_once(' ').unwrap();
        let (call, ret) = when.split_once('-').unwrap();
        let kind = if ret.ends_with('!') {
            "fail"
        } else if ret.ends_with('?') {
            "info"
        } else {
            "ok"
        };
        let ret = ret.trim_end_matches(['!', '?']);
        for (kind, time) in [("invoke", call), (kind, ret)] {
            let line = format!("{{:process {process}, :type :{kind}, :f :txn, :value {steps}, :time {time}}}\n");
            events.push((time.parse::<i64>().unwrap(), kind != "invoke", line));
        }
    }
    events.sort();
    let text: String = events.into_iter().map(|(_, _, line)| line).collect();
    super::check(&pair(&History::parse(&text).unwrap()).unwrap().ops).unwrap()
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

#[test]
fn writes_in_opposite_orders_are_g0() {
    let writes = "0 [[:append :x 1] [:append :y 1]] @1-9\n 1 [[:append :x 2] [:append :y 2]] @1-9\n";
    bad("G0", "after", &format!("{writes} 2 [[:r :x [1 2]] [:r :y [2 1]]] @10-11"));
    good(&format!("{writes} 2 [[:r :x [1 2]] [:r :y [1 2]]] @10-11"));
}

#[test]
fn an_aborted_append_that_is_read_is_g1a() {
    bad("G1a", "the aborted T0", "0 [[:append :x 1]] @1-2!\n 1 [[:r :x [1]]] @3-4");
    good("0 [[:append :x 1]] @1-2?\n 1 [[:r :x [1]]] @3-4");
    good("0 [[:append :x 1]] @1-2!\n 1 [[:r :x []]] @3-4");
}

#[test]
fn a_state_from_inside_a_transaction_is_g1b() {
    bad(
        "G1b",
        "from inside T0",
        "0 [[:append :x 1] [:append :x 2]] @1-9\n 1 [[:r :x [1]]] @3-4\n 2 [[:r :x [1 2]]] @10-11",
    );
    good("0 [[:append :x 1] [:append :x 2]] @1-9\n 1 [[:r :x [1 2]]] @3-4");
    good("0 [[:append :x 1] [:r :x [1]] [:append :x 2]] @1-9\n 1 [[:r :x [1 2]]] @3-4");
}

#[test]
fn information_in_a_circle_is_g1c() {
    bad("G1c", "yet", "0 [[:append :x 1] [:r :y [1]]] @1-9\n 1 [[:append :y 1] [:r :x [1]]] @1-9");
    good("0 [[:append :x 1] [:r :y [1]]] @1-9\n 1 [[:append :y 1] [:r :x []]] @1-9");
}

#[test]
fn half_a_batch_is_read_skew() {
    let batch = "0 [[:append :x 1] [:append :y 1]] @1-9\n";
    bad("G-single", "did not see 1", &format!("{batch} 1 [[:r :x [1]] [:r :y []]] @1-9\n 2 [[:r :y [1]]] @10-11"));
    good(&format!("{batch} 1 [[:r :x [1]] [:r :y [1]]] @1-9\n 2 [[:r :y [1]]] @10-11"));
    good(&format!("{batch} 1 [[:r :x []] [:r :y []]] @1-9\n 2 [[:r :y [1]]] @10-11"));
}

#[test]
fn a_lost_update_is_found() {
    let update = "0 [[:r :x []] [:append :x 1]] @1-9\n 1 [[:r :x []] [:append :x 2]] @1-9\n";
    bad("G-single", "did not see", &format!("{update} 2 [[:r :x [1 2]]] @10-11"));
    good("0 [[:r :x []] [:append :x 1]] @1-9\n 1 [[:r :x [1]] [:append :x 2]] @1-9\n 2 [[:r :x [1 2]]] @10-11");
}

#[test]
fn write_skew_is_g2() {
    let skew = "0 [[:r :x []] [:append :y 1]] @1-9\n 1 [[:r :y []] [:append :x 1]] @1-9\n";
    bad("G2-item", "did not see", &format!("{skew} 2 [[:r :x [1]] [:r :y [1]]] @10-11"));
    good(
        "0 [[:r :x []] [:append :y 1]] @1-9\n 1 [[:r :y [1]] [:append :x 1]] @1-9\n 2 [[:r :x [1]] [:r :y [1]]] @10-11",
    );
}

#[test]
fn a_process_that_goes_back_is_told_as_such() {
    let append = "0 [[:append :x 1]] @1-9?\n";
    bad("G-single-process", "in its process", &format!("{append} 1 [[:r :x [1]]] @2-3\n 1 [[:r :x []]] @4-5"));
    good(&format!("{append} 1 [[:r :x []]] @2-3\n 1 [[:r :x [1]]] @4-5"));
}

#[test]
fn a_stale_read_breaks_real_time_only() {
    bad(
        "G-single-realtime",
        "had ended before",
        "0 [[:append :x 1]] @1-2\n 1 [[:r :x []]] @3-4\n 2 [[:r :x [1]]] @5-6",
    );
    // Nobody ever reads what was acknowledged: it is lost all the same.
    bad("G-single-realtime", "did not see 1", "0 [[:append :x 1]] @1-2\n 1 [[:r :x []]] @3-4");
    good("0 [[:append :x 1]] @1-3\n 1 [[:r :x []]] @3-4\n 2 [[:r :x [1]]] @5-6");
    good("0 [[:append :x 1]] @1-2?\n 1 [[:r :x []]] @3-4");
}

#[test]
fn lists_that_no_order_gives_are_told() {
    let appends = "0 [[:append :x 1]] @1-9\n 1 [[:append :x 2]] @1-9\n";
    bad("incompatible-order", "was read as", &format!("{appends} 2 [[:r :x [1 2]]] @10-11\n 2 [[:r :x [2 1]]] @12-13"));
    bad("incompatible-order", "was read as", &format!("{appends} 2 [[:r :x [1]]] @3-4\n 2 [[:r :x [2 1]]] @12-13"));
    bad("duplicate-elements", "with 1 twice", &format!("{appends} 2 [[:r :x [1 2 1]]] @10-11"));
    bad("phantom", "which nobody appended", &format!("{appends} 2 [[:r :x [1 2 7]]] @10-11"));
    good(&format!("{appends} 2 [[:r :x [2]]] @3-4\n 2 [[:r :x [2 1]]] @12-13"));
}

#[test]
fn a_transaction_sees_its_own_steps() {
    bad("internal", "by its own steps", "0 [[:append :x 1] [:r :x []]] @1-2");
    bad("internal", "by its own steps", "0 [[:r :x []] [:append :x 1] [:r :x [2 1]]] @1-9\n 1 [[:append :x 2]] @1-9");
    bad("internal", "by its own steps", "0 [[:r :x []] [:r :x [2]]] @1-9\n 1 [[:append :x 2]] @1-9");
    good("0 [[:append :x 1] [:r :x [2 1]]] @1-9\n 1 [[:append :x 2]] @1-9");
}

#[test]
fn a_value_appended_twice_cannot_be_judged() {
    let text = "{:process 0, :type :invoke, :f :txn, :value [[:append 1 1] [:append 1 1]]}";
    let ops = pair(&History::parse(text).unwrap()).unwrap().ops;
    assert!(super::check(&ops).unwrap_err().to_string().contains("appended twice"));
}
