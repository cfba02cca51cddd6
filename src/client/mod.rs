//! The Rust client of the native API: one [`Client`] for each cluster, and the loading of many points through it.
//!
//! In: URLs, paths, wire types of [`crate::api`]. Out: their answers, or a [`Failure`] that says whether a repetition
//! can succeed and whether a write may have happened. [`path()`] writes names into paths, and [`load`] loads whole
//! files. Knows no command line, prints nothing, and uses nothing but the HTTP API.

mod failure;
mod http;
pub mod load;
mod path;
mod silence;

pub use failure::{Failure, UnusableInput, unanswered};
pub use http::{Body, Client};
pub use path::path;
