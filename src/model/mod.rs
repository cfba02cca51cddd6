//! The words that every room shares: what a point, a distance or a level of consistency is called.
//!
//! Each concept is here once, with one text and one binary form. What `raft-groups` and `vector-index` own is passed on
//! under the same name. Nothing here knows a request, a shard or a file.

mod committed;
mod consistency;
mod field_type;
pub mod limits;
pub mod names;
mod point_id;
mod search_params;
pub mod words;

pub use committed::Committed;
pub use consistency::Consistency;
pub use field_type::FieldType;
pub use point_id::{BadPointId, PointId};
pub use raft_groups::{ReadMode, Role};
pub use search_params::SearchParams;
pub use vector_index::{Distance, GraphParams, Quantization, Way};
