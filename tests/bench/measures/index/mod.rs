//! The vector index alone, in this process on one thread: its build, memory, searches, wear and restart.
//!
//! Every rate is per second of processor time, not of wall-clock time, so a busy machine disturbs it little. The bars
//! were set for the 100,000 vectors of the data set. With fewer vectors, the figures have no bars.

mod image;
mod searches;
mod wear;

use crate::cluster::process_stats;
use crate::data::corpus::Corpus;
use crate::data::truth::{TOP, Truth, right};
use crate::report::ReportRow;
use crate::report::chart::Rung;
use crate::report::times::digits;
use std::time::Duration;
use vector_index::{Distance, Key, PointLookup, SearchOptions, Space, SpaceParams, Top};

/// Vectors of one step of the background's work.
const STEP: usize = 64;
/// The number of vectors for which the bars were set.
const FULL: u64 = 100_000;
/// The bars of the build, in vectors per second of processor time, and of memory, in bytes a vector.
const BUILD_BAR: f64 = 4_500.0;
const MEMORY_BAR: f64 = 1_400.0;

/// Measures the index over the points 0 to `points`. Each rate comes from at least `time` of searching.
pub(crate) fn measure(corpus: &Corpus, points: u64, time: Duration) -> anyhow::Result<(Vec<ReportRow>, Vec<Rung>)> {
    let mut rig = Rig { corpus, points, shift: 0, time, space: space(corpus) };
    // Wear comes last, because it changes the space.
    let (truth, source) = corpus.truth(points, None);
    let mut rows = build(&mut rig)?;
    let curve = searches::ladder(&rig, &truth)?;
    rows.extend(searches::rows(&rig, &curve, source));
    rows.extend(searches::filtered(&rig)?);
    let fresh = rig.judged(&truth, &SearchOptions::default())?;
    rows.push(image::row(&rig, &truth, &fresh)?);
    rows.extend(wear::rows(&mut rig, &truth, &fresh)?);
    Ok((rows, curve))
}

fn space(corpus: &Corpus) -> Space {
    Space::new(SpaceParams::new(corpus.columns, Distance::Cosine))
}

/// A space and its content: row `r` holds the vector of the point `r + shift`, modulo `points`.
struct Rig<'a> {
    corpus: &'a Corpus,
    points: u64,
    shift: u64,
    time: Duration,
    space: Space,
}

/// The recall of searches, and how many of them take one second of processor time.
#[derive(Clone, Copy, Debug)]
struct JudgedSearches {
    recall: f64,
    rate: f64,
}

impl Rig<'_> {
    /// Returns `true` if this is the size for which the bars were set.
    fn is_full(&self) -> bool {
        self.points == FULL
    }

    fn vector(&self, row: u64) -> &[f32] {
        self.corpus.vector((row + self.shift) % self.points)
    }

    /// Does all the work of the background, also what is not worthwhile yet.
    fn work_through(&mut self) {
        while self.space.has_work(true) {
            self.step();
        }
    }

    fn step(&mut self) {
        self.space.prepare();
        let step = self.space.step(STEP);
        self.space.settle(step);
    }

    /// Searches for every query that has an exact answer, again and again for at least `self.time`.
    fn judged(&self, truth: &Truth, wanted: &SearchOptions<'_>) -> anyhow::Result<JudgedSearches> {
        let queries = truth.0.len() as u64;
        let start = process_stats::own_processor_time()?;
        let found: Vec<Vec<u64>> = (0..queries).map(|number| self.find(number, wanted)).collect();
        let (mut searches, mut used) = (queries, process_stats::own_processor_time()? - start);
        while used < self.time {
            for number in 0..queries {
                std::hint::black_box(self.find(number, wanted));
            }
            (searches, used) = (searches + queries, process_stats::own_processor_time()? - start);
        }
        // Only the first pass is judged: the index does not change between passes.
        let correct = found.iter().zip(&truth.0).enumerate().map(|(number, (hits, exact))| {
            right(self.corpus.query(number as u64), exact, hits, |id| self.corpus.vector(id))
        });
        // A part may have fewer than ten points.
        let all: usize = truth.0.iter().map(|exact| exact.len().min(TOP)).sum();
        let recall = correct.sum::<usize>() as f64 / all.max(1) as f64;
        Ok(JudgedSearches { recall, rate: searches as f64 / used.as_secs_f64() })
    }

    /// The ids that a query finds.
    fn find(&self, number: u64, wanted: &SearchOptions<'_>) -> Vec<u64> {
        let mut top = Top::new(Distance::Cosine, TOP, None);
        self.space.search(self.corpus.query(number), &mut Rows, &mut top, wanted);
        let id = |row: u32| (u64::from(row) + self.shift) % self.points;
        top.into_sorted().into_iter().map(|hit| id(hit.row.0)).collect()
    }
}

/// The lookup of points: each is named by its row, and none is refused.
struct Rows;

impl PointLookup for Rows {
    fn key(&self, row: vector_index::Row) -> Key {
        Key(0, u128::from(row.0))
    }

    fn accepts(&mut self, _: vector_index::Row) -> bool {
        true
    }
}

fn row_number(row: u64) -> vector_index::Row {
    vector_index::Row(row as u32)
}

/// Fills the space and links all vectors. Adds rows about time and memory.
fn build(rig: &mut Rig<'_>) -> anyhow::Result<Vec<ReportRow>> {
    let own = std::process::id();
    let (before, start) = (process_stats::resident_bytes(own)?.0, process_stats::own_processor_time()?);
    for row in 0..rig.points {
        let vector = rig.corpus.vector(row);
        rig.space.put(row_number(row), vector);
    }
    rig.work_through();
    let used = (process_stats::own_processor_time()? - start).as_secs_f64();
    let resident = process_stats::resident_bytes(own)?.0.saturating_sub(before);
    let rate = rig.points as f64 / used;
    let built = ReportRow::new(format!("index alone, build, {} x {}", rig.points, rig.corpus.columns), per_cpu(rate));
    let built = built.detail(format!("{} s CPU for all; put, then linked", digits(used)));
    let built = built.bar_where(rig.is_full(), format!(">= {BUILD_BAR}/CPU-s"), rate >= BUILD_BAR);
    // The process may have had free pages before, and the allocator may keep some. So the greater of both figures is
    // taken.
    let each = |bytes: u64| bytes as f64 / rig.points as f64;
    let (counted, resident) = (each(rig.space.memory_bytes() as u64), each(resident));
    let most = counted.max(resident);
    let memory = ReportRow::new("index alone, memory a vector", format!("{} bytes", digits(most)));
    let memory = memory.detail(format!("{} by its own count, {} resident", digits(counted), digits(resident)));
    let memory = memory.bar_where(rig.is_full(), format!("<= {MEMORY_BAR} bytes"), most <= MEMORY_BAR);
    let memory = memory.number("bytes_per_vector", most).number("counted_bytes_per_vector", counted);
    Ok(vec![built.number("vectors_per_cpu_second", rate), memory])
}

/// A rate per second of processor time, in words.
fn per_cpu(rate: f64) -> String {
    format!("{}/CPU-s", digits(rate))
}
