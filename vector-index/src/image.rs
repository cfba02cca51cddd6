//! A graph as bytes, to be kept in a file over a restart.
//!
//! It says of each linked vector which point it belonged to, and what its bits hash to, so it needs no log index to be
//! held against: a node whose point has that vector still is what it was, and any other is dead. Vectors and codes are
//! not in it: the points' own records have the vectors, and codes are made of them faster than a disk reads.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::codes::frame::Frame;
use crate::{Key, SpaceParams};

/// First byte of the bytes.
const FORMAT: u8 = 2;
/// Bytes of the checksum at the end.
const SUM: usize = size_of::<u64>();

/// A graph without its vectors.
#[derive(Debug, Serialize, Deserialize)]
pub struct Image {
    pub(crate) params: SpaceParams,
    /// What codes were taken of; none where the graph was laid out by the vectors themselves.
    pub(crate) frame: Option<Frame>,
    /// How widely walks had to look.
    pub(crate) breadth: u8,
    /// Slots there were; those without a node were free or in the tail.
    pub(crate) slots: u32,
    /// By slot.
    pub(crate) nodes: Vec<GraphNode>,
}

/// One vector of the graph.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GraphNode {
    pub(crate) slot: u32,
    /// Its point, and the hash of its vector; nothing of one that was dead already.
    pub(crate) point: Option<(Key, u64)>,
    /// By level: the slots it leads to.
    pub(crate) links: Vec<Vec<u32>>,
}

/// Why bytes are not an image that can be used; the graph is then built anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the saved graph cannot be used, and is built anew: {0}")]
pub struct ImageError(pub(crate) &'static str);

impl Image {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes =
            postcard::to_extend(self, vec![FORMAT]).expect("plain data into memory: no case of it can fail");
        let sum = xxh3_64(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the bytes back. Every link leads to a node, so that what was read is safe to walk.
    ///
    /// # Errors
    /// Damage, or another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let (covered, sum) = bytes.split_last_chunk::<SUM>().ok_or(ImageError("it is too short"))?;
        if xxh3_64(covered) != u64::from_le_bytes(*sum) {
            return Err(ImageError("it fails its checksum"));
        }
        let image: Self = match covered.split_first() {
            Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|_| ImageError("it does not parse"))?,
            _ => return Err(ImageError("it has another format")),
        };
        // Sound bytes may still lead nowhere, and a walk trusts links.
        image.check().then_some(image).ok_or(ImageError("its links lead nowhere"))
    }

    /// Nodes in it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn check(&self) -> bool {
        if self.frame.as_ref().is_some_and(|frame| !frame.fits(self.params.size)) {
            return false;
        }
        // Each slot comes once, in order, and none lies beyond the end.
        let ordered = self.nodes.windows(2).all(|pair| pair[0].slot < pair[1].slot);
        if !ordered || self.nodes.last().is_some_and(|last| last.slot >= self.slots) {
            return false;
        }
        // By slot: on how many levels it is.
        let mut levels = vec![0; self.nodes.last().map_or(0, |last| last.slot as usize + 1)];
        for node in &self.nodes {
            levels[node.slot as usize] = node.links.len();
        }
        // A link leads to another node that is on this level as well.
        let leads = |node: &GraphNode, level: usize, link: u32| {
            link != node.slot && levels.get(link as usize).is_some_and(|levels| *levels > level)
        };
        self.nodes.iter().all(|node| {
            let mut by_level = node.links.iter().enumerate();
            by_level.all(|(level, links)| links.iter().all(|link| leads(node, level, *link)))
        })
    }
}
