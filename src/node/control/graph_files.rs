//! Saved graphs, one file each: `graphs/<shard>/<collection>-<vector>.graph` in the node's directory.
//!
//! Comes in: the bytes of a graph. Goes out: the same bytes after a restart. Must not know what is in them.
//!
//! Graphs are derived from the points, so they may be lost or stale: the engine checks what it reads, and builds what
//! is missing. A file is replaced as a whole, so a crash leaves the old file or the new one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::{CollectionId, GraphName, GraphStore};
use crate::placement::ShardId;

/// The directory of them all.
const GRAPHS: &str = "graphs";

/// How the name of a file that is being written ends.
const NEW: &str = ".new";

/// The files of one shard's graphs.
#[derive(Debug, Clone)]
pub(super) struct GraphFiles {
    dir: PathBuf,
}

impl GraphFiles {
    /// The files of `shard` in the node's directory `node`. No directory is made before something is saved.
    pub fn new(node: &Path, shard: ShardId) -> Self {
        Self { dir: node.join(GRAPHS).join(shard.0.to_string()) }
    }

    /// Replaces a graph's file.
    ///
    /// # Errors
    /// The error of the disk. The old file is still there.
    pub fn save(&self, name: &GraphName, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.path(name.collection, &name.vector_name);
        let new = path.with_added_extension(NEW.trim_start_matches('.'));
        // A crash before the rename leaves the old file, and a new one that `keep_only` erases later.
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Erases the files of all graphs but `names`: their collections are gone.
    ///
    /// # Errors
    /// The error of the disk. Some files may be erased by then.
    pub fn keep_only(&self, names: &[GraphName]) -> io::Result<()> {
        let kept: BTreeSet<PathBuf> = names.iter().map(|name| self.path(name.collection, &name.vector_name)).collect();
        // Without the directory nothing was ever saved.
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            // What a crash left of a file that was being written goes, too.
            let path = entry?.path();
            if !kept.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The file of one graph. A vector's name can be any text, so the file's name has its hash.
    fn path(&self, collection: CollectionId, vector_name: &str) -> PathBuf {
        self.dir.join(format!("{collection}-{:016x}.graph", xxh3_64(vector_name.as_bytes())))
    }
}

impl GraphStore for GraphFiles {
    fn take(&self, collection: CollectionId, vector_name: &str) -> Option<Vec<u8>> {
        let path = self.path(collection, vector_name);
        match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a saved graph cannot be read, and is built anew");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(collection: u64, vector_name: &str) -> GraphName {
        GraphName { collection: CollectionId(collection), vector_name: vector_name.to_owned() }
    }

    #[test]
    fn what_was_saved_last_is_taken_and_the_rest_erased() {
        let dir = tempfile::tempdir().unwrap();
        let files = GraphFiles::new(dir.path(), ShardId(3));
        assert_eq!(files.take(CollectionId(1), ""), None);
        files.keep_only(&[]).unwrap();
        files.save(&name(1, ""), b"old").unwrap();
        files.save(&name(1, ""), b"new").unwrap();
        files.save(&name(1, "../../x"), b"other").unwrap();
        assert_eq!(files.take(CollectionId(1), "").unwrap(), b"new");
        assert_eq!(files.take(CollectionId(1), "../../x").unwrap(), b"other");
        files.keep_only(&[name(1, "")]).unwrap();
        assert_eq!(files.take(CollectionId(1), "../../x"), None);
        assert_eq!(files.take(CollectionId(1), "").unwrap(), b"new");
    }
}
