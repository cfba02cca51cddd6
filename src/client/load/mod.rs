//! Loads many points: files of vectors and payloads become batches, and batches become points of a collection.
//!
//! In: NDJSON, or a `.npy` matrix with a file of payloads ([`source`]). Out: points in the cluster, and an [`Account`]
//! of them that a [`Journal`] hears of as it grows. The way is [`source`] → [`pipeline`] → [`body`]. Keeps no
//! checkpoint and prints nothing: its caller does.

mod body;
mod npy;
mod order;
mod payload;
mod pipeline;
mod source;

pub use body::of as body_of;
pub use npy::Npy;
pub use payload::Payloads;
pub use pipeline::{Account, Journal, LoadPlan, Reject, load};
pub use source::{InputRow, InputRows, Matrix, ndjson, open_npy};

use super::Client;
use crate::api::{CreateCollection, CreatedCollection, Distance};
use anyhow::Context;
use std::time::Duration;

/// Creates a collection with one default vector. It is no error if the same collection exists.
///
/// # Errors
/// Why there is no such collection, once `patience` is over.
pub async fn create(
    client: &Client,
    name: &str,
    size: Option<usize>,
    distance: Option<Distance>,
    patience: Duration,
) -> anyhow::Result<CreatedCollection> {
    let create = CreateCollection { name: name.into(), vector_size: size, distance, ..Default::default() };
    let created: Result<CreatedCollection, _> = client.write("/collections", &create, patience, |_| {}).await;
    created.with_context(|| format!("cannot create the collection `{name}`"))
}
