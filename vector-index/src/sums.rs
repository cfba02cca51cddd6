//! Sums over one vector's components, in several parts side by side, as the machine adds fastest: in one part each
//! addition waits for the one before. The parts and their order are fixed, so every machine gets the same bits.

/// Parts of a sum.
const PARTS: usize = 8;

/// The sum of the products of components, in f64, where none of finite f32 overflows.
pub(crate) fn sum(left: &[f32], right: &[f32]) -> f64 {
    let mut parts = [0.0; PARTS];
    let mut add = |left: &[f32], right: &[f32]| {
        for (part, (left, right)) in parts.iter_mut().zip(left.iter().zip(right)) {
            *part += f64::from(*left) * f64::from(*right);
        }
    };
    // Of chunks the compiler knows the length, and adds all parts of one at once.
    let ((lefts, left), (rights, right)) = (left.as_chunks::<PARTS>(), right.as_chunks::<PARTS>());
    lefts.iter().zip(rights).for_each(|(left, right)| add(left, right));
    add(left, right);
    parts.iter().sum()
}

/// The square of the length, in f64, where only zeros have length zero.
pub(crate) fn squares(vector: &[f32]) -> f64 {
    sum(vector, vector)
}

/// The largest component, without its sign.
pub(crate) fn largest(vector: &[f32]) -> f32 {
    let greater = |most: f32, part: f32| if part > most { part } else { most };
    let (chunks, rest) = vector.as_chunks::<PARTS>();
    let mut most = [0.0_f32; PARTS];
    for parts in chunks {
        most.iter_mut().zip(parts).for_each(|(most, part)| *most = greater(*most, part.abs()));
    }
    most.iter().chain(rest).fold(0.0, |most, part| greater(most, part.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_counts_once() {
        for size in 0..40 {
            let vector: Vec<f32> = (0..size).map(|place| place as f32 - 19.5).collect();
            let other: Vec<f32> = (0..size).map(|place| (place * place) as f32).collect();
            let expected: f64 = vector.iter().zip(&other).map(|(left, right)| f64::from(left * right)).sum();
            assert_eq!(sum(&vector, &other), expected, "{size}");
            assert_eq!(largest(&vector), vector.iter().fold(0.0, |most: f32, part| most.max(part.abs())), "{size}");
        }
        assert!(squares(&[f32::MAX; 9]).is_finite() && squares(&[1e-45]) > 0.0);
        assert_eq!(largest(&[1.0, f32::NEG_INFINITY]), f32::INFINITY);
    }
}
