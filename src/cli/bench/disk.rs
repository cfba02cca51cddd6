//! What the disk can do by itself: small appends, each made durable before the next. No store that syncs every write on
//! its own is faster than this; group commit is.

use super::report::percentile;
use super::say;
use anyhow::Context;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one append: about a log entry with a small payload and no vector.
const APPEND: usize = 512;

/// The disk's own rate.
pub(super) struct Disk {
    /// Appends made durable in a second.
    pub(super) per_second: f64,
    /// Median time of one, in milliseconds.
    pub(super) p50_ms: f64,
}

/// Appends and syncs in `dir` for `length`.
pub(super) fn measure(dir: &Path, length: Duration) -> anyhow::Result<Disk> {
    say("the disk's own fdatasync rate");
    let mut file = tempfile::NamedTempFile::new_in(dir).context("cannot write to the data directory")?;
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        let start = Instant::now();
        file.write_all(&[0x5a; APPEND])?;
        file.as_file().sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Disk { per_second, p50_ms: percentile(&mut times, 0.5) })
}
