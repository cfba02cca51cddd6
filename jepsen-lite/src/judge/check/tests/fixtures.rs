//! Each anomaly in its smallest form, and beside it the nearest history that is legal.

use super::{illegal, judge};
use crate::judge::check::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use crate::judge::history::History;

/// A history in short: `process f value @call-return`, a line an operation; `?` for an unknown end, `!` for a failed one.
pub fn short(lines: &str) -> String {
    let mut events = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, when) = line.rsplit_once('@').unwrap();
        let mut parts = what.trim().splitn(3, ' ');
        let (process, f, value) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let (value, extra) = value.split_once('|').unwrap_or((value, ""));
        let (call, ret) = when.split_once('-').unwrap();
        let keyed = value.starts_with('[') && value.contains(' ');
        let key = value.trim_start_matches('[').split(' ').next().unwrap();
        let keyed_read = format!("[{key} nil]");
        let asked = match f {
            "read" if keyed && !key.starts_with(|letter: char| letter.is_ascii_digit()) => keyed_read.as_str(),
            "read" => "nil",
            _ => value,
        };
        let (kind, time) = match (ret.strip_suffix('?'), ret.strip_suffix('!')) {
            (Some(time), _) => ("info", time),
            (_, Some(time)) => ("fail", time),
            _ => ("ok", ret),
        };
        let (call, time): (i64, i64) = (call.parse().unwrap(), time.parse().unwrap());
        let map = |kind: &str, time: i64, value: &str, extra: &str| {
            (
                time,
                kind != "invoke",
                format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}, :time {time}000000 {extra}}}"),
            )
        };
        events.push(map("invoke", call, asked, ""));
        events.push(map(kind, time, value, extra));
    }
    events.sort();
    events.into_iter().map(|(_, _, line)| line + "\n").collect()
}

fn bad(model: ConsistencyModel, class: &str, cause: &str, lines: &str) {
    let verdict = judge(model, &short(lines));
    let (found, told) = illegal(&verdict);
    assert_eq!(found, class, "{told}");
    assert!(told.contains(cause), "{told}");
}

fn good(model: ConsistencyModel, lines: &str) {
    assert_eq!(judge(model, &short(lines)), HistoryVerdict::Ok, "{lines}");
}

#[test]
fn a_stale_read_is_told_with_what_it_missed() {
    let model = ConsistencyModel::Register;
    bad(
        model,
        "stale read",
        "process 2 read 5 at ALL although 7 was acknowledged 40 ms before it began",
        "0 write 5 @1-2\n 1 write 7 @3-4\n 2 read 5|:level :all @44-50",
    );
    good(model, "0 write 5 @1-2\n 1 write 7 @3-44\n 2 read 5|:level :all @44-50");
    good(model, "0 write 5 @1-2\n 1 write 7 @3-4?\n 2 read 5 @44-50");
    good(model, "0 write 5 @1-2\n 1 write 7 @3-4!\n 2 read 5 @44-50");
    bad(
        model,
        "stale read",
        "although 7 was read",
        "0 write 5 @1-2\n 1 write 7 @3-90?\n 3 read 7 @5-6\n 2 read 5 @44-50",
    );
    bad(model, "stale read", "read nothing although 7 was", "1 write 7 @3-4\n 2 read nil @44-50");
}

#[test]
fn a_read_of_what_was_not_written_is_told() {
    let model = ConsistencyModel::Register;
    bad(model, "unwritten value", "read 9, which nobody wrote", "0 write 5 @1-2\n 1 read 9 @3-4");
    bad(model, "unwritten value", "read 9, which nobody wrote", "0 write 5 @1-2\n 2 write 9 @1-2!\n 1 read 9 @3-4");
    bad(model, "future read", "began only 6 ms later", "1 read 9 @3-4\n 0 write 9 @10-12");
    good(model, "1 read 9 @3-11\n 0 write 9 @10-12");
    good(model, "0 write 9 @10-12?\n 1 read 9 @3-11");
}

#[test]
fn values_that_alternate_are_told() {
    let model = ConsistencyModel::Register;
    let writes = "0 write 5 @1-9\n 1 write 7 @1-9\n";
    bad(
        model,
        "non-linearizable",
        "both before and after",
        &format!("{writes} 2 read 5 @10-11\n 2 read 7 @12-13\n 2 read 5 @14-15"),
    );
    good(model, &format!("{writes} 2 read 5 @10-11\n 3 read 5 @14-15"));
    good(model, &format!("{writes} 2 read 5 @2-3\n 2 read 7 @4-5\n 3 read 7 @14-15"));
    // With a value that comes twice the zones say nothing and the search must.
    let twice = "0 write 5 @1-20\n 1 write 7 @1-20\n 4 write 5 @1-20\n";
    good(model, &format!("{twice} 2 read 5 @2-3\n 2 read 7 @4-5\n 2 read 5 @6-7"));
    bad(
        model,
        "non-linearizable",
        "no order explains it",
        &format!("{twice} 2 read 5 @2-3\n 2 read 7 @4-5\n 2 read 5 @6-7\n 2 read 7 @8-9"),
    );
}

#[test]
fn a_deleted_value_stays_deleted() {
    let model = ConsistencyModel::Register;
    bad(
        model,
        "stale read",
        "although a delete was acknowledged",
        "0 write [k 5] @1-2\n 1 delete [k nil] @3-4\n 2 read [k 5] @6-7",
    );
    good(model, "0 write [k 5] @1-2\n 1 delete [k nil] @3-7\n 2 read [k 5] @6-7");
    good(model, "0 write [k 5] @1-2\n 1 delete [k nil] @3-4\n 2 read [k nil] @6-7");
}

#[test]
fn an_unknown_delete_excuses_an_absent_value_even_late() {
    let model = ConsistencyModel::Register;
    let deleted = "0 write [k 5] @1-2\n 1 delete [k nil] @3-4?\n";
    good(model, &format!("{deleted} 2 read [k nil] @6-7"));
    good(model, &format!("{deleted} 2 read [k 5] @6-7\n 2 read [k nil] @8-9"));
    bad(model, "non-linearizable", "read 5", &format!("{deleted} 2 read [k nil] @6-7\n 2 read [k 5] @8-9"));
    let refused = "0 write [k 5] @1-2\n 1 delete [k nil] @3-4!\n";
    bad(model, "stale read", "read nothing although 5", &format!("{refused} 2 read [k nil] @6-7"));
    // A new write after a delete is not blamed for it.
    good(model, "0 write [k 5] @1-2\n 1 delete [k nil] @3-4\n 0 write [k 6] @5-6\n 2 read [k 6] @7-8");
}

#[test]
fn a_torn_value_and_the_value_of_another_key_were_not_written() {
    let model = ConsistencyModel::Register;
    bad(model, "unwritten value", "read :torn, which nobody wrote", "0 write [k 5] @1-2\n 2 read [k :torn] @3-4");
    bad(
        model,
        "unwritten value",
        "key :b: process 2 read 1",
        "0 write [:a 1] @1-2\n 1 write [:b 2] @1-2\n 2 read [:b 1] @3-4",
    );
}

#[test]
fn versions_order_writes_more_finely_than_time() {
    let model = ConsistencyModel::Register;
    let write = "0 write 5|:version 11 @1-2\n";
    good(model, &format!("{write} 2 read 5|:version 11 @3-4"));
    good(model, &format!("{write} 2 read 5 @3-4"));
    let twice = "read 5 with version 12, which was acknowledged as version 11";
    bad(model, "other version", twice, &format!("{write} 2 read 5|:version 12 @3-4"));
    // An unknown write took effect after the acknowledged one; or, by its version, before, and so the other is lost.
    let unknown = "0 write 5 @1-2?\n 1 write 7|:version 9 @3-4\n";
    good(model, &format!("{unknown} 2 read 5|:version 10 @5-6"));
    let lost = "read 5 with version 8 although 7 was acknowledged as version 9 1 ms before";
    bad(model, "stale read", lost, &format!("{unknown} 2 read 5|:version 8 @5-6"));
    good(model, &format!("{unknown} 2 read 5|:version 8 @3-6"));
    // The version that a delete tells may be that of a repeated request.
    good(model, "1 delete [k nil]|:version 20 @1-2\n 0 write [k 5]|:version 11 @1-4\n 2 read [k 5]|:version 11 @5-6");
}

#[test]
fn many_reads_make_the_search_longer_and_not_wider() {
    // Writes that overlap, one of unknown end, a value that comes twice, and reads that last as long as all of them.
    let writes = "0 write 5 @1-900\n 1 write 7 @1-900\n 2 write 5 @1-900\n 3 write 8 @1-900?\n";
    let reads: String = (0..200).map(|read| format!("{} read 5 @{}-901\n", 10 + read, 2 + read)).collect();
    let history = |last: &str| History::parse(&short(&format!("{writes}{reads} 4 read {last} @902-903"))).unwrap();
    let limits = CheckLimits { steps: 20_000, memory: 1 << 24 };
    for (last, verdict) in [("7", 0), ("9", 1)] {
        let found = check(&history(last), ConsistencyModel::CasRegister, limits).unwrap();
        assert_eq!(found.exit_code(), verdict, "{found:?}");
    }
}

#[test]
fn keys_are_judged_apart_and_named() {
    bad(
        ConsistencyModel::Register,
        "stale read",
        "key :b: process 2 read 5",
        "0 write [:a 1] @1-2\n 0 write [:b 5] @3-4\n 1 write [:b 7] @5-6\n 3 read [:a 1] @7-8\n 2 read [:b 5] @7-8",
    );
}

#[test]
fn compare_and_set_sees_what_it_compares() {
    let model = ConsistencyModel::CasRegister;
    good(model, "0 write 1 @1-2\n 1 cas [1 2] @3-4\n 2 read 2 @5-6");
    good(model, "0 write 1 @1-2\n 1 cas [1 2] @3-4?\n 2 read 1 @5-6\n 2 read 2 @7-8");
    bad(model, "stale read", "compared with 1 although 2", "0 write 1 @1-2\n 1 write 2 @3-4\n 2 cas [1 3] @5-6");
    bad(model, "non-linearizable", "set 1 to 3", "0 write 1 @1-2\n 1 cas [1 2] @3-9\n 2 cas [1 3] @3-9");
    bad(model, "non-linearizable", "found no 1", "0 write 1 @1-2\n 1 cas [1 2]|:error :mismatch @3-4!");
    good(model, "0 write 1 @1-2\n 1 cas [1 2]|:error :timeout @3-4!");
    let error =
        check(&History::parse(&short("1 cas [1 2] @3-4")).unwrap(), ConsistencyModel::Register, CheckLimits::default());
    assert!(error.unwrap_err().to_string().contains("cas-register"));
}

#[test]
fn a_set_loses_nothing_and_invents_nothing() {
    let model = ConsistencyModel::Set;
    good(model, "0 add 1 @1-2\n 1 add 2 @1-9\n 2 read [1] @3-4\n 2 read [1 2] @5-6");
    bad(model, "lost", "lacks 1 although it was acknowledged 1 ms before", "0 add 1 @1-2\n 2 read [] @3-4");
    good(model, "0 add 1 @1-2?\n 2 read [] @3-4");
    good(model, "0 add 1 @1-4\n 2 read [] @3-4");
    bad(model, "stale read", "lacks 1", "0 add 1 @1-2\n 2 read [] @3-4\n 2 read [1] @5-6");
    bad(model, "phantom", "nobody added", "0 add 1 @1-2\n 2 read [1 3] @3-4");
    bad(model, "phantom", "nobody added", "0 add 1 @1-2\n 1 add 3 @1-2!\n 2 read [1 3] @3-4");
    bad(model, "phantom", "began only 2 ms later", "2 read [3] @3-4\n 0 add 3 @6-7");
    bad(model, "duplicate", "shows 1 twice", "0 add 1 @1-2\n 2 read [1 1] @3-4");
    bad(model, "non-linearizable", "and not", "0 add 1 @1-9\n 1 add 2 @1-9\n 2 read [1] @3-4\n 3 read [2] @3-4");
    good(model, "0 add 1 @1-9\n 1 add 2 @1-9\n 2 read [1] @3-4\n 3 read [1 2] @3-4");
    // What is shown was acknowledged after something that is not shown.
    bad(model, "non-linearizable", "took effect before", "0 add 1 @1-2\n 0 add 2 @3-4\n 2 read [2] @1-9");
    good(model, "0 add 1 @1-2\n 0 add 2 @3-4\n 2 read [1] @1-9");
    // A read goes back.
    bad(model, "non-linearizable", "took effect before", "0 add 1 @1-90?\n 2 read [1] @3-4\n 2 read [] @5-6");
    good(model, "");
}

#[test]
fn sessions_at_one_do_not_go_back() {
    let model = ConsistencyModel::Session;
    let writes = "0 write 1 @1-2\n 0 write 2 @3-4\n";
    good(model, &format!("{writes} 1 read 2 @5-6\n 2 read 1 @7-8"));
    bad(
        model,
        "went back",
        "read 1 although it had read 2 1 ms before",
        &format!("{writes} 1 read 2 @5-6\n 1 read 1 @7-8"),
    );
    bad(model, "own write unseen", "although it had written 2", &format!("{writes} 0 read 1 @5-6"));
    bad(model, "unwritten value", "read 3", &format!("{writes} 1 read 3 @5-6"));
    let overlap = "0 write 1|:version 10 @1-9\n 1 write 2|:version 11 @1-9\n";
    good(model, &format!("{overlap} 2 read 1 @10-11\n 2 read 2 @12-13"));
    bad(model, "went back", "read 1", &format!("{overlap} 2 read 2 @10-11\n 2 read 1 @12-13"));
    // A value that comes and goes, placed by who shows it.
    let deleted = "0 write [k 1]|:version 10 @1-2\n 7 delete [k nil] @3-4\n 0 write [k 2]|:version 12 @5-6\n";
    good(model, &format!("{deleted} 2 read [k 1]|:version 10 @10-11\n 2 read [k 2]|:version 12 @12-13"));
    bad(model, "went back", "read 1", &format!("{deleted} 2 read [k 2]|:version 12 @10-11\n 2 read [k 1] @12-13"));
    // A key that was only deleted so far has no order, and needs none: nobody was shown anything.
    let only_deleted = "0 delete [k nil] @1-2\n 1 delete [k nil] @3-4\n 7 delete [k nil] @3-4?\n";
    let at_one = ConsistencyModel::NodeSession;
    good(at_one, only_deleted);
    let shown = format!("{only_deleted} 8 write [k 1] @5-9?\n 2 read [k 1]|:version 12,:node \"n1\" @6-7");
    good(at_one, &shown);
    bad(
        at_one,
        "went back",
        "that node had shown 1",
        &format!("{shown}\n 9 write [k 0] @1-9?\n 2 read [k 0]|:version 9,:node \"n1\" @8-9"),
    );
    let unversioned = "0 write 1 @1-9\n 1 write 2 @1-9\n 2 read 2 @10-11\n 2 read 1 @12-13";
    assert!(matches!(judge(model, &short(unversioned)), HistoryVerdict::Unknown(_)));
}

#[test]
fn a_node_that_goes_back_to_nothing_is_seen() {
    let model = ConsistencyModel::NodeSession;
    let shown = "0 write [k 1]|:version 10 @1-2\n 2 read [k 1]|:version 10,:node \"n1\" @3-4\n";
    let nothing = |index: i64, at: &str| format!("3 read [k nil]|:version {index},:node \"n1\" @{at}\n");
    bad(model, "went back", "nothing on n1 although that node had shown 1", &format!("{shown}{}", nothing(12, "5-6")));
    // What it says of its state is a bound from below, and proves nothing.
    bad(model, "went back", "nothing on n1 although that node had shown 1", &format!("{shown}{}", nothing(9, "5-6")));
    good(model, &format!("{shown}{}", nothing(9, "3-6")));
    good(model, &format!("{shown}3 read [k nil]|:version 9,:node \"n2\" @5-6"));
    // Deleted, perhaps deleted, deleted before, deleted too late.
    good(model, &format!("{shown}5 delete [k nil]|:version 11 @3-4\n{}", nothing(11, "5-6")));
    good(model, &format!("{shown}5 delete [k nil] @3-4?\n{}", nothing(11, "5-6")));
    bad(
        model,
        "went back",
        "read nothing",
        &format!("{shown}5 delete [k nil]|:version 8 @1-2\n{}", nothing(11, "5-6")),
    );
    bad(model, "went back", "read nothing", &format!("{shown}{}5 delete [k nil]|:version 13 @7-8", nothing(11, "5-6")));
    // What was there before the state that had nothing does not come back.
    let deleted = format!("{shown}5 delete [k nil]|:version 11 @3-4\n{}", nothing(11, "5-6"));
    bad(model, "went back", "read 1", &format!("{deleted}2 read [k 1]|:version 10,:node \"n1\" @7-8"));
    good(model, &format!("{deleted}0 write [k 2]|:version 12 @3-4\n2 read [k 2]|:version 12,:node \"n1\" @7-8"));
}

#[test]
fn replicas_at_one_index_hold_the_same() {
    let dump = |process: usize, node: &str, applied: usize, points: &str, time: usize| {
        format!(
            "{process} dump {{:shard 1, :applied {applied}, :points {points}}}|:node \"{node}\" @{time}-{}\n",
            time + 1
        )
    };
    let judge = |lines: String| {
        let history = History::parse(&short(&lines)).unwrap();
        crate::judge::check::replica::check(&crate::judge::history::ops::pair(&history).unwrap().ops).unwrap()
    };
    assert_eq!(judge(dump(0, "n1", 9, "{1 :a, 2 :b}", 1) + &dump(1, "n2", 9, "{2 :b, 1 :a}", 3)), HistoryVerdict::Ok);
    let verdict = judge(dump(0, "n1", 9, "{1 :a, 2 :b}", 1) + &dump(1, "n2", 9, "{1 :a}", 3));
    assert_eq!(illegal(&verdict).1, "shard 1 at applied index 9: point 2 is :b on n1 and nothing on n2");
    assert!(matches!(judge(dump(0, "n1", 9, "{1 :a}", 1) + &dump(1, "n2", 8, "{}", 3)), HistoryVerdict::Unknown(_)));
}

#[test]
fn a_search_that_may_cost_nothing_is_unknown_and_empty_ones_are_ok() {
    let twice = "0 write 1 @1-9\n 1 write 1 @1-9\n 2 read 1 @2-8";
    let history = History::parse(&short(twice)).unwrap();
    let verdict = check(&history, ConsistencyModel::Register, CheckLimits { steps: 1, memory: 1 << 20 }).unwrap();
    assert!(matches!(verdict, HistoryVerdict::Unknown(_)) && verdict.exit_code() == 3);
    for model in [
        ConsistencyModel::Register,
        ConsistencyModel::CasRegister,
        ConsistencyModel::Set,
        ConsistencyModel::Append,
        ConsistencyModel::Search,
        ConsistencyModel::Session,
    ] {
        assert_eq!(judge(model, ""), HistoryVerdict::Ok);
    }
    good(ConsistencyModel::Register, "0 write 1 @1-9?\n 1 write 2 @1-9?");
    good(ConsistencyModel::Register, "1 read nil @1-2");
}
