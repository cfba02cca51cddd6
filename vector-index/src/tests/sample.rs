//! Real embeddings: the project's sample of 5,000.

use super::*;

const SIZE: usize = 384;

fn rows(file: &str) -> Vec<Vec<f32>> {
    let path = format!("{}/../tests/data/wordnet-5k/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("the sample is part of the repository");
    let codes: Vec<f32> = bytes[128..].iter().map(|byte| f32::from(*byte as i8)).collect();
    codes.chunks(SIZE).map(<[f32]>::to_vec).collect()
}

/// Recall@10 of all sample queries at `ef`, over the rows as the space numbers them.
fn recall(space: &Space, ef: usize) -> f64 {
    let queries = rows("small-5k.queries.i8.npy");
    let options = SearchOptions { ef: Some(ef), ..SearchOptions::default() };
    let found = queries.iter().map(|query| {
        let expected = nearest(space, query, 10, true);
        let (hits, _) = find(space, query, 10, &mut accept_all(), &options);
        hits.iter().filter(|hit| expected.contains(&hit.row.0)).count()
    });
    found.sum::<usize>() as f64 / (10 * queries.len()) as f64
}

fn filled(vectors: &[Vec<f32>], quantization: Quantization) -> Space {
    let mut space = Space::new(params(Distance::Cosine, quantization, SIZE));
    for (row, vector) in vectors.iter().enumerate() {
        space.put(Row(row as u32), vector);
    }
    work_through(&mut space);
    space
}

#[test]
fn recall_is_high_and_survives_two_overwrites_of_every_point() {
    let vectors = rows("small-5k.i8.npy");
    let mut space = filled(&vectors, Quantization::Int8);
    let (fresh, memory) = (recall(&space, 64), space.memory_bytes());
    println!("recall of the sample: {fresh}, image {:?}", space.image(key).breadth);
    assert!(fresh >= 0.97, "{fresh}");
    for round in 1..=2 {
        for row in 0..vectors.len() {
            space.put(Row(row as u32), &vectors[(row + round * 1_237) % vectors.len()]);
            // As a background that has a processor to itself.
            while row % 50 == 0 && space.has_work(false) {
                space.prepare();
                let step = space.step(60);
                space.settle(step);
            }
        }
    }
    work_through(&mut space);
    let again = recall(&space, 64);
    assert!(again >= fresh - 0.01, "{fresh} {again}");
    for row in 0..vectors.len() as u32 {
        let own = space.get(Row(row)).unwrap();
        let (hits, _) = find(&space, &own, 10, &mut accept_all(), &SearchOptions::default());
        assert!(hits.iter().any(|hit| hit.row.0 == row || hit.score > 0.999_999), "{row}");
    }
    let growth = space.memory_bytes() as f64 / memory as f64;
    assert!(growth <= 1.15, "{growth}");
}

#[test]
fn every_kind_of_codes_keeps_recall() {
    let vectors = rows("small-5k.i8.npy");
    for (quantization, floor) in [(Quantization::None, 0.97), (Quantization::Int8, 0.97), (Quantization::Binary, 0.9)] {
        let found = recall(&filled(&vectors, quantization), 64);
        assert!(found >= floor, "{quantization:?} {found}");
    }
}
