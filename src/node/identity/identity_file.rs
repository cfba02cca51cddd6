//! Who this node is, kept in `node.json`: a JSON file with a checksum, which is replaced as a whole and synced.
//!
//! Comes in: a name at the first start, and each change of the node's place in its cluster. Goes out: the same after
//! any crash. Must not know how the place was found.
//!
//! The file is written before the node does anything that others could remember. So a crash at any moment leaves either
//! a node that has done nothing yet, or a node that knows who it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{GroupId, Life, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::data_dir::{IDENTITY, replace};
use crate::node::NodeError;
use crate::placement::{ClusterMap, NodeName, RaftTimings};

/// Version of the file and of everything beside it. A directory of a version from [`OLDEST`] on opens. It is marked
/// with this version before anything else in it is written, so that an older build refuses it from then on.
const FORMAT: u64 = 3;

/// The oldest version that opens.
const OLDEST: u64 = 2;

/// By how many starts a recovery of last resort puts a directory ahead of all copies from before it. No copy is started
/// so often, and the sums stay exact in JSON.
const RECOVERY_AHEAD: u64 = 1 << 32;

/// What a node knows of itself without asking anyone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::node) struct StoredIdentity {
    /// The operator's name for it.
    pub name: NodeName,
    /// Chosen at random when the directory was made: a node whose directory was lost does not come back as the same
    /// node.
    pub incarnation: Uuid,
    /// The last start of the node from this directory.
    #[serde(default, skip_serializing_if = "is_uncounted")]
    pub life: Life,
    /// Its place in a cluster, once it has one.
    pub member: Option<ClusterMembership>,
}

/// A node's place in its cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::node) struct ClusterMembership {
    /// The cluster.
    pub cluster: Uuid,
    /// The node's number in it.
    pub node: NodeId,
    /// The map that the node began with: it has the first addresses. On the node that forms the cluster, it is what is
    /// formed.
    pub first_map: ClusterMap,
    /// `true` once the stores have been taken into use. From then on empty stores are a loss, not a beginning.
    pub started: bool,
    /// URLs of the nodes that it last knew. Those of the first map may all be gone when it starts again.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// The cluster's timings as the node last knew them. It takes them on when it starts. `None` if the cluster has
    /// none of its own.
    #[serde(default)]
    pub timings: Option<RaftTimings>,
    /// Groups that go on with this node alone by the operator's order, as long as the map does not know it.
    #[serde(default)]
    pub recovered: BTreeSet<GroupId>,
}

impl ClusterMembership {
    /// The place of a node that has done nothing yet.
    pub fn new(cluster: Uuid, node: NodeId, first_map: ClusterMap) -> Self {
        let (timings, seeds, recovered) = (first_map.timings, Vec::new(), BTreeSet::new());
        Self { cluster, node, first_map, started: false, seeds, timings, recovered }
    }

    /// The timings that the node starts with: the cluster's if it knows them, else `asked`, those of its flags.
    pub fn timings_or(&self, asked: RaftTimings) -> RaftTimings {
        self.timings.filter(|_| !is_planted(Mutant::KeepsOwnTimings)).unwrap_or(asked)
    }
}

/// The identity, and the file that holds it.
pub(in crate::node) struct IdentityFile {
    path: PathBuf,
    pub identity: StoredIdentity,
}

/// The node's own text follows this key. Only numbers stand before it in the file.
const NODE: &str = "\"node\":";

/// The checksum, which stands before the node's own text.
#[derive(Deserialize)]
struct Seal {
    crc32c: u32,
}

/// The version, which every version's file has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

impl IdentityFile {
    /// Reads the identity in `dir`, or makes one for a node of this name.
    ///
    /// # Errors
    /// [`NodeError::OtherNode`] where the directory has another name; where the file is damaged or of another format;
    /// the error of the disk.
    pub fn open(dir: &Path, name: NodeName) -> Result<Self, NodeError> {
        let path = dir.join(IDENTITY);
        if !path.exists() {
            let identity = StoredIdentity { name, incarnation: Uuid::new_v4(), life: Life::default(), member: None };
            let file = Self { path, identity };
            file.save()?;
            return Ok(file);
        }
        // Another name means that the operator gave the wrong directory.
        let found = Self::read(dir)?;
        if found.identity.name != name {
            let (stored, asked) = (found.identity.name.to_string(), name.to_string());
            return Err(NodeError::OtherNode { dir: dir.to_owned(), stored, asked });
        }
        Ok(found)
    }

    /// Reads the identity of the node that lives in `dir`, whatever its name.
    ///
    /// # Errors
    /// [`NodeError::DamagedIdentity`] or [`NodeError::OtherFormat`]; [`NodeError::Io`] where the disk fails.
    pub fn read(dir: &Path) -> Result<Self, NodeError> {
        let path = dir.join(IDENTITY);
        let text = fs::read_to_string(&path).map_err(|source| NodeError::io("read", &path, source))?;
        let identity = parse(&text, &path)?;
        Ok(Self { path, identity })
    }

    /// Counts this start, durably and before anyone hears of it. So no other node has seen this life, unless the
    /// directory was copied.
    ///
    /// # Errors
    /// The error of the disk. The start then counts only if the new file was in place.
    pub fn begin_life(&mut self) -> Result<Life, NodeError> {
        let number = self.identity.life.number + 1;
        self.identity.life = Life { number, start: *Uuid::new_v4().as_bytes() };
        self.save()?;
        Ok(self.identity.life)
    }

    /// Replaces the node's place in its cluster, durably.
    ///
    /// # Errors
    /// The error of the disk. A later start finds the old place or the new one.
    pub fn set_member(&mut self, member: ClusterMembership) -> Result<(), NodeError> {
        self.identity.member = Some(member);
        self.save()
    }

    /// Replaces the node's place in its cluster for a recovery of last resort, durably. From here on every start of this
    /// directory is later than all starts of a copy from before the recovery. So the copy is refused, and never this
    /// one.
    ///
    /// # Errors
    /// As [`IdentityFile::set_member`].
    pub fn set_recovered(&mut self, member: ClusterMembership) -> Result<(), NodeError> {
        self.identity.life.number += RECOVERY_AHEAD;
        self.set_member(member)
    }

    fn save(&self) -> Result<(), NodeError> {
        let content = encode_sealed(&self.identity).map_err(|error| NodeError::setup("node.json", error))?;
        replace(&self.path, content.as_bytes()).map_err(|source| NodeError::io("write", &self.path, source))
    }
}

fn is_uncounted(life: &Life) -> bool {
    life.number == 0
}

fn encode_sealed(identity: &StoredIdentity) -> serde_json::Result<String> {
    let node = serde_json::to_string(identity)?;
    let crc32c = crc32c::crc32c(node.as_bytes());
    let format = if is_planted(Mutant::LeavesDirectoriesUnmarked) { OLDEST } else { FORMAT };
    Ok(format!("{{\"format\":{format},\"crc32c\":{crc32c},{NODE}{node}}}\n"))
}

fn parse(text: &str, path: &Path) -> Result<StoredIdentity, NodeError> {
    let damaged = |reason: String| NodeError::DamagedIdentity { path: path.to_owned(), reason };
    let AnyFormat { format } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if !(OLDEST..=FORMAT).contains(&format) {
        return Err(NodeError::OtherFormat { path: path.to_owned(), found: format, known: FORMAT });
    }
    // The checksum is checked before anything that it covers is read.
    let Seal { crc32c } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    let node = find_node_text(text).ok_or_else(|| damaged("it says nothing of the node".to_owned()))?;
    if crc32c::crc32c(node.as_bytes()) != crc32c {
        return Err(damaged("its checksum does not match".to_owned()));
    }
    serde_json::from_str(node).map_err(|error| damaged(error.to_string()))
}

/// The node's own text, byte for byte as it was written: the checksum is of these bytes.
fn find_node_text(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(NODE)?;
    rest.trim_end().strip_suffix('}').map(str::trim)
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;

    use super::*;
    use crate::placement::tests::map_of;

    #[test]
    fn a_directory_of_an_earlier_build_opens_and_is_marked_before_it_is_used() {
        let node = r#"{"name":"node2","incarnation":"67e55044-10b1-426f-9247-bb680e5f0c8a","member":null}"#;
        let old = format!("{{\"format\":2,\"crc32c\":{},\"node\":{node}}}\n", crc32c::crc32c(node.as_bytes()));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(IDENTITY), &old).unwrap();
        let mut file = IdentityFile::open(dir.path(), name("node2")).unwrap();
        assert_eq!(file.identity.incarnation.to_string(), "67e55044-10b1-426f-9247-bb680e5f0c8a");
        let is_marked =
            || fs::read_to_string(dir.path().join(IDENTITY)).unwrap().starts_with(&format!("{{\"format\":{FORMAT},"));
        let planted = plant(Mutant::LeavesDirectoriesUnmarked);
        file.begin_life().unwrap();
        assert!(!is_marked(), "the bug is not planted");
        drop(planted);
        file.begin_life().unwrap();
        assert!(is_marked());
        assert_eq!(IdentityFile::open(dir.path(), name("node2")).unwrap().identity, file.identity);
    }

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    #[test]
    fn a_node_starts_with_the_clusters_timings_where_it_knows_them() {
        let (own, clusters) = (RaftTimings::default(), RaftTimings { heartbeat_ms: 77, ..RaftTimings::default() });
        let mut member = ClusterMembership::new(Uuid::new_v4(), 2, map_of(3, 8, 3));
        member.timings = None;
        assert_eq!(member.timings_or(own), own);
        member.timings = Some(clusters);
        assert_eq!(member.timings_or(own), clusters);
        let _planted = plant(Mutant::KeepsOwnTimings);
        assert_eq!(member.timings_or(own), own, "the bug is not planted");
    }

    #[test]
    fn a_node_finds_itself_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = IdentityFile::open(dir.path(), name("node2")).unwrap();
        let first_map = map_of(3, 8, 3);
        made.set_member(ClusterMembership { started: true, ..ClusterMembership::new(Uuid::new_v4(), 2, first_map) })
            .unwrap();
        let found = IdentityFile::open(dir.path(), name("node2")).unwrap();
        assert_eq!(found.identity, made.identity);
    }

    #[test]
    fn each_start_is_a_life_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let start = || IdentityFile::open(dir.path(), name("node2")).unwrap().begin_life().unwrap();
        let (first, second) = (start(), start());
        assert_eq!((first.number, second.number), (1, 2));
        assert_ne!(first.start, second.start);
        assert_eq!(IdentityFile::open(dir.path(), name("node2")).unwrap().identity.life, second);
    }

    #[test]
    fn a_recovered_directory_is_later_than_a_copy_from_before_however_often_that_was_started() {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        IdentityFile::open(dir.path(), name("node2")).unwrap().begin_life().unwrap();
        fs::copy(dir.path().join(IDENTITY), copy.path().join(IDENTITY)).unwrap();
        let mut recovered = IdentityFile::read(dir.path()).unwrap();
        recovered.set_recovered(ClusterMembership::new(Uuid::new_v4(), 2, map_of(3, 8, 3))).unwrap();
        let later = IdentityFile::read(dir.path()).unwrap().begin_life().unwrap();
        let mut copy = IdentityFile::read(copy.path()).unwrap();
        for _ in 0..5 {
            assert!(copy.begin_life().unwrap().number < later.number);
        }
    }

    #[test]
    fn another_name_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        IdentityFile::open(dir.path(), name("node2")).unwrap();
        let error = IdentityFile::open(dir.path(), name("node3")).err().unwrap();
        assert!(error.to_string().contains("--node-id node2"), "{error}");
    }

    #[test]
    fn damage_and_other_formats_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        IdentityFile::open(dir.path(), name("node1")).unwrap();
        let path = dir.path().join(IDENTITY);
        let good = fs::read_to_string(&path).unwrap();
        let open = |text: &str| {
            fs::write(&path, text).unwrap();
            IdentityFile::open(dir.path(), name("node1")).err()
        };
        assert!(matches!(open(&good.replace("node1", "node7")), Some(NodeError::DamagedIdentity { .. })));
        assert!(matches!(open(&good[..good.len() / 2]), Some(NodeError::DamagedIdentity { .. })));
        assert!(matches!(open(""), Some(NodeError::DamagedIdentity { .. })));
        let newer = good.replace("\"format\":3", "\"format\":4");
        assert!(matches!(open(&newer), Some(NodeError::OtherFormat { found: 4, .. })));
        let ancient = good.replace("\"format\":3", "\"format\":1");
        assert!(matches!(open(&ancient), Some(NodeError::OtherFormat { found: 1, .. })));
        assert!(open(&good).is_none());
    }
}
