//! From where codes see vectors: distances do not change with it, but what a code can tell apart does.
//!
//! A code has few steps. Spread about zero, they are wasted on what all vectors share when these lie far from it, as
//! coordinates and time stamps do. So codes are taken of what is left once a centre is taken away, in units of how far
//! the vectors lie from it. Both are medians of a sample: one vector far off moves neither.

use serde::{Deserialize, Serialize};

use crate::probe::norm;
use crate::sums::sum;
use crate::{Distance, SpaceParams};

/// Vectors of the sample. Odd, so that there is one in the middle.
const SAMPLE: usize = 63;

/// A centre, and a power of two.
///
/// Invariants: as many components as the vectors have, all finite; the scale is positive and finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    centre: Vec<f32>,
    scale: f64,
}

impl Frame {
    /// The frame of vectors like these, of which there is one at least: `get` gives them by number, `count` of them.
    pub(crate) fn fit_to(params: SpaceParams, count: usize, get: impl Fn(usize) -> Vec<f32>) -> Self {
        // Samples lie evenly over all vectors, so the cost does not grow with their number.
        let taken = count.min(SAMPLE);
        let directed = |vector: Vec<f32>| {
            let length = length(params.distance, &vector);
            vector.into_iter().map(|part| (f64::from(part) / length) as f32).collect()
        };
        let sample: Vec<Vec<f32>> = (0..taken).map(|number| directed(get(number * count / taken))).collect();
        // A median each, so that one vector far off moves neither.
        let column = |place: usize| median(sample.iter().map(|vector| vector[place]).collect());
        let centre: Vec<f32> = (0..params.size).map(column).collect();
        let reach = |vector: &Vec<f32>| {
            let from_centre = |(part, centre): (&f32, &f32)| (f64::from(*part) - f64::from(*centre)).abs();
            vector.iter().zip(&centre).map(from_centre).fold(0.0, f64::max)
        };
        let mut reaches: Vec<f64> = sample.iter().map(reach).filter(|reach| *reach > 0.0).collect();
        reaches.sort_unstable_by(f64::total_cmp);
        // A power of two scales without rounding.
        let scale = reaches.get(reaches.len() / 2).map_or(1.0, |reach| power_of_two_below(1.0 / reach));
        Self { centre, scale }
    }

    /// No centre, and units as they are.
    #[cfg(test)]
    pub(crate) fn plain(size: usize) -> Self {
        Self { centre: vec![0.0; size], scale: 1.0 }
    }

    /// Whether it is one of vectors of this size.
    pub(crate) fn fits(&self, size: usize) -> bool {
        self.centre.len() == size
            && self.centre.iter().all(|part| part.is_finite())
            && self.scale.is_finite()
            && self.scale > 0.0
    }

    /// `vector` as it is seen from here: of cosines, its direction. What is too far away is infinite.
    pub(crate) fn transform(&self, distance: Distance, vector: &[f32]) -> Vec<f32> {
        let unit = 1.0 / length(distance, vector);
        let see = |(part, centre): (&f32, &f32)| ((f64::from(*part) * unit - f64::from(*centre)) * self.scale) as f32;
        vector.iter().zip(&self.centre).map(see).collect()
    }

    /// What the centre adds to the dot product of a vector that is `seen` with any other, in the units of both.
    pub(crate) fn share(&self, seen: &[f32]) -> f64 {
        sum(seen, &self.centre) * self.scale
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.centre.capacity() * size_of::<f32>()
    }
}

/// What a vector is divided by before it is seen: of cosines, its length, for its direction alone counts. A zero vector
/// has none.
fn length(distance: Distance, vector: &[f32]) -> f64 {
    match distance {
        Distance::Cosine => Some(norm(vector)).filter(|length| *length > 0.0).unwrap_or(1.0),
        _ => 1.0,
    }
}

fn median(mut values: Vec<f32>) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// By bits, so that it is the same on every machine.
fn power_of_two_below(value: f64) -> f64 {
    f64::from_bits(value.to_bits() & 0x7ff0_0000_0000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::largest;

    fn frame(distance: Distance, vectors: &[Vec<f32>]) -> Frame {
        let params = SpaceParams::new(vectors[0].len(), distance);
        Frame::fit_to(params, vectors.len(), |number| vectors[number].clone())
    }

    #[test]
    fn a_frame_stands_among_its_vectors_and_is_as_large_as_they_are() {
        let vectors: Vec<Vec<f32>> = (0..1_000).map(|number| vec![1e6 + (number % 100) as f32, 3.0]).collect();
        let frame = frame(Distance::Euclid, &vectors);
        assert!((frame.centre[0] - 1e6 - 50.0).abs() < 25.0, "{frame:?}");
        let reaches = vectors.iter().map(|vector| largest(&frame.transform(Distance::Euclid, vector)));
        assert!(reaches.fold(0.0, f32::max) < 8.0);
    }

    #[test]
    fn one_vector_far_off_moves_nothing() {
        let mut vectors: Vec<Vec<f32>> = (0..63).map(|number| vec![number as f32, 1.0]).collect();
        let before = frame(Distance::Euclid, &vectors);
        vectors[62] = vec![3e38, 3e38];
        assert_eq!(frame(Distance::Euclid, &vectors), before);
    }

    #[test]
    fn equal_vectors_and_tiny_ones_have_frames_too() {
        for value in [0.0, 1e-45, 1e-30, 3e38] {
            for distance in [Distance::Euclid, Distance::Cosine, Distance::Dot] {
                let equal = frame(distance, &vec![vec![value; 3]; 70]);
                assert!(equal.fits(3), "{value} {equal:?}");
                let spread: Vec<Vec<f32>> = (0..70).map(|number| vec![value * (number as f32 / 70.0); 3]).collect();
                let spread = frame(distance, &spread);
                assert!(spread.fits(3), "{value} {spread:?}");
            }
        }
    }
}
