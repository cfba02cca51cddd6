//! Tests of reading and writing histories: every format there and back, and every odd clock.

use proptest::prelude::*;

use super::edn::{Edn, parse};
use super::json::{from_json, to_json};
use super::ops::{NEVER, pair};
use super::{History, HistoryEvent, HistoryProcess, Type};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z*!_?<>=$][a-zA-Z0-9*!_?<>=.$/-]{0,6}"
        .prop_filter("has a meaning of its own", |word| !["nil", "true", "false"].contains(&word.as_str()))
}

fn value() -> impl Strategy<Value = Edn> {
    let leaf = prop_oneof![
        Just(Edn::Nil),
        any::<bool>().prop_map(Edn::Bool),
        any::<i64>().prop_map(Edn::Int),
        any::<f64>().prop_filter("no number equals itself less", |number| !number.is_nan()).prop_map(Edn::Float),
        "[1-9][0-9]{20,30}N?".prop_map(Edn::Number),
        "[a-z]".prop_map(Edn::Char),
        "[:\\\\]?\\PC{0,8}[\n\t\"]?".prop_map(Edn::Str),
        word().prop_map(Edn::Keyword),
        word().prop_map(Edn::Symbol),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let items = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            items().prop_map(Edn::List),
            items().prop_map(Edn::Vector),
            items().prop_filter_map("the same value twice", Edn::set),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_filter_map("the same key twice", Edn::map),
            prop::collection::vec((word().prop_map(Edn::Keyword), inner.clone()), 0..4)
                .prop_filter_map("the same key twice", Edn::map),
            (word(), inner.clone()).prop_map(|(tag, value)| Edn::Tagged(format!("t{tag}"), Box::new(value))),
        ]
    })
}

fn event() -> impl Strategy<Value = HistoryEvent> {
    let process =
        prop_oneof![any::<i64>().prop_map(HistoryProcess::Client), "[a-z]{1,8}".prop_map(HistoryProcess::Named)];
    let kind = prop::sample::select(vec![Type::Invoke, Type::Ok, Type::Fail, Type::Info]);
    let extra = prop::collection::btree_map("[a-e]{1,3}x", value(), 0..3);
    (any::<Option<i64>>(), any::<Option<i64>>(), process, kind, "[a-z]{1,6}", value(), extra).prop_map(
        |(index, time, process, kind, f, value, extra)| HistoryEvent {
            index,
            time,
            process,
            kind,
            f,
            value,
            extra: extra.into_iter().collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn values_survive_edn_and_json(value in value()) {
        prop_assert_eq!(&parse::one(&value.to_string()).unwrap(), &value);
        let json: serde_json::Value = serde_json::from_str(&to_json(&value).to_string()).unwrap();
        prop_assert_eq!(from_json(&json).unwrap(), value);
    }

    #[test]
    fn histories_survive_both_formats(
        events in prop::collection::vec(event(), 0..6),
        header in prop::collection::btree_map("[a-z]{1,5}", value(), 0..3),
    ) {
        let history = History { header: header.into_iter().collect(), events };
        prop_assert_eq!(&History::parse(&history.to_edn()).unwrap(), &history);
        prop_assert_eq!(&History::parse(&history.to_jsonl()).unwrap(), &history);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\PC\n]{0,40}") {
        let _ = History::parse(&text);
        let _ = parse::all(&text);
    }
}

#[test]
fn floats_that_json_lacks_survive() {
    for text in ["##NaN", "##Inf", "##-Inf"] {
        let value = parse::one(text).unwrap();
        assert_eq!(value.to_string(), text);
        assert_eq!(from_json(&to_json(&value)).unwrap().to_string(), text);
    }
}

#[test]
fn what_jepsen_and_knossos_write_is_read() {
    let lines = "; a comment\n{:type :invoke, :f :read, :value nil, :process 0, :time 10, :index 0}\n\
                 #jepsen.history.Op{:index 1, :time 20, :type :ok, :process 0, :f :read, :value [1 #{2}], :node \"n1\"}\n";
    let history = History::parse(lines).unwrap();
    assert_eq!(history.events.len(), 2);
    assert_eq!(history.events[1].get("node"), Some(&Edn::Str("n1".into())));
    let vector = format!("[{}]", lines.lines().skip(1).collect::<Vec<_>>().join("\n"));
    assert_eq!(History::parse(&vector).unwrap(), history);
    let json = r#"{"process":0,"type":"invoke","f":"write","value":7,"time":1}"#;
    assert_eq!(History::parse(json).unwrap().events, [HistoryEvent::new(0, Type::Invoke, "write", Edn::Int(7)).at(1)]);
}

#[test]
fn what_is_not_understood_is_an_error_with_its_place() {
    let fails = |text: &str, told: &str| {
        let error = format!("{:#}", History::parse(text).unwrap_err());
        assert!(error.contains(told), "{text}: {error}");
    };
    fails("hello", "neither");
    fails("{:process 0, :type :invoke", "ends before `}`");
    fails("{:process 0}\n", "no `type`");
    fails("{:process 0, :type :maybe, :f :read}", "no type of event");
    fails("{\"process\":0,\"type\":\"ok\",\"f\":\"read\"}\n{oops\n", "line 2");
    fails("{:a 1 :a 2}", "same key twice");
    fails(&"[".repeat(1000), "nested deeper");
}

#[test]
fn a_text_log_is_read_by_the_order_of_its_lines() {
    let log = "INFO  jepsen.core - Running test\n\
               INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
               INFO  jepsen.util - 3\t:invoke\t:cas\t[2 4]\n\
               INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n\
               INFO  jepsen.util - 0\t:ok\t:read\t2\n\
               INFO  jepsen.util - 3\t:fail\t:cas\t[2 4]\n\
               INFO  jepsen.util - 4\t:invoke\t:write\t1\n\
               INFO  jepsen.util - 4\t:info\t:write\t:timed-out\n";
    let history = History::parse(log).unwrap();
    let ops = pair(&history).unwrap();
    assert!(ops.by_lines.contains("no time"));
    assert_eq!(history.events.len(), 7);
    let told: Vec<_> = ops.ops.iter().map(|op| (op.f.as_str(), op.outcome, op.ret == NEVER)).collect();
    assert_eq!(told, [("read", Type::Ok, false), ("cas", Type::Fail, false), ("write", Type::Info, true)]);
    assert_eq!(ops.ops[1].get("error"), Some(&Edn::keyword("mismatch")));
    assert_eq!((&ops.ops[2].input, ops.ops[2].get("error")), (&Edn::Int(1), Some(&Edn::keyword("timed-out"))));
}

fn write(process: i64, kind: Type, time: i64) -> HistoryEvent {
    HistoryEvent::new(process, kind, "write", Edn::Int(1)).at(time)
}

#[test]
fn empty_and_pending_only_histories_pair() {
    assert_eq!(pair(&History::parse("").unwrap()).unwrap().ops, []);
    let pending = History::new(vec![write(0, Type::Invoke, 1), write(1, Type::Invoke, 2)]);
    let ops = pair(&pending).unwrap().ops;
    assert!(ops.len() == 2 && ops.iter().all(|op| op.ret == NEVER && op.outcome == Type::Info));
}

#[test]
fn of_equal_times_calls_come_first() {
    let events = vec![
        write(0, Type::Invoke, 1),
        write(0, Type::Ok, 5),
        write(1, Type::Invoke, 5),
        write(1, Type::Ok, 5),
        write(2, Type::Invoke, 6),
    ];
    let ops = pair(&History::new(events)).unwrap();
    assert_eq!(ops.by_lines, "");
    assert!(ops.ops[1].call < ops.ops[0].ret, "they may have been concurrent");
    assert!(ops.ops[0].ret < ops.ops[2].call && ops.ops[1].ret < ops.ops[2].call);
}

#[test]
fn times_decide_over_lines_unless_a_clock_goes_back() {
    let late =
        vec![write(1, Type::Invoke, 20), write(0, Type::Invoke, 1), write(0, Type::Ok, 2), write(1, Type::Ok, 21)];
    let ops = pair(&History::new(late)).unwrap();
    assert_eq!(ops.ops[0].process, HistoryProcess::Client(0));
    let back =
        vec![write(1, Type::Invoke, 20), write(0, Type::Invoke, 30), write(0, Type::Ok, 29), write(1, Type::Ok, 40)];
    let ops = pair(&History::new(back)).unwrap();
    assert!(ops.by_lines.contains("goes back"), "{}", ops.by_lines);
    assert_eq!(ops.ops[0].process, HistoryProcess::Client(1));
}

#[test]
fn events_that_do_not_pair_are_errors() {
    let twice = History::new(vec![write(0, Type::Invoke, 1), write(0, Type::Invoke, 2)]);
    assert!(pair(&twice).unwrap_err().to_string().contains("not yet ended"));
    let orphan = History::new(vec![write(0, Type::Ok, 1)]);
    assert!(pair(&orphan).unwrap_err().to_string().contains("did not begin"));
}
