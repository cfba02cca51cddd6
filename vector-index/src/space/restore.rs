//! A space's graph over a restart: to an [`Image`], and from it.

use std::cmp::Reverse;
use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::widening::Breadth;
use super::{GraphRepair, Space};
use crate::image::{GraphNode, Image, ImageError};
use crate::slots::SlotState;
use crate::{Key, Row, SpaceParams};

impl Space {
    /// The graph as it is. `name` gives the key of the point at a row.
    pub fn image(&self, name: impl Fn(Row) -> Key) -> Image {
        let node = |slot| {
            let point = match self.slots.state_of(slot) {
                SlotState::Linked => Some((name(self.slots.row_of(slot)), hash(&self.store.get(slot)))),
                SlotState::Dead => None,
                SlotState::Free | SlotState::Tail => return None,
            };
            Some(GraphNode { slot, point, links: self.graph.links_by_level(slot) })
        };
        // The dead are kept: others are reached through them until the graph is repaired.
        let nodes = (0..self.slots.len() as u32).filter_map(node).collect();
        let frame = self.store.codes().map(|codes| codes.frame().clone());
        let (slots, breadth) = (self.slots.len() as u32, self.breadth.step());
        Image { params: self.params, frame, breadth, slots, nodes }
    }

    /// Slots linked and repaired so far: what an image that was taken then does not have.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// A space whose graph is that of `image`, and whose vectors are still to come back by [`restore`](Self::restore).
    ///
    /// # Errors
    /// An image of another kind of vectors.
    pub fn from_image(params: SpaceParams, image: &Image) -> Result<Self, ImageError> {
        let mut space = Self::new(params);
        if image.params != params {
            return Err(ImageError("the collection has other settings"));
        }
        // So many empty places take more memory than the graph is worth: it is linked anew.
        if image.nodes.len() * 2 < image.slots as usize {
            return Err(ImageError("most of its places are empty"));
        }
        // A vector that does not come back is near nothing. Walks lead through it until the graph is repaired.
        space.breadth = Breadth::from_step(image.breadth);
        space.store.reserve(image.slots as usize, image.frame.clone());
        for _ in 0..image.slots {
            space.graph.grow();
        }
        // The image has checked its links. Only this build knows which level a slot is on.
        if !image.nodes.iter().all(|node| space.graph.fits(node.slot, &node.links)) {
            return Err(ImageError("its levels are not those of this build"));
        }
        space.slots.reserve(image.slots, image.nodes.iter().map(|node| node.slot));
        for node in &image.nodes {
            space.graph.restore(node.slot, &node.links);
        }
        let highest = image.nodes.iter().map(|node| (node.links.len() as u32 - 1, node.slot));
        space.graph.begin_at(highest.max_by_key(|(level, slot)| (*level, Reverse(*slot))));
        // A dead node has no point, so nothing is expected back for it.
        let expected = image.nodes.iter().filter_map(|node| node.point.map(|(key, hash)| (key, (hash, node.slot))));
        space.expected = expected.collect();
        space.assert_sound();
        Ok(space)
    }

    /// As [`put`](Self::put), of the point of this key: in its old place, if its vector is the one that had it.
    pub fn restore(&mut self, row: Row, key: Key, vector: &[f32]) {
        match self.expected.remove(&key) {
            Some((known, slot)) if known == hash(vector) => {
                self.slots.come_back(row, slot);
                self.fill(slot, vector);
            }
            _ => self.put(row, vector),
        }
    }

    /// Ends the restoring: every point has come back that will. The graph is repaired around the others.
    pub fn restored(&mut self) {
        self.expected = HashMap::new();
        if self.slots.dead() > 0 {
            self.repair = Some(GraphRepair::Around { doomed: self.slots.all_dead(), next: 0 });
        } else {
            self.seek_lost();
        }
        self.assert_sound();
    }
}

/// Tells one vector from another, by every bit.
fn hash(vector: &[f32]) -> u64 {
    let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
    xxh3_64(&bytes)
}
