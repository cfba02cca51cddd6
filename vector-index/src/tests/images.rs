//! Graphs written down and read back.

use super::*;
use proptest::prelude::*;

fn image_of(pair: &Pair) -> Image {
    pair.space.image(key)
}

fn built(seed: u64, points: u32) -> Pair {
    let (mut pair, mut numbers) = (Pair::new(params(Distance::Cosine, Quantization::Int8, 40)), Numbers(seed));
    for row in 0..points {
        pair.put(row, numbers.vector(40));
    }
    work_through(&mut pair.space);
    pair
}

/// A start: the image first, then every point.
fn restart(image: &Image, model: &BTreeMap<u32, Vec<f32>>) -> Pair {
    let mut space = Space::from_image(image.params, image).unwrap();
    // Rows are given out anew, in another order.
    for (row, (old, vector)) in model.iter().rev().enumerate() {
        space.restore(Row(row as u32), key(Row(*old)), vector);
    }
    space.restored();
    let model = model.values().rev().enumerate().map(|(row, vector)| (row as u32, vector.clone()));
    Pair { space, model: model.collect() }
}

#[test]
fn a_graph_comes_back_whole() {
    let pair = built(1, 5_000);
    let image = Image::decode(&image_of(&pair).encode()).unwrap();
    assert_eq!(image.len(), 5_000);
    let again = restart(&image, &pair.model);
    assert_eq!(again.space.progress(), pair.space.progress());
    assert!(!again.space.has_work(false) || again.space.progress().tail == 0);
    let mut numbers = Numbers(9);
    for _ in 0..50 {
        let target = numbers.vector(40);
        // Rows, and with them the order of those that are equally near, are others now.
        let scores = |space| {
            let (hits, report) = find(space, &target, 10, &mut accept_all(), &SearchOptions::default());
            (hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), report)
        };
        assert_eq!(scores(&pair.space), scores(&again.space));
    }
}

#[test]
fn what_changed_since_is_taken_in_again() {
    let mut pair = built(2, 5_000);
    let image = image_of(&pair);
    let mut numbers = Numbers(4);
    for row in 0..1_000 {
        pair.put(row, numbers.vector(40));
    }
    for row in 1_000..1_500 {
        pair.remove(row);
    }
    for row in 5_000..5_300 {
        pair.put(row, numbers.vector(40));
    }
    let mut again = restart(&image, &pair.model);
    assert_eq!(again.space.progress(), IndexingProgress { linked: 3_500, tail: 1_300, dead: 1_500 });
    again.recall(&mut numbers, 10);
    work_through(&mut again.space);
    assert_eq!(again.space.progress(), IndexingProgress { linked: 4_800, tail: 0, dead: 0 });
    assert!(again.recall(&mut numbers, 10) > 0.95);
}

#[test]
fn an_image_of_other_settings_is_refused() {
    let pair = built(3, 2_500);
    let other = SpaceParams { distance: Distance::Dot, ..pair.space.params() };
    assert!(Space::from_image(other, &image_of(&pair)).is_err());
}

#[test]
fn the_same_changes_give_the_same_graph() {
    let image = |seed| image_of(&built(seed, 3_000)).encode();
    assert_eq!(image(5), image(5));
    assert_ne!(image(5), image(6));
}

proptest! {
    #[test]
    fn damage_is_found(bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let bytes = BYTES.get_or_init(|| image_of(&built(6, 2_100)).encode());
        prop_assert!(Image::decode(bytes).is_ok());
        let mut flipped = bytes.clone();
        let bit = bit.index(bytes.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Image::decode(&flipped).is_err());
        prop_assert!(Image::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }
}
