//! The verbs about data: `quiver collection` and `quiver point`. Each is one request of the API, and prints its answer.
//!
//! Loading files is `quiver ingest`, and looking for what is near is `quiver search`.

mod collection;
mod filter;
mod point;

pub(crate) use collection::{CollectionArgs, run as run_collection};
pub(crate) use point::{PointArgs, run as run_point};
