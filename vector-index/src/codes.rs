//! Short codes of vectors, by slot: what a walk reads instead of the vectors themselves, since it is bound by the bytes
//! it reads.
//!
//! A code is taken of a vector as a [`Frame`] sees it. It gives an estimate of a dot product; each distance that has
//! codes is a dot product and a term of each vector by itself, and cosines are ordered as the distances of unit vectors
//! are. Estimates are only ever compared with one another: the vectors decide in the end. Int8 is symmetric with one
//! scale for each vector; binary keeps the signs, whose share of differing bits estimates the angle (Charikar 2002, § 3).
//!
//! It must not know how good its estimates are: who uses them measures that.

pub(crate) mod frame;

use crate::codes::frame::Frame;
use crate::kernel::{Block, differing_bits, dot, prefetch};
use crate::plan::COARSE;
use crate::strided::Strided;
use crate::sums::{largest, squares};
use crate::{Distance, Quantization, SpaceParams};

/// Added to a number below 2^22, it leaves no bit below the units, and the lowest bits are those of the whole number.
const WHOLE: f32 = 12_582_912.0;
/// The greatest int8 code.
const MOST: f32 = 127.0;
/// Vectors of at most so many components are read as fast as their codes would be.
const SHORT: usize = 32;
/// A component greater than this, as the frame sees it, makes sums that 32 bits do not hold.
const WILD: f32 = 1e15;
/// One less than this counts as none: nothing of its square is left.
const NOTHING: f32 = 1e-15;

#[derive(Debug)]
pub(crate) struct VectorCodes {
    distance: Distance,
    size: usize,
    frame: Frame,
    rows: CodeRows,
    /// By slot.
    terms: Vec<Term>,
}

#[derive(Debug)]
enum CodeRows {
    Int8(Strided<Block>),
    Binary(Strided<u64>),
}

/// What a vector adds to an estimate by itself.
#[derive(Debug, Clone, Copy)]
struct Term {
    /// Times the codes' sum.
    factor: f32,
    /// Of lengths of differences, minus the square of its own length; of dot products, what the frame's centre adds.
    offset: f32,
}

impl Term {
    /// Of a vector that codes cannot stand for: near nothing.
    const FAR: Self = Self { factor: 0.0, offset: f32::NEG_INFINITY };
}

/// A vector's code, by itself.
#[derive(Debug)]
pub(crate) enum Code {
    Int8(Vec<Block>),
    Binary(Vec<u64>),
}

/// What the vectors in `codes` are compared with.
#[derive(Debug)]
pub(crate) struct CodedProbe {
    code: Code,
    term: Term,
}

impl VectorCodes {
    /// Whether vectors of this kind have codes.
    pub(crate) fn are_wanted(params: SpaceParams) -> bool {
        params.quantization != Quantization::None && params.size > SHORT
    }

    /// For vectors of this kind, which have codes, as `frame` sees them.
    pub(crate) fn new(params: SpaceParams, frame: Frame) -> Self {
        debug_assert!(frame.fits(params.size));
        let rows = match params.quantization {
            Quantization::Binary => CodeRows::Binary(Strided::new(params.size.div_ceil(64))),
            Quantization::Int8 | Quantization::None => CodeRows::Int8(Strided::new(Block::count(params.size))),
        };
        Self { distance: params.distance, size: params.size, frame, rows, terms: Vec::new() }
    }

    /// Sets the code of `slot`, which is an old one or the next. Returns `false` if codes cannot stand for this vector:
    /// by its code it is near nothing.
    pub(crate) fn put(&mut self, slot: usize, vector: &[f32]) -> bool {
        // A new slot has room first, so that a slot always has a code.
        let (code, term) = self.encode(vector);
        if slot == self.terms.len() {
            self.push_nothing();
        }
        self.terms[slot] = term;
        match (&mut self.rows, code) {
            (CodeRows::Int8(rows), Code::Int8(code)) => rows.row_mut(slot).copy_from_slice(&code),
            (CodeRows::Binary(rows), Code::Binary(code)) => rows.row_mut(slot).copy_from_slice(&code),
            _ => unreachable!("`encode` makes the kind of code that `rows` holds"),
        }
        // Without a finite offset the code stands for nothing: the caller compares the vector itself.
        term.offset.is_finite()
    }

    /// Makes room for `slots` codes of nothing, of none yet: they are near nothing.
    pub(crate) fn reserve(&mut self, slots: usize) {
        (0..slots).for_each(|_| self.push_nothing());
    }

    fn push_nothing(&mut self) {
        self.terms.push(Term::FAR);
        match &mut self.rows {
            CodeRows::Int8(rows) => rows.push(|| Block::ZERO),
            CodeRows::Binary(rows) => rows.push(|| 0),
        }
    }

    /// From where vectors are seen.
    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Makes `vector` ready to be compared with; `None` if codes cannot stand for it.
    pub(crate) fn probe(&self, vector: &[f32]) -> Option<CodedProbe> {
        if self.distance == Distance::Dot {
            // The centre adds the same to every comparison, and the length scales all alike: the order stays.
            let most = largest(vector);
            let unit: Vec<f32> = vector.iter().map(|part| if most > 0.0 { part / most } else { 0.0 }).collect();
            let (code, factor) = self.code(&unit, largest(&unit));
            return Some(CodedProbe { code, term: Term { factor, offset: 0.0 } });
        }
        let (code, term) = self.encode(vector);
        term.offset.is_finite().then_some(CodedProbe { code, term })
    }

    /// How near two stored vectors are, as far as codes tell; more is nearer.
    #[inline]
    pub(crate) fn nearness_between(&self, left: usize, right: usize) -> f32 {
        let sum = match &self.rows {
            CodeRows::Int8(rows) => dot(rows.row(left), rows.row(right)) as f32,
            CodeRows::Binary(rows) => self.angle(differing_bits(rows.row(left), rows.row(right))),
        };
        self.nearness(sum, self.terms[left], self.terms[right])
    }

    /// How near `slot` is to the probe, as far as codes tell; more is nearer.
    #[inline]
    pub(crate) fn nearness_to(&self, probe: &CodedProbe, slot: usize) -> f32 {
        let sum = match (&self.rows, &probe.code) {
            (CodeRows::Int8(rows), Code::Int8(code)) => dot(code, rows.row(slot)) as f32,
            (CodeRows::Binary(rows), Code::Binary(code)) => self.angle(differing_bits(code, rows.row(slot))),
            _ => unreachable!("`encode` makes the kind of code that `rows` holds"),
        };
        let term = self.terms[slot];
        if self.distance == Distance::Dot {
            // The probe is whole, so the centre's share is in the sum of each alike.
            return sum * (probe.term.factor * term.factor);
        }
        self.nearness(sum, probe.term, term)
    }

    /// Asks for the code of `slot` to be brought near.
    #[inline]
    pub(crate) fn prefetch(&self, slot: usize) {
        prefetch(&self.terms[slot..slot + 1]);
        match &self.rows {
            CodeRows::Int8(rows) => prefetch(rows.row(slot)),
            CodeRows::Binary(rows) => prefetch(rows.row(slot)),
        }
    }

    /// Whether they say so little that a graph cannot be laid out by them.
    pub(crate) fn is_coarse(&self) -> bool {
        matches!(self.rows, CodeRows::Binary(_))
    }

    /// How many times more of the best by code are looked at than where codes say much.
    pub(crate) fn spare(&self) -> usize {
        if self.is_coarse() { COARSE } else { 1 }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = match &self.rows {
            CodeRows::Int8(rows) => rows.memory_bytes(),
            CodeRows::Binary(rows) => rows.memory_bytes(),
        };
        rows + self.terms.capacity() * size_of::<Term>() + self.frame.memory_bytes()
    }

    #[inline]
    fn nearness(&self, sum: f32, left: Term, right: Term) -> f32 {
        let product = sum * (left.factor * right.factor);
        let product = if self.distance == Distance::Dot { product } else { 2.0 * product };
        product + (left.offset + right.offset)
    }

    /// The cosine that so many differing signs speak of.
    #[inline]
    fn angle(&self, differing: u32) -> f32 {
        (std::f32::consts::PI * differing as f32 / self.size as f32).cos()
    }

    fn encode(&self, vector: &[f32]) -> (Code, Term) {
        // A vector whose sums would leave 32 bits is near nothing by its code.
        let seen = self.frame.transform(self.distance, vector);
        let largest = largest(&seen);
        let (code, factor) = self.code(&seen, largest);
        if largest > WILD {
            return (code, Term::FAR);
        }
        let offset = match self.distance {
            Distance::Dot => self.frame.share(&seen),
            _ => -squares(&seen),
        };
        (code, Term { factor, offset: offset as f32 })
    }

    /// The code of what is seen, whose largest component this is, and what one of it is worth.
    fn code(&self, seen: &[f32], largest: f32) -> (Code, f32) {
        match &self.rows {
            CodeRows::Int8(_) => bytes(seen, largest),
            // The signs say nothing of the length, so the factor says all.
            CodeRows::Binary(_) => (bits(seen), squares(seen).sqrt() as f32),
        }
    }
}

/// Codes of the components, the largest of which is [`MOST`], and what one of the code is worth.
fn bytes(seen: &[f32], largest: f32) -> (Code, f32) {
    // Of a vector that is all zeros, or nearly, nothing is left.
    let scale = if largest < NOTHING { 0.0 } else { MOST / largest };
    let mut code = vec![Block::ZERO; Block::count(seen.len())];
    for (block, parts) in code.iter_mut().zip(seen.chunks(Block::WIDTH)) {
        for (code, part) in block.0.iter_mut().zip(parts) {
            // Adding a number so large that no halves fit rounds ties to even, faster than a call does.
            *code = (part * scale + WHOLE).to_bits() as i8;
        }
    }
    (Code::Int8(code), if scale == 0.0 { 0.0 } else { largest / MOST })
}

fn bits(seen: &[f32]) -> Code {
    let word = |parts: &[f32]| {
        parts.iter().enumerate().fold(0, |word, (bit, part)| word | u64::from(part.is_sign_negative()) << bit)
    };
    Code::Binary(seen.chunks(64).map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(size: usize, distance: Distance, quantization: Quantization) -> VectorCodes {
        VectorCodes::new(SpaceParams { size, distance, quantization, graph: None }, Frame::plain(size))
    }

    #[test]
    fn int8_estimates_are_near_what_they_stand_for() {
        let left: Vec<f32> = (0..100).map(|part| (part as f32 * 0.7).sin()).collect();
        let right: Vec<f32> = (0..100).map(|part| (part as f32 * 0.9).cos() * 3.0).collect();
        let dot: f32 = left.iter().zip(&right).map(|(left, right)| left * right).sum();
        let squares = |vector: &[f32]| vector.iter().map(|part| part * part).sum::<f32>();
        let difference: f32 = left.iter().zip(&right).map(|(left, right)| (left - right).powi(2)).sum();
        for (distance, expected) in [
            (Distance::Dot, dot),
            // As far as unit vectors are from one another.
            (Distance::Cosine, 2.0 * dot / (squares(&left) * squares(&right)).sqrt() - 2.0),
            (Distance::Euclid, -difference),
        ] {
            let mut codes = codes(100, distance, Quantization::Int8);
            codes.put(0, &right);
            codes.put(1, &left);
            let found = codes.nearness_between(0, 1);
            assert!((found - expected).abs() < 0.02 * expected.abs().max(1.0), "{distance}: {found} {expected}");
            assert_eq!(found, codes.nearness_between(1, 0));
            let probe = codes.probe(&left).unwrap();
            if distance == Distance::Dot {
                // A search's vector has the length that suits the codes: its estimates keep their order, not their size.
                let (to_right, to_itself) = (codes.nearness_to(&probe, 0), codes.nearness_to(&probe, 1));
                assert!((to_right * codes.nearness_between(1, 1) / to_itself - found).abs() < 0.02);
            } else {
                assert_eq!(found, codes.nearness_to(&probe, 0));
            }
        }
    }

    #[test]
    fn binary_tells_like_from_unlike() {
        let vector: Vec<f32> = (0..128).map(|part| (part as f32 * 1.3).sin()).collect();
        let opposite: Vec<f32> = vector.iter().map(|part| -part).collect();
        for distance in [Distance::Dot, Distance::Cosine, Distance::Euclid] {
            let mut codes = codes(128, distance, Quantization::Binary);
            codes.put(0, &vector);
            codes.put(1, &opposite);
            let probe = codes.probe(&vector).unwrap();
            assert!(codes.nearness_to(&probe, 0) > codes.nearness_to(&probe, 1), "{distance}");
        }
    }

    #[test]
    fn zeros_have_codes_too() {
        let mut codes = codes(3, Distance::Euclid, Quantization::Int8);
        assert!(codes.put(0, &[0.0; 3]) && codes.put(1, &[1e-45; 3]));
        assert_eq!(codes.nearness_to(&codes.probe(&[0.0; 3]).unwrap(), 0), 0.0);
        assert!(codes.nearness_to(&codes.probe(&[1.0; 3]).unwrap(), 1).is_finite());
    }

    #[test]
    fn what_codes_cannot_stand_for_is_near_nothing() {
        for distance in [Distance::Dot, Distance::Cosine, Distance::Euclid] {
            for big in [f32::MAX, f32::MIN, 1e-45] {
                let mut codes = codes(3, distance, Quantization::Int8);
                assert!(codes.put(0, &[1.0, 2.0, 3.0]));
                let stands = codes.put(1, &[big, big, 1e-45]);
                assert_eq!(stands, distance == Distance::Cosine || big.abs() < 1.0, "{distance} {big}");
                if !stands {
                    assert_eq!(codes.nearness_between(0, 1), f32::NEG_INFINITY);
                    assert_eq!(codes.nearness_between(1, 1), f32::NEG_INFINITY);
                }
                assert!(!codes.nearness_between(0, 1).is_nan());
            }
        }
    }

    #[test]
    fn what_all_share_takes_no_step_from_a_code() {
        // Two hundred around a point far away, as far from one another as they are: without the centre, all alike.
        let vectors: Vec<Vec<f32>> = (0..200_u32)
            .map(|number| (0..40).map(|place| 1e4 + ((number * 37 + place * 101) % 97) as f32 * 0.01).collect())
            .collect();
        for distance in [Distance::Dot, Distance::Cosine, Distance::Euclid] {
            let params = SpaceParams { quantization: Quantization::Int8, ..SpaceParams::new(40, distance) };
            let frame = Frame::fit_to(params, vectors.len(), |number| vectors[number].clone());
            let mut codes = VectorCodes::new(params, frame);
            for (slot, vector) in vectors.iter().enumerate() {
                assert!(codes.put(slot, vector));
            }
            let exact = |left: &[f32], right: &[f32]| {
                let (mut dot, mut squares) = (0.0, 0.0);
                for (left, right) in left.iter().zip(right) {
                    let (left, right) = (f64::from(*left), f64::from(*right));
                    (dot, squares) = (dot + left * right, squares - (left - right).powi(2));
                }
                match distance {
                    Distance::Cosine => dot / crate::probe::norm(left) / crate::probe::norm(right),
                    Distance::Dot => dot,
                    _ => squares,
                }
            };
            let by = |score: &dyn Fn(usize) -> f64| {
                let mut order: Vec<usize> = (0..200).collect();
                order.sort_by(|left, right| score(*right).total_cmp(&score(*left)));
                order
            };
            let truth = by(&|slot| exact(&vectors[0], &vectors[slot]));
            let probe = codes.probe(&vectors[0]).unwrap();
            let found = by(&|slot| f64::from(codes.nearness_to(&probe, slot)));
            assert!(truth[..10].iter().all(|slot| found[..30].contains(slot)), "{distance} {truth:?} {found:?}");
        }
    }
}
