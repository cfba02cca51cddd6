//! What can be asked of a shard: the query, the work it may do, and its answer.

pub(super) mod answer_room;
pub(super) mod long_filter;
pub(super) mod query;
pub(super) mod read;
pub(super) mod work_budget;
