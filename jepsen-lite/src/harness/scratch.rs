//! One temporary directory a run: data, logs and histories.
//!
//! When the run ended well nothing stays. When it did not (a panic, or nobody said that it ended well) the data goes
//! and the logs and histories stay, and where they are is printed. `QUIVER_KEEP=1` keeps everything.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// A directory that cleans up after itself.
#[derive(Debug)]
pub struct ScratchDirectory {
    root: PathBuf,
    ended_well: bool,
}

impl ScratchDirectory {
    /// Creates `<temp>/quiver-<name>-<pid>-<n>` with a `logs` directory in it.
    pub fn new(name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("quiver-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(root.join("logs")).with_context(|| format!("creating {}", root.display()))?;
        Ok(Self { root, ended_well: false })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What stays after a failure.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Says that the run ended well, so that nothing needs to stay.
    pub fn ended_well(&mut self) {
        self.ended_well = true;
    }

    fn remove_data(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != self.logs()) {
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        if std::env::var("QUIVER_KEEP").is_ok_and(|value| value == "1") {
            println!("kept on request: {}", self.root.display());
        } else if self.ended_well && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        } else {
            self.remove_data();
            println!("logs and histories of the failed run: {}", self.logs().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_end_leaves_nothing_and_a_bad_one_leaves_the_logs() {
        let mut good = ScratchDirectory::new("scratch-test").unwrap();
        let bad = ScratchDirectory::new("scratch-test").unwrap();
        for scratch in [&good, &bad] {
            std::fs::write(scratch.logs().join("node1.log"), "line").unwrap();
            std::fs::create_dir(scratch.root().join("node1")).unwrap();
        }
        let (good_root, bad_root) = (good.root().to_owned(), bad.root().to_owned());
        good.ended_well();
        drop((good, bad));
        assert!(!good_root.exists());
        assert!(bad_root.join("logs/node1.log").exists());
        assert!(!bad_root.join("node1").exists());
        std::fs::remove_dir_all(bad_root).unwrap();
    }
}
