//! How far an ingest came, in a small JSON file. The same command run again goes on where the last one stopped.
//!
//! The file holds how many rows are done, counted from the first without a gap, and a fingerprint of the input. It may
//! be behind the cluster: rows may be done out of order, or a kill may come between two saves. Such rows are written
//! again, which changes nothing but their versions. The file is never ahead of the cluster. It is removed when the
//! ingest is complete.

use super::super::exit::Usage;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// The fingerprint of a file covers its length, and so many bytes at its start and at its end.
const SAMPLE: u64 = 64 << 10;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    fingerprint: String,
    rows_done: u64,
    rejected: u64,
}

/// A checkpoint and its file.
pub(crate) struct Checkpoint {
    path: PathBuf,
    state: State,
}

impl Checkpoint {
    /// Reads the file. Begins at row 0 if there is none, or `restart` is asked for.
    ///
    /// # Errors
    /// [`Usage`] where the file belongs to another input or is no checkpoint; the disk's error where it cannot be read.
    pub(crate) fn open(path: PathBuf, fingerprint: String, restart: bool) -> anyhow::Result<Self> {
        let fresh = State { fingerprint, rows_done: 0, rejected: 0 };
        // With --restart even an unreadable file is ignored, and replaced at the next save.
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, state: fresh });
            }
            _ if restart => return Ok(Self { path, state: fresh }),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let state: State =
            serde_json::from_slice(&text).map_err(|_| refusal(&path, "is no checkpoint of an ingest"))?;
        if state.fingerprint != fresh.fingerprint {
            return Err(refusal(&path, "belongs to another input, collection or --id-offset").into());
        }
        Ok(Self { path, state })
    }

    /// Rows that are done, counted from the first without a gap.
    pub(crate) fn rows_done(&self) -> u64 {
        self.state.rows_done
    }

    /// Rows rejected by earlier runs.
    pub(crate) fn rejected(&self) -> u64 {
        self.state.rejected
    }

    /// Replaces the file. After a crash it holds the old state or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(&mut self, rows_done: u64, rejected: u64) -> anyhow::Result<()> {
        self.state = State { rows_done, rejected, ..self.state.clone() };
        // A crash before the rename leaves the old checkpoint.
        let beside = self.path.with_extension("resume.new");
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(&serde_json::to_vec(&self.state)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)
        };
        write().with_context(|| format!("cannot write {}: name another place with --resume", self.path.display()))
    }

    /// Removes the file: there is nothing left to resume.
    pub(crate) fn remove(self) {
        // There is no file if the ingest was shorter than the time between two saves.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn refusal(path: &Path, what: &str) -> Usage {
    Usage(format!("{} {what}: pass --restart to begin anew, or --resume FILE to keep both", path.display()))
}

/// A fingerprint of files and settings: the length, start and end of each file, and the text of each setting.
pub(crate) fn fingerprint(files: &[&Path], settings: &[&str]) -> std::io::Result<String> {
    let mut hash = Xxh3::new();
    for path in files {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        hash.update(&length.to_le_bytes());
        for start in [0, length.saturating_sub(SAMPLE)] {
            let mut sample = Vec::new();
            file.seek(SeekFrom::Start(start))?;
            (&mut file).take(SAMPLE).read_to_end(&mut sample)?;
            hash.update(&sample);
        }
    }
    for setting in settings {
        // With its length before it, no text runs into the next.
        hash.update(&(setting.len() as u64).to_le_bytes());
        hash.update(setting.as_bytes());
    }
    Ok(format!("{:032x}", hash.digest128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_found_again_and_refused_for_another_input() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docs.resume");
        let open = |print: &str, restart| Checkpoint::open(path.clone(), print.into(), restart);
        open("a", false).unwrap().save(300, 2).unwrap();
        let again = open("a", false).unwrap();
        assert_eq!((again.rows_done(), again.rejected()), (300, 2));
        assert!(open("b", false).err().unwrap().to_string().contains("--restart"));
        assert_eq!(open("b", true).unwrap().rows_done(), 0);
        again.remove();
        assert_eq!(open("a", false).unwrap().rows_done(), 0);
    }

    #[test]
    fn a_changed_file_has_another_fingerprint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let print = |setting: &str| fingerprint(&[file.path()], &[setting]).unwrap();
        let empty = print("docs");
        assert_ne!(empty, print("other"));
        std::fs::write(file.path(), "{}").unwrap();
        assert_ne!(empty, print("docs"));
    }
}
