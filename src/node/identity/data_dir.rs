//! A node's directory: one process at a time may use it, and a directory of something else is refused.
//!
//! Comes in: a path. Goes out: a locked directory, or why it cannot be used. Must not know what the files in it say.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::node::NodeError;

/// The file that is locked while a process uses the directory.
const LOCK: &str = "lock";

/// The file that says whose directory it is.
pub(super) const IDENTITY: &str = "node.json";

/// The directory of the stores.
const STORES: &str = "raft";

/// What may lie in a directory that is no node's yet: what a crash in the first moment leaves, and what a new file
/// system has.
const HARMLESS: [&str; 4] = [LOCK, STORES, "lost+found", "node.json.new"];

/// A directory that this process alone uses, until the value is dropped.
pub(in crate::node) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory, and makes it if it is absent.
    ///
    /// # Errors
    /// [`NodeError::DirectoryInUse`] or [`NodeError::ForeignDirectory`]; [`NodeError::Io`] where the disk fails.
    pub fn lock(path: &Path) -> Result<Self, NodeError> {
        fs::create_dir_all(path).map_err(|source| NodeError::io("make the directory", path, source))?;
        // A foreign directory is refused before anything is written into it.
        warn_of_readers(path);
        refuse_foreign(path)?;
        // The kernel releases the lock at the end of the process, however it ends.
        let file = path.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&file);
        let lock = lock.map_err(|source| NodeError::io("open", &file, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(NodeError::DirectoryInUse { dir: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(NodeError::io("lock", &file, source)),
        }
    }

    /// Locks the directory of a node that ran before.
    ///
    /// # Errors
    /// As [`DataDir::lock`], and where no node ran in it.
    pub fn lock_used(path: &Path) -> Result<Self, NodeError> {
        if !path.join(IDENTITY).exists() {
            let missing = io::Error::new(io::ErrorKind::NotFound, "it is no node's directory");
            return Err(NodeError::io("use", path, missing));
        }
        Self::lock(path)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the stores are.
    pub fn stores(&self) -> PathBuf {
        self.path.join(STORES)
    }
}

/// Returns `true` unless the directory was taken away under the process that uses it.
pub(in crate::node) fn is_present(path: &Path) -> bool {
    let gone = |part: &str| fs::metadata(path.join(part)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    !gone(IDENTITY) && !gone(STORES)
}

/// Warns if others on this machine can look into the directory.
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    // These bits give access to the group and to all others.
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o077);
    if mode != 0 {
        let dir = path.display();
        tracing::warn!(
            %dir,
            "others on this machine may look into the data directory; if they should not: chmod 700 {dir}"
        );
    }
}

/// Refuses a directory that has files and no node's identity.
fn refuse_foreign(path: &Path) -> Result<(), NodeError> {
    let failed = |source| NodeError::io("read the directory", path, source);
    if path.join(IDENTITY).exists() {
        return Ok(());
    }
    // A directory that holds only harmless files may become a node's.
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    match names.into_iter().find(|name| !HARMLESS.contains(&name.as_str())) {
        Some(found) => Err(NodeError::ForeignDirectory { dir: path.to_owned(), found }),
        None => Ok(()),
    }
}

/// Replaces a file so that after a crash it holds either the old or the new content.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()?;
    // The rename is durable once the directory is synced.
    fs::rename(&new, path)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("deep/data");
        let first = DataDir::lock(&dir).unwrap();
        assert!(matches!(DataDir::lock(&dir), Err(NodeError::DirectoryInUse { .. })));
        drop(first);
        assert!(DataDir::lock(&dir).is_ok());
    }

    #[test]
    fn foreign_directories_are_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("thesis.tex"), "…").unwrap();
        let error = DataDir::lock(temp.path()).err().unwrap();
        assert!(error.to_string().contains("thesis.tex"), "{error}");
        assert!(!temp.path().join(LOCK).exists());
    }
}
