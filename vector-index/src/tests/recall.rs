//! A matrix of data sets, each as ill-suited to codes, or to graphs, as real data can be: what a search at the defaults
//! finds of the nearest. Run with `--nocapture` to see the table.

use super::*;

/// A row of the matrix: a name, components of a vector, and how one is drawn.
struct Data {
    name: &'static str,
    size: usize,
    draw: fn(&mut Numbers, usize) -> f32,
}

impl Numbers {
    /// About normal, of mean 0 and deviation 1 (the sum of twelve uniform ones, Irwin and Hall).
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.unit() + 1.0) / 2.0).sum::<f32>() - 6.0
    }

    /// One of `count` numbers in [-1, 1), the same ones always, by `which`.
    fn fixed(which: usize, place: usize) -> f32 {
        Self((which as u64) << 32 | place as u64).unit()
    }
}

/// Each is drawn component by component, by its place.
fn rows() -> Vec<Data> {
    let data = |name, size, draw| Data { name, size, draw };
    vec![
        data("normal, 1", 1, |numbers, _| numbers.normal()),
        data("coordinates of a city", 2, |numbers, place| [48.8566, 2.3522][place] + 0.06 * numbers.normal()),
        data("uniform, 3", 3, |numbers, _| numbers.unit()),
        data("colours 0 to 255", 3, |numbers, _| numbers.below(256) as f32),
        data("a stamp in seconds, and two more", 3, |numbers, place| {
            if place == 0 { 1.7e9 + (numbers.below(100_000) as f32) * 128.0 } else { numbers.normal() }
        }),
        data("uniform, 8", 8, |numbers, _| numbers.unit()),
        data("normal about 100, 32", 32, |numbers, _| 100.0 + numbers.normal()),
        data("normal about 100, 64", 64, |numbers, _| 100.0 + numbers.normal()),
        data("normal about 1e6, 64", 64, |numbers, _| 1e6 + numbers.normal()),
        data("integers 0 to 9, 48", 48, |numbers, _| numbers.below(10) as f32),
        data("zeros and ones, 64", 64, |numbers, _| numbers.below(2) as f32),
        data("mostly zeros, 128", 128, |numbers, _| if numbers.below(20) == 0 { numbers.unit().abs() } else { 0.0 }),
        data("one component of a thousand, 64", 64, |numbers, place| {
            numbers.normal() * if place == 7 { 1e3 } else { 1.0 }
        }),
        data("every scale, 48", 48, |numbers, place| numbers.normal() * 10_f32.powi(place as i32 % 7)),
        data("tiny, 64", 64, |numbers, _| 1e-37 * numbers.normal()),
        data("huge, 64", 64, |numbers, _| 1e17 * numbers.normal()),
        data("normal, 384", 384, |numbers, _| numbers.normal()),
        data("normal about 3, 1,536", 1_536, |numbers, _| 3.0 + numbers.normal()),
    ]
}

/// Draws a component, by group and place.
type DrawInGroup = fn(&mut Numbers, usize, usize) -> f32;

/// Rows whose vectors have something in common with some others: their group, which is drawn once a vector.
fn groups() -> Vec<(&'static str, usize, DrawInGroup)> {
    vec![
        ("twenty groups, 24", 24, |numbers, group, place| Numbers::fixed(group % 20, place) + 0.4 * numbers.unit()),
        ("twenty narrow groups, 64", 64, |numbers, group, place| {
            1e3 * Numbers::fixed(group % 20, place) + 0.1 * numbers.normal()
        }),
        ("a thousand narrow groups, 48", 48, |numbers, group, place| {
            1e3 * Numbers::fixed(group % 1_000, place) + 0.1 * numbers.normal()
        }),
        ("one narrow group among all, 64", 64, |numbers, group, place| {
            if group % 8 == 0 { 5.0 + 1e-4 * numbers.normal() } else { 0.0 + numbers.normal() + place as f32 * 0.0 }
        }),
        ("a line, 64", 64, |numbers, group, place| group as f32 * Numbers::fixed(3, place) + 0.01 * numbers.normal()),
        ("each ten times, 64", 64, |_, group, place| Numbers::fixed(group % 500, place)),
    ]
}

/// The part of the nearest ten that is found; of equally far ones any is right.
fn recall(space: &Space, targets: &[Vec<f32>]) -> (f64, Way) {
    let (mut found, mut way) = (0, Way::Exact);
    for target in targets {
        let exact = SearchOptions { exact: true, ..SearchOptions::default() };
        let (truth, _) = find(space, target, 10, &mut accept_all(), &exact);
        let (hits, report) = find(space, target, 10, &mut accept_all(), &SearchOptions::default());
        let last = truth.last().expect("there are more than ten").score;
        let distance = space.params().distance;
        found += hits.iter().filter(|hit| distance.rank(hit.score, last).is_le()).count();
        way = report.way;
    }
    (found as f64 / (10 * targets.len()) as f64, way)
}

fn measure(name: &str, distance: Distance, vectors: &[Vec<f32>], targets: &[Vec<f32>]) -> bool {
    let mut space = Space::new(SpaceParams::new(vectors[0].len(), distance));
    for (row, vector) in vectors.iter().enumerate() {
        space.put(Row(row as u32), vector);
        // While it grows, as a shard does.
        if row % 100 == 0 && space.has_work(false) {
            space.prepare();
            let step = space.step(100);
            space.settle(step);
        }
    }
    work_through(&mut space);
    let (recall, way) = recall(&space, targets);
    println!("{name:<34} {distance:<10} {:>6} {recall:>6.3} {way:?}", vectors.len());
    recall >= 0.95
}

fn hold(name: &str, count: usize, mut draw: impl FnMut(&mut Numbers) -> Vec<f32>) -> bool {
    let mut numbers = Numbers(17);
    let mut vectors: Vec<Vec<f32>> = (0..count + 120).map(|_| draw(&mut numbers)).collect();
    // A cosine has no zero vectors.
    vectors.iter_mut().filter(|vector| vector.iter().all(|part| *part == 0.0)).for_each(|vector| vector[0] = 1.0);
    let targets = vectors.split_off(count);
    let held = DISTANCES.map(|distance| measure(name, distance, &vectors, &targets));
    held.into_iter().all(|held| held)
}

#[test]
fn on_every_kind_of_data_the_defaults_find_nearly_all() {
    let mut poor = Vec::new();
    for count in [400, 1_500, 2_500, 5_000] {
        for Data { name, size, draw } in rows() {
            if !hold(name, count, |numbers| (0..size).map(|place| draw(numbers, place)).collect()) {
                poor.push((name, count));
            }
        }
        for (name, size, draw) in groups() {
            let vector = |numbers: &mut Numbers| {
                let group = numbers.below(1 << 20);
                (0..size).map(|place| draw(numbers, group, place)).collect()
            };
            if !hold(name, count, vector) {
                poor.push((name, count));
            }
        }
    }
    assert!(poor.is_empty(), "{poor:?}");
}
