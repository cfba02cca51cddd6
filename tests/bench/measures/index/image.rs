//! The graph across a restart: it becomes bytes and comes back, without being built anew.
//!
//! In: a full index. Out: one row, or an error if not all of the graph comes back.

use super::{JudgedSearches, Rig, Rows, row_number};
use crate::cluster::process_stats;
use crate::data::truth::Truth;
use crate::report::ReportRow;
use crate::report::times::digits;
use anyhow::ensure;
use vector_index::{Image, PointLookup, SearchOptions, Space};

/// Takes an image of the space, makes a space from it, and compares the recall of both.
pub(crate) fn row(rig: &Rig<'_>, truth: &Truth, fresh: &JudgedSearches) -> anyhow::Result<ReportRow> {
    let start = process_stats::own_processor_time()?;
    let bytes = rig.space.image(|row| Rows.key(row)).encode();
    let saved = process_stats::own_processor_time()?;
    // The image has no vectors: each row brings its own back.
    let mut space = Space::from_image(rig.space.params(), &Image::decode(&bytes)?)?;
    for row in 0..rig.points {
        space.restore(row_number(row), Rows.key(row_number(row)), rig.vector(row));
    }
    space.restored();
    let restored = process_stats::own_processor_time()?;
    let linked = space.progress().linked;
    ensure!(linked == rig.space.progress().linked, "{linked} of {} vectors came back linked", rig.points);
    // The same searches over the graph that came back must find as much.
    let again = Rig { space, ..*rig }.judged(truth, &SearchOptions::default())?;
    let (save, load) = ((saved - start).as_secs_f64(), (restored - saved).as_secs_f64());
    let row = ReportRow::new("index alone, back from its image", format!("{} s CPU", digits(load)));
    let row = row.detail(format!(
        "saved in {} s CPU as {} bytes a vector; recall {:.4} before, {:.4} after",
        digits(save),
        digits(bytes.len() as f64 / rig.points as f64),
        fresh.recall,
        again.recall
    ));
    let row = row.number("load_cpu_seconds", load).number("save_cpu_seconds", save);
    Ok(row.number("image_bytes", bytes.len() as f64).number("recall", again.recall))
}
