//! How two vectors are compared, and what a collection's index is asked to be. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How two vectors are compared. JSON: lowercase; the capitalised names of Qdrant are understood too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// Cosine of the angle, in [-1, 1]; more is nearer. Refuses vectors of length zero.
    #[default]
    #[serde(alias = "Cosine")]
    Cosine,
    /// Dot product; more is nearer.
    #[serde(alias = "Dot")]
    Dot,
    /// Euclidean distance; less is nearer.
    #[serde(alias = "Euclid")]
    Euclid,
    /// Sum of the absolute differences; less is nearer.
    #[serde(alias = "Manhattan")]
    Manhattan,
}

impl Distance {
    /// Whether a greater score is a better one.
    pub fn more_is_nearer(self) -> bool {
        matches!(self, Self::Cosine | Self::Dot)
    }

    /// The order of two scores, the better first; total, so that sorting is the same everywhere.
    pub fn rank(self, left: f32, right: f32) -> std::cmp::Ordering {
        if self.more_is_nearer() { right.total_cmp(&left) } else { left.total_cmp(&right) }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclid => "euclid",
            Self::Manhattan => "manhattan",
        })
    }
}

/// The short codes that a search walks by; the vectors themselves are kept whole, and decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// No codes: the vectors themselves are walked.
    None,
    /// One byte a component, with a scale for each vector.
    Int8,
    /// One bit a component.
    Binary,
}

/// How a graph is built and walked (Malkov & Yashunin 2018, § 4). All of it is a matter of speed and recall, never of
/// what may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GraphParams {
    /// Links of a vector on the upper levels; twice as many on the lowest.
    pub m: usize,
    /// How many near vectors a new one is compared with before its links are chosen.
    pub ef_construct: usize,
}

impl Default for GraphParams {
    fn default() -> Self {
        Self { m: 16, ef_construct: 100 }
    }
}

/// What a [`Space`](crate::Space) holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpaceParams {
    /// Components of a vector, at least one.
    pub size: usize,
    /// How they are compared.
    pub distance: Distance,
    /// The codes beside them.
    pub quantization: Quantization,
    /// The graph over them; without one, every search looks at every vector.
    pub graph: Option<GraphParams>,
}

impl SpaceParams {
    /// The defaults for vectors of this kind: bytes as codes where the distance has any.
    pub fn new(size: usize, distance: Distance) -> Self {
        let quantization = Self::default_quantization(distance);
        Self { size, distance, quantization, graph: Some(GraphParams::default()) }
    }

    /// Bytes, where a dot product of codes says how near two vectors are; a sum of absolute differences has no such form.
    pub fn default_quantization(distance: Distance) -> Quantization {
        if distance == Distance::Manhattan { Quantization::None } else { Quantization::Int8 }
    }
}
