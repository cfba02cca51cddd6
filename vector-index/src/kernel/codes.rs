//! Sums over codes: exact integers, so the order of addition is free.

use super::Block;

/// The dot product of two rows of as many blocks. At most 65,535 products of at most 127²: no sum leaves 32 bits.
pub(super) fn dot_portable(left: &[Block], right: &[Block]) -> i32 {
    let pairs = left.iter().zip(right).flat_map(|(left, right)| left.0.iter().zip(&right.0));
    pairs.map(|(left, right)| i32::from(*left) * i32::from(*right)).sum()
}

/// How many bits of two rows of as many words differ.
#[inline(always)]
pub(super) fn differing_bits_portable(left: &[u64], right: &[u64]) -> u32 {
    left.iter().zip(right).map(|(left, right)| (left ^ right).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{differing_bits, dot};
    use super::*;
    use proptest::prelude::*;

    fn blocks(codes: &[i8]) -> Vec<Block> {
        let block = |part: &[i8]| {
            let mut block = Block::ZERO;
            block.0[..part.len()].copy_from_slice(part);
            block
        };
        codes.chunks(Block::WIDTH).map(block).collect()
    }

    proptest! {
        #[test]
        fn both_paths_give_the_exact_sums(pairs in prop::collection::vec((-127i8..=127, -127i8..=127), 1..400), words in prop::collection::vec(any::<(u64, u64)>(), 0..20)) {
            let (left, right): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            let expected: i32 = pairs.iter().map(|(left, right)| i32::from(*left) * i32::from(*right)).sum();
            prop_assert_eq!(dot(&blocks(&left), &blocks(&right)), expected);
            prop_assert_eq!(dot_portable(&blocks(&left), &blocks(&right)), expected);
            let (left, right): (Vec<u64>, Vec<u64>) = words.into_iter().unzip();
            let expected = (0..left.len() * 64).filter(|bit| (left[bit / 64] ^ right[bit / 64]) >> (bit % 64) & 1 == 1).count();
            prop_assert_eq!(differing_bits(&left, &right) as usize, expected);
            prop_assert_eq!(differing_bits_portable(&left, &right) as usize, expected);
        }
    }

    #[test]
    fn the_largest_sums_do_not_overflow() {
        let most = vec![Block([127; Block::WIDTH]); 1_024];
        let least = vec![Block([-127; Block::WIDTH]); 1_024];
        assert_eq!(dot(&most, &most), 65_536 * 127 * 127);
        assert_eq!(dot(&most, &least), -65_536 * 127 * 127);
    }
}
