//! The checker is given planted bugs, each beside its nearest legal neighbour.

use super::*;

const SIZE: usize = 8;

/// A store that does what it is told, so that tests can make it lie.
#[derive(Default)]
struct Model {
    points: BTreeMap<u64, ShownPoint>,
    version: u64,
}

impl Model {
    fn put(&mut self, ledger: &Ledger, key: u64) -> u64 {
        let ticket = ledger.begin_put(key);
        let write = ticket.write;
        self.version += 1;
        self.points.insert(key, seen(key, write, Some(self.version)));
        ledger.finish(ticket, Fate::Ok(Some(self.version)), "");
        write
    }

    fn delete(&mut self, ledger: &Ledger, key: u64) {
        let ticket = ledger.begin_delete(key);
        self.version += 1;
        self.points.remove(&key);
        ledger.finish(ticket, Fate::Ok(None), "");
    }
}

fn seen(key: u64, write: u64, version: Option<u64>) -> ShownPoint {
    let (vector, payload) = content(key, write, SIZE);
    ShownPoint { version, vector: Some(vector), payload }
}

fn check(ledger: &Ledger, model: &Model) -> LedgerReport {
    ledger.check(ledger.now(), &model.points)
}

fn only(report: &LedgerReport) -> &Trouble {
    assert_eq!(report.problems.len(), 1, "{report}");
    &report.problems[0].trouble
}

#[test]
fn an_honest_store_passes_and_an_empty_run_does_not() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    assert!(!check(&ledger, &model).holds());
    for key in [1, 2, 3, 1, 2] {
        model.put(&ledger, key);
    }
    model.delete(&ledger, 2);
    model.delete(&ledger, 3);
    model.put(&ledger, 3);
    let report = check(&ledger, &model);
    assert!(report.holds(), "{report}");
    assert_eq!((report.acknowledged, report.keys), (8, 3));
}

#[test]
fn a_lost_write_is_found_absent_or_rolled_back() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let first = model.put(&ledger, 1);
    let before = model.points.clone();
    model.put(&ledger, 1);
    model.points = before;
    let report = check(&ledger, &model);
    assert!(
        matches!(only(&report), Trouble::Lost { shown: Some(op), .. } if op.kind == WriteKind::Put(first)),
        "{report}"
    );
    model.points.clear();
    let report = check(&ledger, &model);
    assert!(matches!(only(&report), Trouble::Lost { shown: None, .. }), "{report}");
    assert_eq!(report.lost(), 1);
    assert!(report.to_string().contains("LOST write 2 (acknowledged as version 2"), "{report}");
}

#[test]
fn an_invented_write_is_found() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let write = model.put(&ledger, 1);
    model.points.insert(9, seen(9, 77, None));
    assert!(matches!(only(&check(&ledger, &model)), Trouble::Invented { .. }));
    // A real write at a key it was not made for.
    model.points.insert(9, seen(9, write, None));
    assert!(matches!(only(&check(&ledger, &model)), Trouble::Invented { .. }));
}

#[test]
fn a_write_that_was_certainly_not_applied_must_not_show() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    model.put(&ledger, 2);
    let ticket = ledger.begin_put(1);
    model.points.insert(1, seen(1, ticket.write, None));
    ledger.finish(ticket, Fate::Fail, "412");
    assert!(matches!(only(&check(&ledger, &model)), Trouble::Refused { .. }));
}

#[test]
fn a_resurrected_delete_is_found_and_a_new_write_after_it_is_not_blamed() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    model.put(&ledger, 1);
    let before = model.points.clone();
    model.delete(&ledger, 1);
    model.points = before;
    assert!(matches!(only(&check(&ledger, &model)), Trouble::Resurrected { .. }));
    model.put(&ledger, 1);
    assert!(check(&ledger, &model).holds());
}

#[test]
fn a_half_written_point_is_found_in_vector_and_in_payload() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let write = model.put(&ledger, 1);
    let whole = model.points[&1].clone();
    let (other, _) = content(1, write + 1, SIZE);
    model.points.insert(1, ShownPoint { vector: Some(other), ..whole.clone() });
    assert!(matches!(only(&check(&ledger, &model)), Trouble::HalfWritten { .. }));
    model.points.insert(1, ShownPoint { payload: serde_json::json!({"write": write}), ..whole.clone() });
    assert!(matches!(only(&check(&ledger, &model)), Trouble::HalfWritten { .. }));
    model.points.insert(1, ShownPoint { vector: Some(vec![1.0]), ..whole });
    assert!(matches!(only(&check(&ledger, &model)), Trouble::HalfWritten { .. }));
}

#[test]
fn a_write_applied_twice_shows_by_its_version() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let write = model.put(&ledger, 1);
    model.points.insert(1, seen(1, write, Some(2)));
    assert!(matches!(only(&check(&ledger, &model)), Trouble::OtherVersion { .. }));
}

#[test]
fn an_unknown_write_may_show_or_not_and_even_late() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let ticket = ledger.begin_put(1);
    let unknown = ticket.write;
    ledger.finish(ticket, Fate::Unknown, "time-out");
    model.put(&ledger, 1);
    assert!(check(&ledger, &model).holds());
    // It took effect after the acknowledged one.
    model.points.insert(1, seen(1, unknown, Some(2)));
    assert!(check(&ledger, &model).holds());
    // Its version says that it took effect before: then the acknowledged one is lost.
    model.points.insert(1, seen(1, unknown, Some(0)));
    assert!(matches!(only(&check(&ledger, &model)), Trouble::Lost { .. }));
    // An unknown delete excuses an absent key.
    model.points.clear();
    let ticket = ledger.begin_delete(1);
    ledger.finish(ticket, Fate::Unknown, "reset");
    assert!(check(&ledger, &model).holds());
}

#[test]
fn a_stale_read_is_found_and_a_read_beside_a_write_is_not() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    model.put(&ledger, 1);
    let old = model.points[&1].clone();
    let during = ledger.now();
    model.put(&ledger, 1);
    let after = ledger.now();
    let end = ledger.now();
    assert!(ledger.judge(1, during, end, Some(&old)).is_none(), "the write was acknowledged only after the read began");
    assert!(matches!(ledger.judge(1, after, end, Some(&old)).unwrap().trouble, Trouble::Lost { .. }));
    // A write from the future.
    let new = model.points[&1].clone();
    assert!(matches!(ledger.judge(1, 1, during, Some(&new)).unwrap().trouble, Trouble::Invented { .. }));
}

#[test]
fn the_history_is_saved_line_by_line() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    model.put(&ledger, 1);
    model.delete(&ledger, 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    ledger.save(file.path()).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("\"Put\":1"), "{text}");
}

#[test]
fn a_claim_about_time_is_judged_by_the_clock() {
    let (ledger, mut model) = (Ledger::new(SIZE), Model::default());
    let before = Instant::now();
    model.put(&ledger, 1);
    let old = model.points[&1].clone();
    let between = Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(2));
    model.put(&ledger, 1);
    let after = Instant::now();
    let stale_since = |instant| ledger.judge(1, ledger.moment_at(instant), ledger.now(), Some(&old)).is_some();
    assert!(!stale_since(before) && !stale_since(between), "the new write was not yet acknowledged then");
    assert!(stale_since(after));
}
