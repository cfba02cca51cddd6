//! The nearest of many vectors, in memory.
//!
//! A [`Space`] holds one vector of every point of a collection and answers searches over them. Its shape is *graph over
//! the linked vectors ∪ comparison with the tail*: a vector enters the tail when it is put and can be found at once;
//! [`Space::step`] and [`Space::settle`] take it into the graph in the background, while searches go on. Nothing here
//! knows ids or payloads by more than a row number, a [`Key`] and a callback; nothing here knows clocks, threads or
//! files. The same calls give the same graph and the same answers on every machine.
//!
//! Reading order: `space` (the whole), `plan` (which way a search goes, and how widely), `ranking` (which of equally near
//! ones comes first), `graph` (the way through links), `codes` and `matrix` (what is compared), `kernel` (how, and the
//! only `unsafe`).
//!
//! It is a crate of its own so that it is optimised where the rest is not: in tests.

mod codes;
mod distance;
mod graph;
mod image;
mod kernel;
mod matrix;
mod nearness;
mod plan;
mod probe;
mod ranking;
mod slots;
mod space;
mod store;
mod strided;
mod sums;
#[cfg(test)]
mod tests;

pub use distance::{Distance, GraphParams, Quantization, SpaceParams};
pub use image::{Image, ImageError};
pub use plan::{Among, SearchOptions, SearchReport, Way, default_ef};
pub use probe::ProbeVector;
pub use ranking::{ScoredRow, Top};
pub use space::{IndexingProgress, IndexingStep, Space};

use serde::{Deserialize, Serialize};

/// A point's place in its collection; stays the same while the point exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u32);

/// What ranks points that are equally near, and names them in an [`Image`]: a kind and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub u8, pub u128);

/// What a search asks about the points behind the rows it has found.
pub trait PointLookup {
    /// The key of the point at `row`.
    fn key(&self, row: Row) -> Key;
    /// Whether the search wants this point. Asked only of rows near enough to matter, since a filter costs more than a
    /// distance.
    fn accepts(&mut self, row: Row) -> bool;
}
