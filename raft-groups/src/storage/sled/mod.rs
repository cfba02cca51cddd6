//! [`KeyValueStore`] on sled 0.34.7, with the durability that sled itself lacks on Linux.
//!
//! - sled's `flush` ends in `sync_file_range`, which syncs neither the file's size nor its extents. After a power
//!   loss acknowledged writes are gone. So [`KeyValueStore::sync`] adds an fdatasync of sled's file.
//! - For the same reason a power loss damages a store that is never synced, instead of leaving it old. sled reuses a
//!   segment once the pages in it were written elsewhere; without a sync they may not be there. So a write syncs by
//!   itself before sled can have written that much.
//! - What takes a quarter segment or more goes to blob files, which sled never syncs. That can be a tree page of
//!   moderate values. So larger values are stored here as small parts.
//! - A damaged file can make sled panic while it opens. That is caught and reported.
//! - sled finds damage in a page only when it reads that page. So all is read once before anything is trusted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;

mod large;
mod layout;
mod lock;
mod orphans;
mod sync_budget;
#[cfg(test)]
mod tests;

use self::layout::{
    Edit, Edits, PART_BYTES, StoredValue, invalid, pair_key, part_key, parted, parts_of, read_stored, whole,
};
use self::lock::wait_until_unlocked;
use self::orphans::find_orphans;
use self::sync_budget::SyncBudget;
use crate::OpenError;
use crate::mutants::{Mutant, is_planted};
use crate::storage::store::{KeyValueStore, Visit, WriteBatch};

/// A sled database in one directory.
pub struct SledStore {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    budget: Mutex<SyncBudget>,
    #[cfg(test)]
    steps: tests::Steps,
}

impl SledStore {
    /// Opens or creates the database in `dir`, with a page cache of `cache_bytes`, and reads all of it once.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if sled finds its files damaged or panics over them. [`OpenError::Io`] if the disk
    /// fails, or another process keeps the database open.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        let what = || format!("the store in {}", dir.display());
        let io_error = |source| OpenError::Io { what: what(), source };
        std::fs::create_dir_all(dir).map_err(io_error)?;
        wait_until_unlocked(&dir.join("db")).map_err(io_error)?;
        // No flushes of its own: sled deadlocks under concurrent flushes, so only `sync` flushes.
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
        // A store that is damaged in one place cannot be repaired from within. Whatever touches that page fails, an
        // erasure too, and after that sled fails in everything.
        let whole = || config.open().and_then(|db| find_orphans(&db).map(|orphans| (db, orphans)));
        let (db, orphans) = match catch_unwind(AssertUnwindSafe(whole)) {
            Ok(Ok(found)) => found,
            Ok(Err(sled::Error::Io(error))) => return Err(io_error(error)),
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Err(_) => return Err(damaged("sled panicked while reading it".to_owned())),
        };
        // Our own handle on sled's file, for fdatasync.
        let file = File::open(dir.join("db")).map_err(io_error)?;
        for path in [Some(dir), dir.parent()].into_iter().flatten() {
            // If the directory entry of a file is not durable, the file is lost with all its synced contents.
            File::open(path).and_then(|dir| dir.sync_all()).map_err(io_error)?;
        }
        let budget = Mutex::new(SyncBudget::new(PART_BYTES));
        let store = Self {
            db,
            file,
            dir: dir.to_owned(),
            budget,
            #[cfg(test)]
            steps: tests::Steps::default(),
        };
        // Finishing a write reads pages too, so it may meet damage and panic over it.
        let settle = || store.settle(orphans);
        match catch_unwind(AssertUnwindSafe(settle)) {
            Ok(Ok(())) => Ok(store),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(damaged(error.to_string())),
            Ok(Err(error)) => Err(io_error(error)),
            Err(_) => Err(damaged("sled panicked while it finished a write".to_owned())),
        }
    }

    /// Finishes or removes what an interrupted write has left. `orphans` are what [`find_orphans`] found.
    fn settle(&self, mut orphans: Vec<Vec<u8>>) -> io::Result<()> {
        if self.finish_large_write()? {
            orphans = find_orphans(&self.db).map_err(from_sled)?;
        }
        self.apply_in_steps(orphans.into_iter().map(|key| (key, None)).collect())
    }

    fn read_value(&self, key: &[u8], stored: &[u8]) -> io::Result<Bytes> {
        match read_stored(stored)? {
            StoredValue::Whole(value) => Ok(Bytes::copy_from_slice(value)),
            StoredValue::Parts(count) => self.read_parts(count, |part| part_key(key, part)),
        }
    }

    fn read_parts(&self, count: u32, key_of: impl Fn(u32) -> Vec<u8>) -> io::Result<Bytes> {
        let mut value = Vec::new();
        for part in 0..count {
            let bytes = self.db.get(key_of(part)).map_err(from_sled)?;
            value.extend_from_slice(&bytes.ok_or_else(|| invalid("missing part of a value"))?);
        }
        Ok(value.into())
    }

    /// Returns the changes of `batch` in sled's tree.
    fn edits_of(&self, batch: &WriteBatch) -> io::Result<Edits> {
        // Only the last edit of a key counts. The parts of an earlier one must not reach sled.
        let last: BTreeMap<_, _> = batch.edits.iter().map(|(key, value)| (key, value)).collect();
        let mut edits = Edits::default();
        for (key, value) in last {
            let before = self.db.get(pair_key(key)).map_err(from_sled)?;
            let parts_before = match before.as_deref().map(read_stored).transpose()? {
                Some(StoredValue::Parts(count)) => count,
                Some(StoredValue::Whole(_)) | None => 0,
            };
            // Parts that replace others change with the pair. Parts beyond the old ones may come before it, and
            // parts beyond the new ones may go after it.
            let mut parts_now = 0;
            let pair = match value {
                None => None,
                Some(value) if value.len() <= PART_BYTES => Some(whole(value)),
                Some(value) => {
                    let (mut parts, count) = parts_of(value, |part| part_key(key, part));
                    edits.ahead.extend(parts.split_off(parts.len().min(parts_before as usize)));
                    edits.now.extend(parts);
                    parts_now = count;
                    Some(parted(count))
                }
            };
            edits.now.push((pair_key(key), pair));
            edits.behind.extend((parts_now..parts_before).map(|part| (part_key(key, part), None)));
        }
        Ok(edits)
    }

    /// Gives sled one batch. It syncs before the batch if that would be too much together with what is not synced
    /// yet, and after the batch if it is too much by itself.
    fn apply(&self, edits: Vec<Edit>) -> io::Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        self.steps.take()?;
        let mut after = self.budget.lock().after(&edits);
        if after.is_used_up() && !is_planted(Mutant::SyncsTooLate) {
            self.sync()?;
            after = self.budget.lock().after(&edits);
        }
        debug_assert!(!after.is_used_up() || self.budget.lock().is_synced(), "too much goes without a sync");
        // The budget is spent before sled gets the batch: if that fails midway, the estimate is not too low.
        let (mut batch, mut budget) = (sled::Batch::default(), self.budget.lock());
        *budget = after;
        for (key, value) in edits {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(from_sled)?;
        let is_used_up = budget.is_used_up();
        drop(budget);
        if is_used_up { self.sync() } else { Ok(()) }
    }
}

impl KeyValueStore for SledStore {
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

    fn write(&self, batch: &WriteBatch) -> io::Result<()> {
        // What the budget allows at once is one batch of sled's, which is atomic. More goes in steps.
        let edits = self.edits_of(batch)?;
        let is_large = self.budget.lock().renewed().after(edits.all()).is_used_up();
        if is_large { self.write_large(edits) } else { self.apply(edits.into_one()) }
    }

    fn sync(&self) -> io::Result<()> {
        // A write that used up the budget has synced itself.
        if self.budget.lock().is_synced() {
            return Ok(());
        }
        self.db.flush().map_err(from_sled)?;
        if !is_planted(Mutant::SkipsSync) {
            self.file.sync_data()?;
        }
        let mut budget = self.budget.lock();
        *budget = budget.renewed();
        Ok(())
    }

    fn size_on_disk(&self) -> u64 {
        directory_bytes(&self.dir)
    }
}

/// Returns the bytes of all files below `dir`. Files that vanish meanwhile count as 0.
fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok().map(|metadata| (entry.path(), metadata)))
        .map(|(path, metadata)| if metadata.is_dir() { directory_bytes(&path) } else { metadata.len() })
        .sum()
}

fn from_sled(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
