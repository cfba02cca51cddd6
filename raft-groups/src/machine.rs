//! The interface between consensus and what is agreed upon.
//!
//! A group carries opaque command bytes through its log and hands the committed ones, in log order, to its
//! [`Machine`]. The machine answers each with opaque reply bytes and says what changed in its key-value state. The
//! group stores those changes together with the applied index, and copies that state for snapshots. So a machine
//! writes no file and sees no log entry that is not its own. It must not know that Raft exists.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;

/// The place of a command in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Log index of the entry that carries the command. It grows with every command, with gaps.
    pub index: u64,
    /// Term of the leader that appended it.
    pub term: u64,
}

/// A deterministic state machine whose whole replicated state is the key-value state its [`Changes`] build.
///
/// All that it keeps in memory beside that state is derived, and [`Machine::open`] can rebuild it. A group calls
/// `apply` from one task at a time. Any number of readers use the machine's own read methods meanwhile.
pub trait Machine: Send + Sync + Sized + 'static {
    /// What a machine is opened with: at each start, and after each snapshot that is installed.
    type Setup: Clone + Default + Send + Sync + 'static;

    /// Rebuilds the machine from stored state (empty for a new replica).
    ///
    /// # Errors
    /// An I/O error of the store, or `InvalidData` if a record fails its checks: then the replica stays closed.
    fn open(setup: &Self::Setup, state: &dyn StateReader) -> io::Result<Self>;

    /// Applies one committed command and returns its reply.
    ///
    /// It is deterministic: no clock, no randomness, no iteration order of a hash map. A command that is refused is
    /// a *reply*, never an error. Every change to replicated state goes into `changes`, and readers see it at once.
    ///
    /// # Errors
    /// [`BrokenInvariant`] only if going on cannot be right. It stops this group, not the node.
    fn apply(&self, at: Position, command: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant>;

    /// Returns a digest of the replicated state, after the index of the last command that it reflects (0 if none).
    ///
    /// Two replicas with equal index have equal digests.
    fn digest(&self) -> (u64, u64);

    /// Returns what commands have left behind, to be erased beside them; those before the last start included. Each
    /// piece is given out once.
    fn take_garbage(&self) -> Garbage {
        Garbage::default()
    }
}

/// What nobody reads any more, and what takes too long to erase while a command is applied.
#[derive(Default)]
pub struct Garbage {
    /// Ranges of the machine's keys, each from its first key up to and without its second. No replica reads there,
    /// and no command writes there again. Snapshots may contain them or not.
    pub keys: Vec<(Vec<u8>, Vec<u8>)>,
    /// Memory that takes long to free.
    pub memory: Vec<Box<dyn Send>>,
}

/// The machine met a state that its own commands cannot have produced, or a command of a later release. The text
/// says what the operator can do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the state machine cannot go on, so this replica stops: {0}")]
pub struct BrokenInvariant(pub String);

/// A visitor of pairs of key and value. If it breaks, the scan ends.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Read access to a machine's stored state; keys are in ascending byte order.
pub trait StateReader {
    /// Returns the value of `key`.
    ///
    /// # Errors
    /// An I/O error of the store.
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>>;

    /// Visits every pair whose key starts with `prefix`, in key order, until `visit` breaks.
    ///
    /// # Errors
    /// An I/O error of the store.
    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()>;
}

/// What one or more commands change in the machine's state. The last change of a key wins.
#[derive(Debug, Default, Clone)]
pub struct Changes {
    edits: BTreeMap<Vec<u8>, Option<Bytes>>,
    given: usize,
}

impl Changes {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) {
        let value = value.into();
        self.given += value.len();
        self.edits.insert(key.into(), Some(value));
    }

    /// Removes `key`; a key that is absent stays absent.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.edits.insert(key.into(), None);
    }

    /// The edits in key order; `None` removes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Bytes>)> {
        self.edits.iter().map(|(key, value)| (key.as_slice(), value.as_ref()))
    }

    /// Bytes of all values that were set; a key that was set twice counts twice.
    pub fn bytes_given(&self) -> usize {
        self.given
    }

    /// Returns `true` if nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

/// State in a sorted map. Machines are tested on it, and it is the reference for every [`StateReader`].
#[derive(Debug, Default, Clone)]
pub struct MemoryState {
    pairs: BTreeMap<Vec<u8>, Bytes>,
}

impl MemoryState {
    /// Carries out `changes`.
    pub fn commit(&mut self, changes: &Changes) {
        for (key, value) in changes.iter() {
            match value {
                Some(value) => self.pairs.insert(key.to_vec(), value.clone()),
                None => self.pairs.remove(key),
            };
        }
    }
}

impl StateReader for MemoryState {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        for (key, value) in self.pairs.range(prefix.to_vec()..) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
