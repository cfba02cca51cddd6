//! The graph over a restart: to bytes and back, without building it anew.

use super::super::report::Row;
use super::super::stats::digits;
use super::super::truth::Truth;
use super::super::vitals;
use super::{Outcome, Rig, Rows, row_number};
use anyhow::ensure;
use vector_index::{Image, PointLookup, SearchOptions, Space};

/// Takes an image of the space, and brings the space back from it.
pub(super) fn row(rig: &Rig<'_>, truth: &Truth, fresh: &Outcome) -> anyhow::Result<Row> {
    let start = vitals::own_processor_time()?;
    let bytes = rig.space.image(|row| Rows.key(row)).encode();
    let saved = vitals::own_processor_time()?;
    let mut space = Space::from_image(rig.space.params(), &Image::decode(&bytes)?)?;
    for row in 0..rig.points {
        space.restore(row_number(row), Rows.key(row_number(row)), rig.vector(row));
    }
    space.restored();
    let restored = vitals::own_processor_time()?;
    let linked = space.progress().linked;
    ensure!(linked == rig.space.progress().linked, "{linked} of {} vectors came back linked", rig.points);
    let again = Rig { space, ..*rig }.judged(truth, &SearchOptions::default())?;
    let (save, load) = ((saved - start).as_secs_f64(), (restored - saved).as_secs_f64());
    let row = Row::new("index alone, back from its image", format!("{} s CPU", digits(load)));
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
