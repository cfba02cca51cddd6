//! [`Store`] on sled 0.34.7, with the durability that sled itself does not give on Linux.
//!
//! Its `flush` ends in `sync_file_range`, which syncs neither the file's size nor its extents: after a power loss
//! acknowledged writes are gone. So [`Store::sync`] adds an fdatasync of sled's file. For the same reason a store that is
//! never synced is not merely old after a power loss but damaged: sled writes a segment anew once the pages that were in
//! it are elsewhere, which they then are not. So a write syncs by itself before sled can have gone so far. What takes a
//! quarter segment or more goes to blob files that sled never syncs, and that can be a whole tree page of well-behaved
//! values; so larger values are kept here as small parts. A damaged file can make sled panic while it opens: that is caught and reported. And
//! it finds damage in a page only where it reads that: so all is read once before anything is trusted.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::pace::Pace;
use super::store::{Batch, Store, Visit};
use crate::OpenError;
use crate::mutants::{Mutant, is_planted};

/// Largest value sled is given in one piece, in bytes. sled writes a page of up to 17 values (21 after a merge) as one
/// record, which must stay below a quarter of its 512 KiB segments.
const PART_BYTES: usize = 4096;
/// How long an opening waits for whoever holds sled's lock to let go of it, and the pause between two looks.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// First byte of a stored value: the value itself follows.
const WHOLE: u8 = 0;
/// First byte of a stored value: the number of its parts follows, as u32 big-endian.
const PARTED: u8 = 1;
/// Namespace of pairs, and of the parts of large values, in sled's one tree: a batch must be atomic over both.
const PAIRS: u8 = 0;
const PARTS: u8 = 1;

/// A sled database in one directory.
pub struct SledStore {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    pace: Mutex<Pace>,
}

impl SledStore {
    /// Opens or creates the database in `dir`, with a page cache of `cache_bytes`, and reads it once from end to end.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] where sled finds its files damaged or panics over them; [`OpenError::Io`] where the disk
    /// answers with an error, or where another process keeps the database open.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        let what = || format!("the store in {}", dir.display());
        let io_error = |source| OpenError::Io { what: what(), source };
        std::fs::create_dir_all(dir).map_err(io_error)?;
        wait_until_unlocked(&dir.join("db")).map_err(io_error)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        let damaged = |found: String| OpenError::Damaged {
            what: what(),
            found,
            way_out: "Nothing in it is trusted, and it must not be emptied: this node would forget how it voted. \
                      Keep the directory for inspection; the other replicas still hold the data"
                .to_owned(),
        };
        // One that is damaged in one place cannot be mended from within: what touches that page fails, an erasure too, and sled
        // then fails in all that comes after.
        let whole = || config.open().and_then(|db| db.iter().try_for_each(|pair| pair.map(drop)).map(|()| db));
        let db = match catch_unwind(AssertUnwindSafe(whole)) {
            Ok(Ok(db)) => db,
            Ok(Err(sled::Error::Io(error))) => return Err(io_error(error)),
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Err(_) => return Err(damaged("sled panicked while reading it".to_owned())),
        };
        let file = File::open(dir.join("db")).map_err(io_error)?;
        for path in [Some(dir), dir.parent()].into_iter().flatten() {
            // A file whose directory entry is not durable is lost with all its synced contents.
            File::open(path).and_then(|dir| dir.sync_all()).map_err(io_error)?;
        }
        Ok(Self { db, file, dir: dir.to_owned(), pace: Mutex::new(Pace::new(PART_BYTES)) })
    }

    fn read_value(&self, key: &[u8], stored: &[u8]) -> io::Result<Bytes> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(Bytes::copy_from_slice(value)),
            Some((&PARTED, count)) => {
                let count = count.try_into().map(u32::from_be_bytes).map_err(|_| invalid("part count"))?;
                let mut value = Vec::with_capacity(count as usize * PART_BYTES);
                for part in 0..count {
                    let bytes = self.db.get(part_key(key, part)).map_err(from_sled)?;
                    value.extend_from_slice(&bytes.ok_or_else(|| invalid("missing part of a value"))?);
                }
                Ok(value.into())
            }
            _ => Err(invalid("value header")),
        }
    }

    /// Removes the parts of the value that `key` has now, if it has any.
    fn drop_parts(&self, key: &[u8], batch: &mut sled::Batch, pace: &mut Pace) -> io::Result<()> {
        let Some(stored) = self.db.get(pair_key(key)).map_err(from_sled)? else { return Ok(()) };
        if let Some((&PARTED, count)) = stored.split_first() {
            let count = count.try_into().map(u32::from_be_bytes).map_err(|_| invalid("part count"))?;
            for part in 0..count {
                batch.remove(part_key(key, part));
                pace.removed();
            }
        }
        Ok(())
    }
}

/// Waits until nobody holds sled's lock on `file`, which need not exist.
///
/// The lock outlives the store that took it for a moment: sled's workers still end, a killed process still dies, and a
/// child that is just being started holds all descriptors of its parent until it runs its own program. sled itself
/// tries the lock once, and tells of it by text alone.
///
/// # Errors
/// `ResourceBusy` after [`LOCK_WAIT`]; others as the file system tells them.
fn wait_until_unlocked(file: &Path) -> io::Result<()> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            // Given back in words: closing the descriptor leaves the lock with a child that has a copy of it.
            Ok(()) => return file.unlock(),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let busy = "another process keeps it open; stop that process and start again";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, busy));
            }
        }
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        match self.db.get(pair_key(key)).map_err(from_sled)? {
            Some(stored) => self.read_value(key, &stored).map(Some),
            None => Ok(None),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        for pair in self.db.range(pair_key(from)..pair_key(to)) {
            let (key, stored) = pair.map_err(from_sled)?;
            let value = self.read_value(&key[1..], &stored)?;
            if visit(&key[1..], &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> io::Result<()> {
        // Only the last edit of a key counts; sled must not be given the parts of an earlier one.
        let last: BTreeMap<_, _> = batch.edits.iter().map(|(key, value)| (key, value)).collect();
        let (mut edits, mut pace) = (sled::Batch::default(), self.pace.lock());
        for (key, value) in last {
            self.drop_parts(key, &mut edits, &mut pace)?;
            match value {
                None => {
                    edits.remove(pair_key(key));
                    pace.removed();
                }
                Some(value) if value.len() <= PART_BYTES => {
                    edits.insert(pair_key(key), with_header(WHOLE, value));
                    pace.inserted(value.len());
                }
                Some(value) => {
                    let mut count = 0;
                    for part in value.chunks(PART_BYTES) {
                        edits.insert(part_key(key, count), part);
                        pace.inserted(part.len());
                        count += 1;
                    }
                    edits.insert(pair_key(key), with_header(PARTED, &count.to_be_bytes()));
                }
            }
        }
        self.db.apply_batch(edits).map_err(from_sled)?;
        let is_used_up = pace.is_used_up();
        drop(pace);
        if is_used_up { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.pace.lock().synced();
        self.db.flush().map_err(from_sled)?;
        if is_planted(Mutant::SkipsSync) { Ok(()) } else { self.file.sync_data() }
    }

    fn size_on_disk(&self) -> u64 {
        directory_bytes(&self.dir)
    }
}

/// Bytes of all files below `dir`; files that vanish meanwhile count nothing.
fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok().map(|metadata| (entry.path(), metadata)))
        .map(|(path, metadata)| if metadata.is_dir() { directory_bytes(&path) } else { metadata.len() })
        .sum()
}

fn pair_key(key: &[u8]) -> Vec<u8> {
    [&[PAIRS], key].concat()
}

fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    // The length keeps the parts of one key apart from those of a key it is a prefix of.
    let length = u32::try_from(key.len()).expect("keys are a few dozen bytes").to_be_bytes();
    [&[PARTS], &length[..], key, &part.to_be_bytes()].concat()
}

fn with_header(header: u8, bytes: &[u8]) -> Vec<u8> {
    [&[header], bytes].concat()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sled returned a bad {what}"))
}

fn from_sled(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::storage::store::end_of_prefix;

    #[test]
    fn large_values_come_back_whole_and_leave_nothing_behind() {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = SledStore::open(dir.path(), 1 << 20).expect("opens");
        let value = |bytes: usize, fill: u8| Bytes::from(vec![fill; bytes]);
        for bytes in [0, 1, PART_BYTES, PART_BYTES + 1, 1 << 20] {
            let mut batch = Batch::default();
            batch.put(b"k".to_vec(), value(bytes, 7));
            batch.put(b"kk".to_vec(), value(bytes, 8));
            store.write(&batch).expect("writes");
            assert_eq!(store.get(b"k").expect("reads"), Some(value(bytes, 7)), "{bytes} bytes");
            assert_eq!(store.get(b"kk").expect("reads"), Some(value(bytes, 8)), "{bytes} bytes");
        }
        let mut batch = Batch::default();
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
        let mut batch = Batch::default();
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
            let mut batch = Batch::default();
            batch.put(i.to_be_bytes().to_vec(), vec![1u8; 1000]);
            store.write(&batch).expect("writes");
        }
        store.sync().expect("syncs");
        drop(store);
        // From its second opening on sled knows where its pages are, and checks none that it does not read.
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
                let mut batch = Batch::default();
                batch.put(i.to_be_bytes().to_vec(), vec![1u8; 1000]);
                store.write(&batch).expect("writes");
            }
            store.sync().expect("syncs");
            drop(store);
            let file = File::options().write(true).open(dir.path().join("db")).expect("db file");
            let length = file.metadata().expect("metadata").len();
            file.set_len(length.saturating_sub(cut)).expect("cuts");
            match SledStore::open(dir.path(), 1 << 20) {
                Ok(_) | Err(OpenError::Damaged { .. }) => {}
                Err(other) => panic!("cut of {cut} bytes: {other}"),
            }
        }
    }
}
