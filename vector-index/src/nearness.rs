//! How near vectors are while a graph is walked or built: by their codes, or, where a collection has none, by the
//! vectors themselves. More is nearer, whatever the distance.

use crate::codes::{CodedProbe, VectorCodes};
use crate::probe::ProbeVector;
use crate::store::Store;

/// Stored vectors as a graph sees them: pairs that are more or less near.
pub(crate) trait Pairs {
    /// Something to compare stored vectors with.
    type Target;
    /// The stored vector of `slot`, to compare others with.
    fn target(&self, slot: u32) -> Self::Target;
    /// How near `slot` is to `target`.
    fn nearness(&self, target: &Self::Target, slot: u32) -> f32;
    /// Asks for what a comparison with `slot` reads.
    fn prefetch(&self, slot: u32);
}

/// By codes.
pub(crate) struct ByCodes<'a>(pub(crate) &'a VectorCodes);

/// What codes are compared with: a search's vector, or a stored one.
pub(crate) enum CodeTarget {
    Probe(CodedProbe),
    Slot(u32),
}

impl Pairs for ByCodes<'_> {
    type Target = CodeTarget;

    fn target(&self, slot: u32) -> CodeTarget {
        CodeTarget::Slot(slot)
    }

    #[inline]
    fn nearness(&self, target: &CodeTarget, slot: u32) -> f32 {
        match target {
            CodeTarget::Probe(probe) => self.0.nearness_to(probe, slot as usize),
            CodeTarget::Slot(other) => self.0.nearness_between(*other as usize, slot as usize),
        }
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }
}

/// By the vectors themselves.
pub(crate) struct ByVectors<'a>(pub(crate) &'a Store);

impl Pairs for ByVectors<'_> {
    type Target = ProbeVector;

    fn target(&self, slot: u32) -> ProbeVector {
        self.0.probe_of(slot)
    }

    fn nearness(&self, target: &ProbeVector, slot: u32) -> f32 {
        self.0.nearness(target, slot)
    }

    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot);
    }
}
