//! What can be asked of a shard: the query, the work it may do, and its answer.
//!
//! `work_meter` counts the work. How much there may be before a query counts as long, and when it ends, is decided in
//! `routing/serve` (`query`, `long_queries`).

pub(super) mod answer_room;
pub(super) mod long_filter;
pub(super) mod query;
pub(super) mod read;
pub(super) mod work_meter;
