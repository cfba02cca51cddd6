//! What strangers do to a port: they send nothing, or slowly, or too much, or what no proper client sends, and they do not
//! read. Only ever at processes that this harness has started itself.
//!
//! An [`Attack`] is a crowd of connections that make [`AttackMove`]s in turn ([`moves`] has the list); each move knows
//! what the node owes its sender. [`Assault`] keeps a crowd going, [`apart`] in a process of its own that takes no CPU time
//! from anyone, [`GoodClient`] is the good client beside it, and [`measure`] prints what each attack costs.

pub mod apart;
mod assault;
mod descriptors;
mod exchange;
mod good_client;
pub mod measure;
pub mod moves;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::harness::client::ApiClient;

pub use assault::{Assault, WrongAnswers};
pub use exchange::{AttackMove, Counters, Owed, Then, Traffic};
pub use good_client::{GoodClient, RequestOutcomes};

/// The collection that is asked for.
pub const COLLECTION: &str = "docs";
/// The size of its vectors, and how many there are: all of them together are more than the buffers of a connection hold.
pub const SIZE: usize = 256;
/// See [`SIZE`].
pub const POINTS: u64 = 2_000;

/// Connections that make these moves, one after the other and again and again.
#[derive(Clone, Debug)]
pub struct Attack {
    /// For people.
    pub name: &'static str,
    /// Connections at a time, at full size.
    pub crowd: usize,
    /// Whether a move ends no earlier than the node's patience with the silent does, or not at all.
    pub lasting: bool,
    /// How long each rests between two moves.
    pub rest: Duration,
    /// What each does.
    pub moves: Vec<AttackMove>,
}

/// Makes the collection, and writes its points.
///
/// # Errors
/// Whatever is refused.
pub async fn prepare(client: &ApiClient) -> Result<()> {
    client.create_collection(COLLECTION, SIZE, "euclid").await.ok()?;
    for first in (0..POINTS).step_by(500) {
        let vector = |id: u64| (0..SIZE as u64).map(|place| (id * 31 + place * 7) % 97).collect::<Vec<u64>>();
        let points = (first..POINTS.min(first + 500)).map(|id| json!({"id": id, "vector": vector(id)})).collect();
        client.upsert(COLLECTION, points, json!({})).await.ok()?;
    }
    Ok(())
}
