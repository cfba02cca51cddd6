//! A space's graph over a restart: to an [`Image`], and from it.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Mending, Space};
use crate::image::{Image, ImageError, Node};
use crate::{Key, Row, SpaceParams};

impl Space {
    /// The graph as it is. `name` gives the key and the version of the point at a row.
    pub fn image(&self, name: impl Fn(Row) -> (Key, u64)) -> Image {
        let linked = (0..self.slots.len() as u32).filter(|slot| self.is_linked(*slot));
        let node = |slot| {
            let (key, version) = name(self.slots.row(slot));
            let kept = |links: Vec<u32>| links.into_iter().filter(|link| self.is_linked(*link)).collect();
            Node { slot, key, version, links: self.graph.links_by_level(slot).into_iter().map(kept).collect() }
        };
        let nodes: Vec<Node> = linked.map(node).collect();
        Image { params: self.params, slots: self.slots.len() as u32, nodes }
    }

    /// Slots linked and mended so far: what an image that was taken then does not have.
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
        // Who does not come back is near nothing, and is walked through until the graph is mended.
        space.store.reserve(image.slots as usize);
        for _ in 0..image.slots {
            space.graph.grow();
        }
        if !image.nodes.iter().all(|node| space.graph.fits(node.slot, &node.links)) {
            return Err(ImageError("its levels are not those of this build"));
        }
        space.slots.reserve(image.slots, image.nodes.iter().map(|node| node.slot));
        for node in &image.nodes {
            space.graph.restore(node.slot, &node.links);
        }
        let highest = image.nodes.iter().map(|node| (node.links.len() as u32 - 1, node.slot));
        space.graph.begin_at(highest.max_by_key(|(level, slot)| (*level, Reverse(*slot))));
        space.expected = image.nodes.iter().map(|node| (node.key, (node.version, node.slot))).collect();
        Ok(space)
    }

    /// As [`put`](Self::put), of a point that had `version` when the space was stored.
    pub fn restore(&mut self, row: Row, key: Key, version: u64, vector: &[f32]) {
        match self.expected.remove(&key) {
            Some((known, slot)) if known == version => {
                self.slots.come_back(row, slot);
                self.fill(slot, vector);
            }
            _ => self.put(row, vector),
        }
    }

    /// Ends the restoring: every point has come back that will. The graph is mended around the others.
    pub fn restored(&mut self) {
        self.expected = HashMap::new();
        let lost = |slot| self.is_linked(slot) && self.graph.is_lost(slot);
        if self.slots.dead() > 0 || (0..self.slots.len() as u32).any(lost) {
            self.mending = Some(Mending::around(self.slots.all_dead()));
        }
    }
}
