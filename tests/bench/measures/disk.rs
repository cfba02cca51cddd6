//! What the disk itself can do, and how much lies on it.
//!
//! In: a directory. Out: the times of synced writes, one after the other; the bytes of files.

use crate::report::times::Times;
use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The bytes of one append: about a log entry with one small vector.
const APPEND: [u8; 2048] = [7; 2048];

/// Appends and calls fdatasync, one pair after the other, for this time. Returns the time of each pair.
pub(crate) fn sync_times(dir: &Path, time: Duration) -> anyhow::Result<Times> {
    let path = dir.join("fdatasync.probe");
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < time {
        // A pair is timed as a whole, as an acknowledgement waits for both.
        let before = Instant::now();
        file.write_all(&APPEND)?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    std::fs::remove_file(&path)?;
    Ok(Times::new(times))
}

/// Bytes that the files under `dir` take up on disk.
pub(crate) fn bytes_under(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Files of a running store may vanish between the listing and the look.
        let Ok(about) = entry.metadata() else { continue };
        bytes += if about.is_dir() { bytes_under(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}
