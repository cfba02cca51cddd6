//! How much recall and memory change when every point is overwritten twice.
//!
//! In: a full index. Out: rows about recall and memory, after each row got the vector of another point two times.

use super::{JudgedSearches, Rig, row_number};
use crate::cluster::process_stats;
use crate::data::truth::Truth;
use crate::report::ReportRow;
use crate::report::times::digits;
use vector_index::SearchOptions;

/// How many times every row is overwritten.
const ROUNDS: u64 = 2;
/// The distance between the old and the new point of a row. It is large, so that a row's new vector has nothing to do
/// with its old one.
const SHIFT: u64 = 1_237;
/// Rows that are overwritten between two looks at the background's work.
const BETWEEN: u64 = 50;
/// How much recall may be lost, and how much memory may grow, as a part of 1.
const RECALL_BAR: f64 = 0.01;
const MEMORY_BAR: f64 = 0.15;

/// Overwrites all rows while the background keeps up, and compares with the `fresh` space.
pub(crate) fn rows(rig: &mut Rig<'_>, truth: &Truth, fresh: &JudgedSearches) -> anyhow::Result<[ReportRow; 2]> {
    let (memory, start) = (rig.space.memory_bytes() as f64, process_stats::own_processor_time()?);
    for _ in 0..ROUNDS {
        rig.shift += SHIFT;
        for row in 0..rig.points {
            let vector = rig.corpus.vector((row + rig.shift) % rig.points);
            rig.space.put(row_number(row), vector);
            // The background keeps up, as in a node that is not overloaded.
            while row % BETWEEN == 0 && rig.space.has_work(false) {
                rig.step();
            }
        }
    }
    rig.work_through();
    let used = (process_stats::own_processor_time()? - start).as_secs_f64();
    let again = rig.judged(truth, &SearchOptions::default())?;
    let (lost, growth) = (fresh.recall - again.recall, rig.space.memory_bytes() as f64 / memory - 1.0);
    let recall = ReportRow::new("index alone, recall@10 after two overwrites", format!("{:.4}", again.recall));
    let recall = recall.detail(format!(
        "{:.4} fresh; {} searches/CPU-s, {} fresh; {} s CPU for {} overwrites",
        fresh.recall,
        digits(again.rate),
        digits(fresh.rate),
        digits(used),
        ROUNDS * rig.points
    ));
    let recall = recall.bar(format!("within {RECALL_BAR} of fresh"), lost <= RECALL_BAR);
    let recall = recall.number("recall", again.recall).number("fresh_recall", fresh.recall);
    let recall = recall.number("per_cpu_second", again.rate).number("fresh_per_cpu_second", fresh.rate);
    let memory = ReportRow::new("index alone, memory after two overwrites", format!("{:+.1} %", growth * 1e2));
    let memory = memory.detail("against fresh, by its own count");
    let memory = memory.bar(format!("within {:.0} %", MEMORY_BAR * 1e2), growth <= MEMORY_BAR);
    Ok([recall.number("cpu_seconds", used), memory.number("growth_share", growth)])
}
