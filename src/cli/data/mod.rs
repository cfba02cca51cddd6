//! The verbs about data: `quiver collection` and `quiver point`. Each makes one request of the API and prints its
//! answer.
//!
//! `quiver ingest` loads files, and `quiver search` finds what is near.

mod collection;
mod filter;
mod point;

pub(crate) use collection::{CollectionArgs, run as run_collection};
pub(crate) use point::{PointArgs, run as run_point};
