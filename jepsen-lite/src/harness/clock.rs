//! A wall clock that can be set, and a clock that runs at another rate, for one process: Debian's `faketime` library.
//!
//! The wall clock of a process is read from a file that [`WallClock::jump`] writes, so it jumps while the process runs; its
//! monotonic clock is left alone. A rate holds from a process's start on, for all its clocks and its timers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where Debian puts the library, by architecture.
const PLACES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The library, or what is missing.
///
/// # Errors
/// In words, where it is not installed.
pub fn library() -> Result<&'static str, String> {
    let found = PLACES.into_iter().find(|place| Path::new(place).exists());
    found.ok_or_else(|| "libfaketime is not installed (Debian: faketime)".to_owned())
}

/// The file that a process's wall clock follows.
#[derive(Debug)]
pub struct WallClock(PathBuf);

impl WallClock {
    /// Makes the file, with the right time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(file: PathBuf) -> Result<Self> {
        let clock = Self(file);
        clock.jump(0)?;
        Ok(clock)
    }

    /// Sets the clock so many seconds before or behind the right time.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn jump(&self, seconds: i64) -> Result<()> {
        // Replaced as a whole: the library reads it at any moment.
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).with_context(|| format!("writing {}", new.display()))?;
        std::fs::rename(&new, &self.0).with_context(|| format!("writing {}", self.0.display()))
    }

    /// The environment of a process that follows it.
    pub fn environment(&self, library: &str) -> Vec<(String, String)> {
        let file = self.0.display().to_string();
        pairs(&[
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ])
    }
}

/// The environment of a process whose clocks run at `rate` of the right one.
pub fn rate(library: &str, rate: f64) -> Vec<(String, String)> {
    pairs(&[("LD_PRELOAD", library), ("FAKETIME", &format!("+0 x{rate}"))])
}

/// Removes what the library shares between the processes of a family and leaves behind where one is killed.
pub(crate) fn forget(pid: u32) {
    for kind in ["faketime_shm", "sem.faketime_sem"] {
        // Where there is none, there is nothing to do.
        let _ = std::fs::remove_file(format!("/dev/shm/{kind}_{pid}"));
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn seconds(environment: &[(String, String)]) -> i64 {
        let pairs = environment.iter().map(|(name, value)| (name, value));
        let out = Command::new("date").arg("+%s").envs(pairs).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().parse().unwrap()
    }

    #[test]
    fn a_wall_clock_jumps() {
        let library = match library() {
            Ok(library) => library,
            Err(why) => return println!("SKIPPED clocks: {why}"),
        };
        let dir = tempfile::tempdir().unwrap();
        let clock = WallClock::new(dir.path().join("clock")).unwrap();
        let right = seconds(&[]);
        assert!((0..60).contains(&(seconds(&clock.environment(library)) - right)));
        clock.jump(3600).unwrap();
        assert!((3600..3660).contains(&(seconds(&clock.environment(library)) - right)));
        clock.jump(-3600).unwrap();
        assert!((-3600..-3540).contains(&(seconds(&clock.environment(library)) - right)));
    }
}
