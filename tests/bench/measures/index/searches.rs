//! Searches in the index alone: recall against speed at many breadths, and searches among the rows that pass a filter.
//!
//! In: a full index and exact answers. Out: a ladder of breadths with recall and speed, and a row for each filter.

use super::{JudgedSearches, Rig, per_cpu};
use crate::data::parts::PARTS;
use crate::data::truth::{TOP, Truth};
use crate::report::ReportRow;
use crate::report::chart::Rung;
use roaring::RoaringBitmap;
use vector_index::{Among, SearchOptions, default_ef};

/// Breadths that are tried, in this order, until the recall is [`ENOUGH`].
const LADDER: [usize; 16] = [10, 14, 20, 28, 36, 44, 52, 64, 80, 96, 128, 160, 192, 256, 384, 512];
/// Recall at which the ladder ends.
const ENOUGH: f64 = 0.997;
/// The recalls to be reached, each with the bar of the rate there.
const GOALS: [(f64, Option<f64>); 3] = [(0.95, None), (0.97, Some(9_000.0)), (0.99, Some(5_500.0))];
/// Recall that a search among the rows of a filter must reach.
const FILTERED_RECALL_BAR: f64 = 0.99;

/// Measures recall and rate at one breadth after the other.
pub(crate) fn ladder(rig: &Rig<'_>, truth: &Truth) -> anyhow::Result<Vec<Rung>> {
    let mut curve = Vec::new();
    for ef in LADDER {
        let JudgedSearches { recall, rate } =
            rig.judged(truth, &SearchOptions { ef: Some(ef), ..SearchOptions::default() })?;
        curve.push(Rung { ef, recall, rate });
        if recall >= ENOUGH {
            break;
        }
    }
    Ok(curve)
}

/// A row for each goal, with the narrowest breadth that reaches it, and a row with all that was measured.
pub(crate) fn rows(rig: &Rig<'_>, curve: &[Rung], source: &str) -> Vec<ReportRow> {
    let goals = GOALS.iter().map(|(goal, bar)| {
        let name = format!("index alone, search at recall@10 >= {goal}");
        let reached = curve.iter().find(|rung| rung.recall >= *goal);
        let row = match reached {
            Some(rung) => at(ReportRow::new(name, per_cpu(rung.rate)), rung, source),
            None => ReportRow::new(name, "not reached").detail(format!("answers: {source}")),
        };
        let bar = bar.unwrap_or_default();
        let is_met = reached.is_some_and(|rung| rung.rate >= bar);
        row.bar_where(bar > 0.0 && rig.is_full(), format!(">= {bar}/CPU-s"), is_met)
    });
    goals.chain([whole(curve)]).collect()
}

fn at(row: ReportRow, rung: &Rung, source: &str) -> ReportRow {
    let default = default_ef(TOP, 1);
    let row = row.detail(format!("ef {}, recall {:.4}; answers: {source}; default ef {default}", rung.ef, rung.recall));
    row.number("per_cpu_second", rung.rate).number("recall", rung.recall).number("ef", rung.ef as f64)
}

fn whole(curve: &[Rung]) -> ReportRow {
    let best = curve.iter().map(|rung| rung.recall).fold(0.0, f64::max);
    let efs = format!("{} to {}", LADDER[0], curve.last().map_or(0, |rung| rung.ef));
    let row =
        ReportRow::new("index alone, best recall@10 of those tried", format!("{best:.4}")).detail(format!("ef {efs}"));
    curve.iter().fold(row, |row, rung| {
        let name = |what| format!("ef_{}_{what}", rung.ef);
        row.number(&name("recall"), rung.recall).number(&name("per_cpu_second"), rung.rate)
    })
}

/// Measures searches among the rows of each part. The rows are given as a payload index would give them.
pub(crate) fn filtered(rig: &Rig<'_>) -> anyhow::Result<Vec<ReportRow>> {
    let mut rows = Vec::new();
    for part in &PARTS {
        let chosen: RoaringBitmap = rig.corpus.ids(rig.points, Some(part)).map(|id| id as u32).collect();
        let share = chosen.len() as f64 / rig.points as f64 * 1e2;
        let (truth, source) = rig.corpus.truth(rig.points, Some(part));
        let among = Some(Among { rows: &chosen, certain: true });
        let outcome = rig.judged(&truth, &SearchOptions { among, ..SearchOptions::default() })?;
        let row = ReportRow::new(format!("index alone, among {} ({share:.1} %)", part.name), per_cpu(outcome.rate));
        let row = row.detail(format!("recall {:.4}; answers: {source}", outcome.recall));
        // A fast search that misses points does not meet the bar.
        let is_met = outcome.rate >= part.bar && outcome.recall >= FILTERED_RECALL_BAR;
        let bar = format!(">= {}/CPU-s, recall >= {FILTERED_RECALL_BAR}", part.bar);
        let row = row.bar_where(rig.is_full(), bar, is_met);
        rows.push(row.number("per_cpu_second", outcome.rate).number("recall", outcome.recall));
    }
    Ok(rows)
}
