//! Whether a point has the version that a write expects, 0 where it must not be there.

use super::reply::Refusal;
use crate::engine::ids::CollectionId;
use crate::engine::state::State;
use crate::model::PointId;

/// Checks the version of the point at `position` of a command.
///
/// # Errors
/// [`Refusal::VersionMismatch`] with the version that it has, or that there is no such collection.
pub(super) fn expect_version(
    state: &State,
    collection: CollectionId,
    position: usize,
    id: PointId,
    expected: u64,
) -> Result<(), Refusal> {
    let current = state.table(collection)?.version(id);
    if current == expected { Ok(()) } else { Err(Refusal::VersionMismatch { position, id, expected, current }) }
}
