//! The Rust client of the native API: one [`Client`] per cluster, and what loads many points through it.
//!
//! In: URLs, paths, wire types of [`crate::api`]. Out: their answers, or a [`Failure`] that says whether to try again
//! and whether a write may have happened. [`path()`] writes names into paths, [`load`] brings in whole files. Knows no
//! command line, prints nothing, and never looks behind the HTTP API.

mod failure;
mod http;
pub mod load;
mod path;

pub use failure::{Failure, UnusableInput, unanswered};
pub use http::{Body, Client};
pub use path::path;
