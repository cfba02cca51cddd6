//! The vector a search starts from, made ready once.

use crate::Distance;
use crate::kernel::{FloatLane, Metric, VectorRows, compare};
use crate::sums::squares;

/// A shorter difference than this has squares that f32 holds in part, or not at all.
const SHORT: f32 = 1e-14;

/// A search's vector, its lanes filled, of length one if the distance is cosine.
#[derive(Debug)]
pub struct ProbeVector {
    distance: Distance,
    lanes: Vec<FloatLane>,
}

impl ProbeVector {
    /// Makes `vector` ready; it is finite, and not all zeros if the distance is cosine.
    pub fn new(distance: Distance, vector: &[f32]) -> Self {
        let mut lanes = vec![FloatLane::ZERO; FloatLane::count(vector.len())];
        if distance == Distance::Cosine {
            let norm = norm(vector);
            let unit: Vec<f32> = vector.iter().map(|part| (f64::from(*part) / norm) as f32).collect();
            FloatLane::fill(&mut lanes, &unit);
        } else {
            FloatLane::fill(&mut lanes, vector);
        }
        Self { distance, lanes }
    }

    /// The scores of rows that lie side by side; `inverse_norms` of the same rows if the distance is cosine. Always
    /// finite, and never the negative zero, which JSON would show.
    pub(crate) fn score(&self, rows: VectorRows<'_>, inverse_norms: &[f32], scores: &mut [f32]) {
        compare(metric(self.distance), &self.lanes, rows, scores);
        match self.distance {
            Distance::Cosine => scores.iter_mut().zip(inverse_norms).for_each(|(score, norm)| *score *= norm),
            Distance::Euclid => scores.iter_mut().for_each(|score| *score = score.sqrt()),
            Distance::Dot | Distance::Manhattan => {}
        }
        // Components near the ends of what f32 holds overflow its sums: then, and only then, f64.
        if scores.iter().fold(0.0, |sum, score| sum + score * 0.0) != 0.0_f32 {
            self.rescore(rows, scores, |score| !score.is_finite());
        }
        // Squares of very short differences are lost in f32, too.
        if self.distance == Distance::Euclid && scores.iter().any(|score| *score < SHORT) {
            self.rescore(rows, scores, |score| score < SHORT);
        }
        let (least, most) = if self.distance == Distance::Cosine { (-1.0, 1.0) } else { (f32::MIN, f32::MAX) };
        scores.iter_mut().for_each(|score| *score = score.clamp(least, most) + 0.0);
    }

    /// Scores anew, in f64, where `is_lost` says that f32 has lost the score.
    #[cold]
    fn rescore(&self, rows: VectorRows<'_>, scores: &mut [f32], is_lost: impl Fn(f32) -> bool) {
        let lanes = self.lanes.len();
        for (place, score) in scores.iter_mut().enumerate().filter(|(_, score)| is_lost(**score)) {
            *score = self.score_wide(&rows.part(place * lanes, (place + 1) * lanes).widened());
        }
    }

    fn score_wide(&self, row: &[FloatLane]) -> f32 {
        let components = |lanes: &[FloatLane]| lanes.iter().flat_map(|lane| lane.0).map(f64::from).collect::<Vec<_>>();
        let (probe, row) = (components(&self.lanes), components(row));
        let pairs = || probe.iter().zip(&row);
        let dot = || pairs().map(|(left, right)| left * right).sum::<f64>();
        let score = match self.distance {
            Distance::Cosine => dot() / row.iter().map(|part| part * part).sum::<f64>().sqrt(),
            Distance::Dot => dot(),
            Distance::Euclid => pairs().map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt(),
            Distance::Manhattan => pairs().map(|(left, right)| (left - right).abs()).sum(),
        };
        score.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }
}

/// The sum that a distance is made of.
fn metric(distance: Distance) -> Metric {
    match distance {
        Distance::Cosine | Distance::Dot => Metric::Dot,
        Distance::Euclid => Metric::Squares,
        Distance::Manhattan => Metric::Absolutes,
    }
}

/// One over the length of `vector`; infinite where f32 cannot hold it.
pub(crate) fn inverse_norm(vector: &[f32]) -> f32 {
    (1.0 / norm(vector)) as f32
}

/// The length, in f64, where no vector of finite f32 overflows and only zeros have length zero.
pub(crate) fn norm(vector: &[f32]) -> f64 {
    squares(vector).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(distance: Distance, left: &[f32], right: &[f32]) -> f32 {
        let mut row = vec![FloatLane::ZERO; FloatLane::count(right.len())];
        FloatLane::fill(&mut row, right);
        let mut scores = [0.0];
        ProbeVector::new(distance, left).score(VectorRows::Whole(&row), &[inverse_norm(right)], &mut scores);
        scores[0]
    }

    #[test]
    fn scores_are_what_their_names_say() {
        assert_eq!(score(Distance::Cosine, &[3.0, 0.0], &[0.5, 0.0]), 1.0);
        assert_eq!(score(Distance::Dot, &[1.0, 2.0], &[3.0, 4.0]), 11.0);
        assert_eq!(score(Distance::Euclid, &[0.0, 0.0], &[3.0, 4.0]), 5.0);
        assert_eq!(score(Distance::Manhattan, &[1.0, 1.0], &[-1.0, 2.0]), 3.0);
    }

    #[test]
    fn extreme_components_give_finite_scores() {
        for big in [f32::MAX, 1e30, 1e-30, f32::MIN_POSITIVE, 1e-45] {
            assert!((score(Distance::Cosine, &[big, big], &[big, big]) - 1.0).abs() < 1e-6, "{big}");
            assert!((score(Distance::Cosine, &[big, big], &[-big, -big]) + 1.0).abs() < 1e-6, "{big}");
            for distance in [Distance::Dot, Distance::Euclid, Distance::Manhattan] {
                assert!(score(distance, &[big, big], &[-big, -big]).is_finite(), "{distance} {big}");
            }
        }
        let apart = score(Distance::Euclid, &[1e-30, 1e-30], &[5e-30, 1e-30]);
        assert!((apart / 4e-30 - 1.0).abs() < 1e-6, "{apart}");
        assert_eq!(score(Distance::Dot, &[f32::MAX, f32::MAX], &[f32::MAX, -f32::MAX]), 0.0);
        assert_eq!(score(Distance::Dot, &[0.0], &[-1.0]).to_bits(), 0, "no negative zero");
    }
}
