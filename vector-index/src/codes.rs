//! Short codes of vectors, by slot: what a walk reads instead of the vectors themselves, since it is bound by the bytes
//! it reads.
//!
//! A code gives an estimate of a dot product; each distance that has codes is a dot product and a term of each vector
//! by itself. Estimates are only ever compared with one another: the vectors decide in the end. Int8 is symmetric with
//! one scale for each vector; binary keeps the signs, whose share of differing bits estimates the angle (Charikar 2002,
//! § 3).

use crate::kernel::{Block, differing_bits, dot, prefetch};
use crate::probe::norm;
use crate::strided::Strided;
use crate::{Distance, Quantization, SpaceParams};

/// Added to a number below 2^22, it leaves no bit below the units.
const WHOLE: f32 = 12_582_912.0;
/// The greatest int8 code.
const MOST: f32 = 127.0;

#[derive(Debug)]
pub(crate) struct Codes {
    distance: Distance,
    size: usize,
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
    /// Minus the square of its length, where distances are lengths of differences.
    offset: f32,
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

impl Codes {
    /// For these vectors; none where they are walked themselves.
    pub(crate) fn new(params: SpaceParams) -> Option<Self> {
        let rows = match params.quantization {
            Quantization::None => return None,
            Quantization::Int8 => CodeRows::Int8(Strided::new(Block::count(params.size))),
            Quantization::Binary => CodeRows::Binary(Strided::new(params.size.div_ceil(64).max(1))),
        };
        Some(Self { distance: params.distance, size: params.size, rows, terms: Vec::new() })
    }

    /// Sets the code of `slot`, which is an old one or the next.
    pub(crate) fn put(&mut self, slot: usize, vector: &[f32]) {
        let (code, term) = self.encode(vector);
        if slot == self.terms.len() {
            self.terms.push(term);
            match &mut self.rows {
                CodeRows::Int8(rows) => rows.push(|| Block::ZERO),
                CodeRows::Binary(rows) => rows.push(|| 0),
            }
        }
        self.terms[slot] = term;
        match (&mut self.rows, code) {
            (CodeRows::Int8(rows), Code::Int8(code)) => rows.row_mut(slot).copy_from_slice(&code),
            (CodeRows::Binary(rows), Code::Binary(code)) => rows.row_mut(slot).copy_from_slice(&code),
            _ => unreachable!("`encode` makes the kind of code that `rows` holds"),
        }
    }

    /// Makes room for `slots` codes of nothing, of none yet: they are near nothing.
    pub(crate) fn reserve(&mut self, slots: usize) {
        self.terms.resize(slots, Term { factor: 0.0, offset: 0.0 });
        for _ in 0..slots {
            match &mut self.rows {
                CodeRows::Int8(rows) => rows.push(|| Block::ZERO),
                CodeRows::Binary(rows) => rows.push(|| 0),
            }
        }
    }

    /// Makes `vector` ready to be compared with.
    pub(crate) fn probe(&self, vector: &[f32]) -> CodedProbe {
        let (code, term) = self.encode(vector);
        CodedProbe { code, term }
    }

    /// How near two stored vectors are, as far as codes tell; more is nearer.
    #[inline]
    pub(crate) fn between(&self, left: usize, right: usize) -> f32 {
        let sum = match &self.rows {
            CodeRows::Int8(rows) => dot(rows.row(left), rows.row(right)) as f32,
            CodeRows::Binary(rows) => self.angle(differing_bits(rows.row(left), rows.row(right))),
        };
        self.nearness(sum, self.terms[left], self.terms[right])
    }

    /// How near `slot` is to the probe, as far as codes tell; more is nearer.
    #[inline]
    pub(crate) fn to(&self, probe: &CodedProbe, slot: usize) -> f32 {
        let sum = match (&self.rows, &probe.code) {
            (CodeRows::Int8(rows), Code::Int8(code)) => dot(code, rows.row(slot)) as f32,
            (CodeRows::Binary(rows), Code::Binary(code)) => self.angle(differing_bits(code, rows.row(slot))),
            _ => unreachable!("`encode` makes the kind of code that `rows` holds"),
        };
        self.nearness(sum, probe.term, self.terms[slot])
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

    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = match &self.rows {
            CodeRows::Int8(rows) => rows.memory_bytes(),
            CodeRows::Binary(rows) => rows.memory_bytes(),
        };
        rows + self.terms.capacity() * size_of::<Term>()
    }

    #[inline]
    fn nearness(&self, sum: f32, left: Term, right: Term) -> f32 {
        let product = sum * (left.factor * right.factor);
        if self.distance == Distance::Euclid { 2.0 * product + (left.offset + right.offset) } else { product }
    }

    /// The cosine that so many differing signs speak of.
    #[inline]
    fn angle(&self, differing: u32) -> f32 {
        (std::f32::consts::PI * differing as f32 / self.size as f32).cos()
    }

    fn encode(&self, vector: &[f32]) -> (Code, Term) {
        let length = norm(vector);
        let (code, unit) = match &self.rows {
            CodeRows::Int8(_) => bytes(vector),
            // The signs say nothing of the length, so the factor says all.
            CodeRows::Binary(_) => (bits(vector), length),
        };
        let factor = if self.distance == Distance::Cosine { unit / length } else { unit };
        let offset = if self.distance == Distance::Euclid { -(length * length) as f32 } else { 0.0 };
        (code, Term { factor: factor as f32, offset })
    }
}

/// Codes of the components, the largest of which is [`MOST`], and what one of the code is worth.
fn bytes(vector: &[f32]) -> (Code, f64) {
    let largest = vector.iter().fold(0.0_f32, |most, part| most.max(part.abs()));
    // Of a vector that is all zeros, or nearly, nothing is left.
    let scale = if largest < f32::MIN_POSITIVE { 0.0 } else { MOST / largest };
    let mut code = vec![Block::ZERO; Block::count(vector.len())];
    for (block, parts) in code.iter_mut().zip(vector.chunks(Block::WIDTH)) {
        for (code, part) in block.0.iter_mut().zip(parts) {
            // Rounds, ties to even, as adding and taking away what leaves no place for halves does: faster than a call.
            *code = (part * scale + WHOLE - WHOLE) as i8;
        }
    }
    (Code::Int8(code), f64::from(largest) / f64::from(MOST))
}

fn bits(vector: &[f32]) -> Code {
    let word = |parts: &[f32]| {
        parts.iter().enumerate().fold(0, |word, (bit, part)| word | u64::from(part.is_sign_negative()) << bit)
    };
    Code::Binary(vector.chunks(64).map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(size: usize, distance: Distance, quantization: Quantization) -> Codes {
        Codes::new(SpaceParams { size, distance, quantization, graph: None }).unwrap()
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
            (Distance::Cosine, dot / (squares(&left) * squares(&right)).sqrt()),
            (Distance::Euclid, -difference),
        ] {
            let mut codes = codes(100, distance, Quantization::Int8);
            codes.put(0, &right);
            codes.put(1, &left);
            let found = codes.to(&codes.probe(&left), 0);
            assert!((found - expected).abs() < 0.02 * expected.abs().max(1.0), "{distance}: {found} {expected}");
            assert_eq!(found, codes.between(1, 0));
            assert_eq!(found, codes.between(0, 1));
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
            let probe = codes.probe(&vector);
            assert!(codes.to(&probe, 0) > codes.to(&probe, 1), "{distance}");
        }
    }

    #[test]
    fn zeros_have_codes_too() {
        let mut codes = codes(3, Distance::Euclid, Quantization::Int8);
        codes.put(0, &[0.0; 3]);
        codes.put(1, &[1e-45; 3]);
        assert_eq!(codes.to(&codes.probe(&[0.0; 3]), 0), 0.0);
        assert!(codes.to(&codes.probe(&[1.0; 3]), 1).is_finite());
    }
}
