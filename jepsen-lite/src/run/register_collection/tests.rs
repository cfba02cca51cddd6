//! A store that lies is found out, and its nearest honest neighbour is not.

use super::*;
use crate::run::workload::content::vector_of;

const SIZE: usize = 8;

/// A store that does what it is told, so that tests can make it lie.
struct LyingStore {
    points: RegisterCollection,
    shown: BTreeMap<u64, Value>,
    version: i64,
    _dir: tempfile::TempDir,
}

fn answer(class: AnswerClass, version: Option<i64>) -> ApiAnswer {
    let body = json!({"results": [{"version": version}]});
    ApiAnswer { status: Some(200), body, class, problem: String::new() }
}

fn record(key: u64, write: i64, version: Option<i64>) -> Value {
    let mut record = point(key as i64, write, SIZE);
    record["version"] = json!(version);
    record
}

impl LyingStore {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let points = RegisterCollection::new("c", SIZE, &dir.path().join("history.edn")).unwrap();
        Self { points, shown: BTreeMap::new(), version: 0, _dir: dir }
    }

    fn put(&mut self, key: u64) -> i64 {
        let open = self.points.begin_write(key);
        let write = open.write.unwrap();
        self.version += 1;
        self.shown.insert(key, record(key, write, Some(self.version)));
        self.points.end(open, AnswerClass::Ok, &answer(AnswerClass::Ok, Some(self.version)));
        write
    }

    fn delete(&mut self, key: u64) {
        let open = self.points.begin_delete(key);
        self.version += 1;
        self.shown.remove(&key);
        self.points.end(open, AnswerClass::Ok, &answer(AnswerClass::Ok, None));
    }

    /// A write that ends like this; its number.
    fn ends(&self, key: u64, class: AnswerClass) -> i64 {
        let open = self.points.begin_write(key);
        let write = open.write.unwrap();
        self.points.end(open, class, &answer(class, None));
        write
    }

    fn is_current(&self, key: u64) -> bool {
        self.points.is_current(key, self.shown.get(&key)).unwrap()
    }

    /// Shows everything, and is judged.
    fn judge(&self) -> HistoryVerdict {
        for key in self.points.keys().into_iter().chain(self.shown.keys().copied()) {
            let now = Instant::now();
            self.points.enter_read(key, (Some(now), Instant::now()), "all", self.shown.get(&key));
        }
        self.points.judge().unwrap()
    }

    /// The class of what is wrong with all that it shows.
    fn class(&self) -> String {
        match self.judge() {
            HistoryVerdict::Illegal(violation) => violation.class,
            other => panic!("not illegal: {other:?}"),
        }
    }
}

#[test]
fn an_honest_store_passes_and_an_empty_run_does_not() {
    let mut store = LyingStore::new();
    assert!(matches!(store.judge(), HistoryVerdict::Unknown(_)));
    for key in [1, 2, 3, 1, 2] {
        store.put(key);
    }
    store.delete(2);
    store.delete(3);
    store.put(3);
    assert_eq!(store.judge(), HistoryVerdict::Ok);
    store.points.holds().unwrap();
    assert_eq!((store.points.acknowledged(), store.points.keys().len()), (8, 3));
}

#[test]
fn a_lost_write_is_found_absent_or_rolled_back() {
    for rolled_back in [true, false] {
        let mut store = LyingStore::new();
        store.put(1);
        let before = store.shown.clone();
        store.put(1);
        store.shown = if rolled_back { before } else { BTreeMap::new() };
        assert!(!store.is_current(1));
        assert_eq!(store.class(), "stale read");
        let told = store.points.holds().unwrap_err().to_string();
        assert!(told.contains("key 1") && told.contains("although 2 was acknowledged"), "{told}");
    }
}

#[test]
fn an_invented_write_is_found() {
    // Nobody wrote it; or somebody did, but not there.
    for invented in [77, 1] {
        let mut store = LyingStore::new();
        assert_eq!(store.put(1), 1);
        store.shown.insert(9, record(9, invented, None));
        assert_eq!(store.class(), "unwritten value");
    }
}

#[test]
fn a_write_that_was_certainly_not_applied_must_not_show() {
    let mut store = LyingStore::new();
    store.put(2);
    let refused = store.ends(1, AnswerClass::Fail);
    assert_eq!(store.judge(), HistoryVerdict::Ok);
    store.shown.insert(1, record(1, refused, None));
    assert_eq!(store.class(), "unwritten value");
}

#[test]
fn a_resurrected_delete_is_found_and_a_new_write_after_it_is_not_blamed() {
    let mut store = LyingStore::new();
    store.put(1);
    let before = store.shown.clone();
    store.delete(1);
    store.shown = before;
    assert!(!store.is_current(1));
    store.put(1);
    assert_eq!(store.judge(), HistoryVerdict::Ok);
}

#[test]
fn a_half_written_point_is_found() {
    for (member, other) in
        [("vector", json!(vector_of(2, SIZE))), ("vector", json!([1.0])), ("payload", json!({"write": 1}))]
    {
        let mut store = LyingStore::new();
        assert_eq!(store.put(1), 1);
        store.shown.get_mut(&1).unwrap()[member] = other;
        assert_eq!(store.class(), "unwritten value");
    }
}

#[test]
fn a_write_applied_twice_shows_by_its_version() {
    let mut store = LyingStore::new();
    let write = store.put(1);
    store.shown.insert(1, record(1, write, Some(2)));
    assert_eq!(store.class(), "other version");
}

#[test]
fn an_unknown_write_may_show_or_not_and_even_late() {
    let mut store = LyingStore::new();
    let unknown = store.ends(1, AnswerClass::Unknown);
    store.put(1);
    assert!(store.is_current(1));
    // It took effect after the acknowledged one.
    store.shown.insert(1, record(1, unknown, Some(2)));
    assert!(store.is_current(1));
    // Its version says that it took effect before: then the acknowledged one is lost.
    store.shown.insert(1, record(1, unknown, Some(0)));
    assert!(!store.is_current(1));
    // An unknown delete excuses an absent key.
    store.shown.clear();
    assert!(!store.is_current(1));
    let open = store.points.begin_delete(1);
    store.points.end(open, AnswerClass::Unknown, &answer(AnswerClass::Unknown, None));
    assert_eq!(store.judge(), HistoryVerdict::Ok);
}

#[test]
fn a_stale_read_is_found_and_a_read_beside_a_write_is_not() {
    for is_beside in [true, false] {
        let mut store = LyingStore::new();
        let before = Instant::now();
        store.put(1);
        let old = store.shown[&1].clone();
        let during = Instant::now();
        store.put(1);
        let began = if is_beside { during } else { Instant::now() };
        store.points.enter_read(1, (Some(began), Instant::now()), "quorum", Some(&old));
        assert_eq!(store.points.judge().unwrap() == HistoryVerdict::Ok, is_beside);
        // A write from the future.
        let mut store = LyingStore::new();
        store.put(1);
        let new = store.shown[&1].clone();
        store.points.enter_read(1, (Some(before), before), "quorum", Some(&new));
        assert!(matches!(store.points.judge().unwrap(), HistoryVerdict::Illegal(_)));
    }
}

#[test]
fn a_claim_about_time_is_judged_by_the_clock() {
    let judge = |claimed: Value| {
        let mut store = LyingStore::new();
        store.put(1);
        let old = store.shown[&1].clone();
        store.put(1);
        // The new write was acknowledged that long ago, when the answer at ONE shows the old one.
        std::thread::sleep(CLAIM_SLACK + Duration::from_millis(60));
        let asked = Instant::now();
        let began = current_since(&json!({"shards": [{"staleness_ms": 0}, {"staleness_ms": claimed}]}), asked);
        store.points.enter_read(1, (began, Instant::now()), "one", Some(&old));
        store.points.judge().unwrap()
    };
    assert!(matches!(judge(json!(10)), HistoryVerdict::Illegal(_)));
    assert_eq!(judge(json!(1_000)), HistoryVerdict::Ok);
    assert_eq!(judge(Value::Null), HistoryVerdict::Ok, "it claims nothing");
}
