//! What a consistency level means, in Raft's words and in routing's. The only place that decides it.
//!
//! | level | a read | a write is acknowledged |
//! |---|---|---|
//! | ONE | any replica's applied state, which may be stale and says so | as QUORUM |
//! | QUORUM | the leader's applied state under its lease | committed, and applied on the leader |
//! | ALL | an index that a majority confirmed for this read | committed, and applied on every voter |

use raft_groups::ReadMode;

use crate::api::{Consistency, Level};
use crate::gateway::http::error::ApiError;
use crate::routing::Acknowledge;

/// The level of a request: what it asks for in `field`, or else its collection's default.
///
/// Counts are Qdrant's: 1 is ONE, the replication factor or more is ALL, what lies between is QUORUM.
///
/// # Errors
/// Zero replicas.
pub fn resolve(
    field: &'static str,
    asked: Option<Level>,
    default: Consistency,
    replication_factor: usize,
) -> Result<Consistency, ApiError> {
    match asked {
        None => Ok(default),
        Some(Level::Named(consistency)) => Ok(consistency),
        Some(Level::Replicas(0)) => Err(ApiError::invalid(field, "at least one replica is needed")),
        Some(Level::Replicas(1)) => Ok(Consistency::One),
        Some(Level::Replicas(count)) if count >= replication_factor as u64 => Ok(Consistency::All),
        Some(Level::Replicas(_)) => Ok(Consistency::Quorum),
    }
}

/// How a read of this level is served.
pub fn read_mode(consistency: Consistency) -> ReadMode {
    match consistency {
        Consistency::One => ReadMode::Follower,
        Consistency::Quorum => ReadMode::Lease,
        Consistency::All => ReadMode::Linearizable,
    }
}

/// When a write of this level is acknowledged.
pub fn acknowledge(consistency: Consistency) -> Acknowledge {
    match consistency {
        Consistency::One | Consistency::Quorum => Acknowledge::Committed,
        Consistency::All => Acknowledge::AppliedEverywhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_replication_factor() {
        let level =
            |count, factor| resolve("consistency", Some(Level::Replicas(count)), Consistency::Quorum, factor).ok();
        assert_eq!(level(0, 3), None);
        assert_eq!(level(1, 3), Some(Consistency::One));
        assert_eq!(level(2, 3), Some(Consistency::Quorum));
        assert_eq!(level(3, 3), Some(Consistency::All));
        assert_eq!(level(9, 3), Some(Consistency::All));
        assert_eq!(level(2, 5), Some(Consistency::Quorum));
        assert_eq!(level(1, 1), Some(Consistency::One));
    }

    #[test]
    fn the_collection_decides_where_the_request_does_not() {
        assert_eq!(resolve("consistency", None, Consistency::All, 3).ok(), Some(Consistency::All));
        assert_eq!(
            resolve("consistency", Some(Consistency::One.into()), Consistency::All, 3).ok(),
            Some(Consistency::One)
        );
    }

    #[test]
    fn no_read_level_is_weaker_than_its_word() {
        assert_eq!(read_mode(Consistency::One), ReadMode::Follower);
        assert_eq!(read_mode(Consistency::Quorum), ReadMode::Lease);
        assert_eq!(read_mode(Consistency::All), ReadMode::Linearizable);
    }
}
