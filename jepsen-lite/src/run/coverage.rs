//! Whether a run was one: each fault was done, each kind of operation was acknowledged, leaders changed where that was due,
//! cut-off nodes refused, and clients were served meanwhile. What is missing makes a run *unknown*. A write that was sent again
//! and answered otherwise makes it *illegal*. Pure.

use super::nemesis::Fault;
use super::{RunPlan, Workload};
use crate::judge::check::HistoryVerdict;
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};

/// Of operations that end while a fault lasts that spares a majority, the share that must be acknowledged.
const SERVED_UNDER_FAULTS: f64 = 0.3;

/// Holds a history against what its run was for.
pub(super) fn check(plan: &RunPlan, faults: &[Fault], history: &History) -> HistoryVerdict {
    if let Some(place) = history.events.iter().position(|event| event.f == "answered-otherwise") {
        let cause = format!("a write that was sent again was answered otherwise: {}", history.events[place].value);
        return HistoryVerdict::illegal("applied twice", cause, vec![place]);
    }
    match missing(plan, faults, history) {
        Some(what) => HistoryVerdict::Unknown(what),
        None => HistoryVerdict::Ok,
    }
}

fn missing(plan: &RunPlan, faults: &[Fault], history: &History) -> Option<String> {
    // Every fault was done and undone, and every operation succeeded at least once.
    let named = |name: &str| history.events.iter().any(|event| event.f == name && !is_client(event));
    if let Some(fault) = faults.iter().find(|fault| !named(&format!("end-{}", fault.name()))) {
        return Some(format!("the fault {} was not done and undone", fault.name()));
    }
    let acknowledged = |f: &str| history.events.iter().any(|event| event.f == f && event.kind == Type::Ok);
    if let Some(f) = operations(plan.workload).iter().find(|f| !acknowledged(f)) {
        return Some(format!("no {f} was ever acknowledged"));
    }
    // Faults that force elections, send writes again or leave a node behind must have had that effect.
    let leaders = history.events.iter().filter(|event| event.f == "leader").count();
    if leaders < 2 && faults.iter().any(|fault| fault.forces_elections()) {
        return Some("no leader ever changed".to_owned());
    }
    if plan.workload == Workload::Retry && !named("answered-again") {
        return Some("no write that was sent again was answered".to_owned());
    }
    if faults.contains(&Fault::LeftBehind) && !named("snapshot-installed") {
        return Some("no snapshot was installed".to_owned());
    }
    // A node that was cut off must have refused what it cannot know.
    let cuts_off = [Fault::Partition, Fault::NetnsPartition].iter().any(|fault| faults.contains(fault));
    if cuts_off && (named("served") || !named("refused")) {
        return Some("a node that was cut off did not refuse a read that must be fresh".to_owned());
    }
    // Where faults spare a majority, clients must have been served meanwhile.
    let (served, all) = served_under_faults(faults, history);
    let spares = faults.iter().any(|fault| fault.spares_a_majority());
    if spares && (served == 0 || (served as f64) < SERVED_UNDER_FAULTS * all as f64) {
        return Some(format!("only {served} of {all} operations were acknowledged while faults lasted"));
    }
    None
}

fn operations(workload: Workload) -> &'static [&'static str] {
    match workload {
        Workload::Register => &["read", "write", "delete", "cas"],
        Workload::Session => &["read", "write"],
        Workload::Batch => &["read", "write", "delete"],
        Workload::Set => &["add", "read"],
        Workload::Scan => &["add", "remove", "scan", "count"],
        Workload::Sweep => &["add", "sweep", "scan", "count"],
        Workload::Indexed => &["add", "remove", "scan", "count", "index"],
        Workload::Drops => &["create", "drop", "add", "read"],
        Workload::Retry => &["read", "write"],
        Workload::Spread => &["read", "write", "delete"],
        Workload::Search | Workload::SearchBatch | Workload::Approximate => &["upsert", "delete", "search"],
    }
}

fn is_client(event: &HistoryEvent) -> bool {
    matches!(event.process, HistoryProcess::Client(_))
}

/// Each event of a client that ends an operation, with the fault that lasts then.
fn ended(history: &History) -> impl Iterator<Item = (&HistoryEvent, Option<&str>)> {
    let mut lasting = None;
    history.events.iter().filter_map(move |event| {
        if event.process == HistoryProcess::Named("nemesis".to_owned()) {
            lasting = (!event.f.starts_with("end-")).then_some(event.f.as_str());
        }
        (is_client(event) && event.kind != Type::Invoke).then_some((event, lasting))
    })
}

fn served_under_faults(faults: &[Fault], history: &History) -> (usize, usize) {
    let sparing = |name: &str| faults.iter().any(|fault| fault.name() == name && fault.spares_a_majority());
    let under = ended(history).filter(|(_, lasting)| lasting.is_some_and(sparing));
    under.fold((0, 0), |(served, all), (event, _)| (served + usize::from(event.kind == Type::Ok), all + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::judge::history::edn::Edn;

    #[test]
    fn a_run_that_did_nothing_is_unknown() {
        let plan = |level, faults: &[Fault]| {
            RunPlan::new("quiver".into(), Workload::Set, level, faults, 1, Duration::from_secs(1))
        };
        let judge = |plan: &RunPlan, events: &[HistoryEvent]| check(plan, &plan.faults, &History::new(events.to_vec()));
        let kill = plan("all", &[Fault::Kill]);
        let unknown = |plan: &RunPlan, events: &[HistoryEvent], told: &str| {
            let verdict = judge(plan, events);
            assert!(matches!(&verdict, HistoryVerdict::Unknown(why) if why.contains(told)), "{verdict:?}");
        };
        let note = |who: &str, f: &str| HistoryEvent {
            process: HistoryProcess::Named(who.into()),
            ..HistoryEvent::new(0, Type::Info, f, Edn::Nil)
        };
        let nemesis = |f: &str| note("nemesis", f);
        let ended = |kind, f: &str| HistoryEvent::new(1, kind, f, Edn::Nil);
        let ok = |f: &str| ended(Type::Ok, f);
        let leaders = vec![note("leader", "leader"); 2];
        unknown(&kill, &[ok("add"), ok("read")], "kill was not done");
        unknown(&kill, &[nemesis("kill"), nemesis("end-kill"), ok("add")], "no read was ever acknowledged");
        let quiet = [vec![nemesis("kill"), nemesis("end-kill")], vec![ok("add"), ok("read")]].concat();
        unknown(&kill, &quiet, "no leader ever changed");
        unknown(&kill, &[leaders.clone(), quiet].concat(), "only 0 of 0");
        let with = |during: Vec<HistoryEvent>| {
            let rest = vec![nemesis("end-kill"), ok("add"), ok("read")];
            [leaders.clone(), vec![nemesis("kill")], during, rest].concat()
        };
        unknown(&kill, &with([vec![ok("add"); 2], vec![ended(Type::Fail, "add"); 8]].concat()), "only 2 of 10");
        assert_eq!(
            judge(&kill, &with([vec![ok("add"); 3], vec![ended(Type::Info, "add"); 7]].concat())),
            HistoryVerdict::Ok
        );

        let cut = plan("quorum", &[Fault::Partition]);
        let probed = |said: &[&str]| {
            let probes = said.iter().map(|said| note("probe", said)).collect();
            let ends = vec![nemesis("end-partition"), ok("read")];
            [leaders.clone(), vec![nemesis("partition"), ok("add")], probes, ends].concat()
        };
        unknown(&cut, &probed(&[]), "did not refuse");
        unknown(&cut, &probed(&["refused", "served"]), "did not refuse");
        assert_eq!(judge(&cut, &probed(&["refused"])), HistoryVerdict::Ok);
    }

    #[test]
    fn a_write_that_is_answered_otherwise_when_it_is_sent_again_is_illegal() {
        let plan = RunPlan::new("quiver".into(), Workload::Retry, "all", &[], 1, Duration::from_secs(1));
        let note = |f: &str| HistoryEvent {
            process: HistoryProcess::Named("late copy".into()),
            ..HistoryEvent::new(0, Type::Info, f, Edn::Str("1: version 3, then 4".into()))
        };
        let ok = |f: &str| HistoryEvent::new(1, Type::Ok, f, Edn::Nil);
        let judge = |events: Vec<HistoryEvent>| check(&plan, &[], &History::new(events));
        assert_eq!(judge(vec![ok("read"), ok("write"), note("answered-again")]), HistoryVerdict::Ok);
        assert!(matches!(judge(vec![ok("read"), ok("write")]), HistoryVerdict::Unknown(_)));
        let otherwise = judge(vec![ok("read"), ok("write"), note("answered-again"), note("answered-otherwise")]);
        assert!(matches!(otherwise, HistoryVerdict::Illegal(_)), "{otherwise:?}");
    }
}
