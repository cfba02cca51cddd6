//! What sled must keep, and what is found if it does not.

use std::ops::ControlFlow;
use std::time::Duration;

use super::*;
use crate::mutants::plant;
use crate::storage::store::end_of_prefix;

/// Makes a store fail after a number of steps, as a crash would stop it.
#[derive(Default)]
pub struct Steps(Mutex<Option<u32>>);

impl Steps {
    pub fn take(&self) -> io::Result<()> {
        let mut left = self.0.lock();
        if *left == Some(0) {
            return Err(io::Error::other("the test stops here"));
        }
        *left = left.map(|left| left - 1);
        Ok(())
    }
}

type Pairs = BTreeMap<Vec<u8>, Bytes>;

fn all(store: &SledStore) -> Pairs {
    let mut pairs = Pairs::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        pairs.insert(key.to_vec(), Bytes::copy_from_slice(value));
        ControlFlow::Continue(())
    };
    store.scan(&[], &[0xff; 9], &mut visit).expect("scans");
    pairs
}

fn put(batch: &mut WriteBatch, keys: std::ops::Range<u16>, bytes: usize, fill: u8) {
    for key in keys {
        batch.put(key.to_be_bytes().to_vec(), vec![fill; bytes]);
    }
}

/// The contents before a large write: keys 0 to 99 have small values, 100 to 119 have large ones.
fn found() -> WriteBatch {
    let mut batch = WriteBatch::default();
    put(&mut batch, 0..100, 20, 1);
    put(&mut batch, 100..120, 10_000, 1);
    batch
}

/// A large write. Small values become large and large ones small, some keys go and some come.
fn change() -> WriteBatch {
    let mut batch = WriteBatch::default();
    put(&mut batch, 0..20, 9_000, 2);
    put(&mut batch, 20..90, 30, 2);
    put(&mut batch, 100..105, 40, 2);
    put(&mut batch, 105..110, 40_000, 2);
    put(&mut batch, 110..115, 6_000, 2);
    put(&mut batch, 200..1000, 700, 2);
    put(&mut batch, 1000..1020, 30_000, 2);
    (90..95).chain(115..118).for_each(|key: u16| batch.delete(key.to_be_bytes().to_vec()));
    batch
}

/// A large write of nothing but new large values.
fn values() -> WriteBatch {
    let mut batch = WriteBatch::default();
    put(&mut batch, 500..504, 400_000, 2);
    batch
}

/// Stops a write after each number of steps, and opens the store again each time. Returns in how many steps the
/// write is done, or what went wrong.
fn stop_everywhere(write: &WriteBatch) -> Result<u32, String> {
    for steps in 0.. {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
        store.write(&found()).expect("writes");
        let before = all(&store);
        *store.steps.0.lock() = Some(steps);
        let is_done = store.write(write).is_ok();
        drop(store);
        let store = SledStore::open(dir.path(), 1 << 20).expect("opens again");
        let after = all(&store);
        // After the crash there is all of the write, or nothing of it.
        let mut wanted = before.clone();
        for (key, value) in &write.edits {
            match value {
                Some(value) => wanted.insert(key.clone(), value.clone()),
                None => wanted.remove(key),
            };
        }
        if after != wanted && (is_done || after != before) {
            return Err(format!("after {steps} steps it is neither whole nor absent"));
        }
        // Every part in the tree belongs to a value.
        let pieces = |value: &Bytes| if value.len() <= PART_BYTES { 1 } else { 1 + value.len().div_ceil(PART_BYTES) };
        if store.db.len() != after.values().map(pieces).sum::<usize>() {
            return Err(format!("after {steps} steps something is left behind"));
        }
        if is_done {
            return Ok(steps);
        }
    }
    unreachable!("the steps have no end")
}

#[test]
fn a_large_write_is_whole_or_absent_wherever_it_stops() {
    for (write, least) in [(change(), 20), (values(), 10)] {
        assert!(stop_everywhere(&write).expect("whole or absent") > least, "it was no large write");
    }
}

#[test]
fn large_writes_that_are_torn_or_forgotten_are_caught() {
    for mutant in [Mutant::TearsLargeWrites, Mutant::ForgetsLargeWrites] {
        let _planted = plant(mutant);
        stop_everywhere(&change()).expect_err("a planted bug");
    }
}

/// Batches that fit a budget each, and no two of them together.
#[test]
fn what_is_too_much_together_is_synced_between() {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
    let half = || {
        let mut batch = WriteBatch::default();
        put(&mut batch, 0..25, 4_000, 1);
        store.write(&batch)
    };
    for _ in 0..4 {
        half().expect("writes");
        assert!(!store.budget.lock().is_synced(), "each fits a budget");
    }
    let _planted = plant(Mutant::SyncsTooLate);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(half));
    assert_eq!(caught.is_err(), cfg!(debug_assertions), "the bug is not planted");
}

#[test]
fn a_damaged_record_of_a_large_write_is_damage() {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
    let (parts, count) = layout::parts_of(&[7; 9000], layout::redo_part_key);
    store.apply(parts).expect("writes");
    store.apply(vec![(layout::redo_key(), Some(parted(count)))]).expect("writes");
    drop(store);
    let error = SledStore::open(dir.path(), 1 << 20).map(drop).expect_err("nobody knows what was to be written");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn large_values_come_back_whole_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
    let value = |bytes: usize, fill: u8| Bytes::from(vec![fill; bytes]);
    for bytes in [0, 1, PART_BYTES, PART_BYTES + 1, 1 << 20] {
        let mut batch = WriteBatch::default();
        batch.put(b"k".to_vec(), value(bytes, 7));
        batch.put(b"kk".to_vec(), value(bytes, 8));
        store.write(&batch).expect("writes");
        assert_eq!(store.get(b"k").expect("reads"), Some(value(bytes, 7)), "{bytes} bytes");
        assert_eq!(store.get(b"kk").expect("reads"), Some(value(bytes, 8)), "{bytes} bytes");
    }
    let mut batch = WriteBatch::default();
    batch.delete(b"k".to_vec());
    batch.delete(b"kk".to_vec());
    store.write(&batch).expect("writes");
    assert!(store.db.is_empty(), "parts are left behind");
    store.sync().expect("syncs");
    let has_blobs = dir.path().join("blobs").read_dir().is_ok_and(|mut blobs| blobs.next().is_some());
    assert!(!has_blobs, "sled wrote a blob file, which it never syncs");
}

#[test]
fn a_scan_is_ordered_and_half_open() {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
    let mut batch = WriteBatch::default();
    for key in [b"a".to_vec(), b"b1".to_vec(), b"b2".to_vec(), b"c".to_vec()] {
        batch.put(key, Bytes::new());
    }
    store.write(&batch).expect("writes");
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        seen.push(key.to_vec());
        ControlFlow::Continue(())
    };
    store.scan(b"b", &end_of_prefix(b"b"), &mut visit).expect("scans");
    assert_eq!(seen, [b"b1".to_vec(), b"b2".to_vec()]);
}

#[test]
fn a_bad_page_is_found_before_anything_is_read() {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
    for i in 0..2000u32 {
        let mut batch = WriteBatch::default();
        batch.put(i.to_be_bytes().to_vec(), vec![1u8; 1000]);
        store.write(&batch).expect("writes");
    }
    store.sync().expect("syncs");
    drop(store);
    // From its second opening on, sled knows where its pages are, and checks only those that it reads.
    drop(SledStore::open(dir.path(), 1 << 20).expect("opens again"));
    let file = dir.path().join("db");
    let sound = std::fs::read(&file).expect("reads");
    let mut found = 0;
    for at in (1000..sound.len()).step_by(sound.len() / 40) {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        std::fs::write(&file, bytes).expect("writes");
        match SledStore::open(dir.path(), 1 << 20) {
            Ok(store) => {
                let all = store.scan(&[], &[0xff; 8], &mut |_, _| ControlFlow::Continue(()));
                all.unwrap_or_else(|error| panic!("byte {at}: {error}"));
            }
            Err(OpenError::Damaged { .. }) => found += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(found > 0, "no byte of 40 was in a page that is in use");
}

#[test]
fn an_opening_waits_for_whoever_still_holds_the_lock() {
    let dir = tempfile::tempdir().expect("temp dir");
    drop(SledStore::open(dir.path(), 1 << 20).expect("opens"));
    // The test holds the lock as an ending process does.
    let held = File::open(dir.path().join("db")).expect("opens");
    held.lock().expect("locks");
    let (opened, seen) = std::sync::mpsc::channel();
    let path = dir.path().to_owned();
    let opening = std::thread::spawn(move || opened.send(SledStore::open(&path, 1 << 20).map(drop)));
    let early = seen.recv_timeout(Duration::from_millis(100));
    assert!(early.is_err(), "opened, or gave up, beside another holder: {early:?}");
    held.unlock().expect("unlocks");
    seen.recv().expect("answers").expect("opens once the lock is free");
    opening.join().expect("ends").expect("sends");
}

#[test]
fn damage_is_an_error_or_a_survivor_but_never_a_panic() {
    for cut in [1u64, 64, 4096, 100_000, 400_000] {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
        for i in 0..500u32 {
            let mut batch = WriteBatch::default();
            batch.put(i.to_be_bytes().to_vec(), vec![1u8; 1000]);
            store.write(&batch).expect("writes");
        }
        store.sync().expect("syncs");
        drop(store);
        // The end of the file is cut, as a power loss does that loses its size.
        let file = File::options().write(true).open(dir.path().join("db")).expect("db file");
        let length = file.metadata().expect("metadata").len();
        file.set_len(length.saturating_sub(cut)).expect("cuts");
        match SledStore::open(dir.path(), 1 << 20) {
            Ok(_) | Err(OpenError::Damaged { .. }) => {}
            Err(other) => panic!("cut of {cut} bytes: {other}"),
        }
    }
}
