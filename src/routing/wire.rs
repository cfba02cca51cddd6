//! A request between nodes as bytes. A query that several calls share, as one search does in all shards of a node, is
//! there once, and is one again on the other side.

use std::sync::Arc;

use bytes::Bytes;
use raft_groups::{GroupId, NodeId, ReadMode};
use serde::{Deserialize, Serialize};

use super::LogPoint;
use super::rpc::{Call, Query, RouteRequest};
use crate::engine::Lifetime;

#[derive(Serialize, Deserialize)]
struct Packed {
    cluster: [u8; 16],
    from: Option<NodeId>,
    to: NodeId,
    timeout_ms: u64,
    queries: Vec<Arc<Query>>,
    calls: Vec<PackedCall>,
}

#[derive(Serialize, Deserialize)]
enum PackedCall {
    Write {
        group: GroupId,
        command: Bytes,
        everywhere: bool,
        lifetime: Option<Lifetime>,
    },
    Read {
        group: GroupId,
        mode: ReadMode,
        after: Option<LogPoint>,
        max_staleness_ms: Option<u64>,
        /// Place among the queries.
        query: usize,
    },
    Report,
}

/// The bytes of a request.
///
/// # Errors
/// Why it has no binary form.
pub(super) fn encode(request: RouteRequest) -> Result<Vec<u8>, String> {
    let RouteRequest { cluster, from, to, timeout_ms, calls } = request;
    let mut queries = Vec::<Arc<Query>>::new();
    let mut calls_packed = Vec::with_capacity(calls.len());
    let mut bytes = 256;
    for call in calls {
        bytes += call.weight();
        calls_packed.push(match call {
            Call::Write { group, command, everywhere, lifetime } => {
                PackedCall::Write { group, command, everywhere, lifetime }
            }
            Call::Read { group, mode, after, max_staleness_ms, query } => {
                // Calls of one query come one after the other.
                if queries.last().is_none_or(|last| !Arc::ptr_eq(last, &query)) {
                    queries.push(query);
                }
                PackedCall::Read { group, mode, after, max_staleness_ms, query: queries.len() - 1 }
            }
            Call::Report => PackedCall::Report,
        });
    }
    let packed = Packed { cluster, from, to, timeout_ms, queries, calls: calls_packed };
    postcard::to_extend(&packed, Vec::with_capacity(bytes)).map_err(|error| error.to_string())
}

/// The request in these bytes.
///
/// # Errors
/// What is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<RouteRequest, String> {
    let packed: Packed = postcard::from_bytes(bytes).map_err(|error| error.to_string())?;
    let Packed { cluster, from, to, timeout_ms, queries, calls } = packed;
    let unpack = |call| {
        Ok(match call {
            PackedCall::Write { group, command, everywhere, lifetime } => {
                Call::Write { group, command, everywhere, lifetime }
            }
            PackedCall::Read { group, mode, after, max_staleness_ms, query } => {
                let query = queries.get(query).cloned().ok_or("a call asks a query that is not there")?;
                Call::Read { group, mode, after, max_staleness_ms, query }
            }
            PackedCall::Report => Call::Report,
        })
    };
    let calls = calls.into_iter().map(unpack).collect::<Result<_, String>>()?;
    Ok(RouteRequest { cluster, from, to, timeout_ms, calls })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::{CollectionId, CountQuery, MadeBy};

    fn count(collection: u64) -> Arc<Query> {
        Arc::new(Query::Count(CountQuery { collection: CollectionId(collection), filter: None }))
    }

    fn request() -> RouteRequest {
        let read = |group, query: &Arc<Query>| Call::Read {
            group: GroupId(group),
            mode: ReadMode::Lease,
            after: Some(LogPoint { recovered: 0, index: group }),
            max_staleness_ms: None,
            query: query.clone(),
        };
        let (one, two) = (count(1), count(2));
        let lifetime = Some(Lifetime { made_by: MadeBy::Gateway, born_ms: 9, lasts_ms: 70 });
        let command = Bytes::from_static(b"change");
        let write = Call::Write { group: GroupId(7), command, everywhere: true, lifetime };
        let calls = vec![read(1, &one), read(2, &one), write, read(3, &two), Call::Report, read(4, &one)];
        RouteRequest { cluster: [9; 16], from: Some(1), to: 2, timeout_ms: 70, calls }
    }

    #[test]
    fn calls_come_back_and_share_what_they_shared() {
        let back = decode(&encode(request()).unwrap()).unwrap();
        assert_eq!(back, request());
        let queries: Vec<&Arc<Query>> = back
            .calls
            .iter()
            .filter_map(|call| if let Call::Read { query, .. } = call { Some(query) } else { None })
            .collect();
        assert!(Arc::ptr_eq(queries[0], queries[1]) && !Arc::ptr_eq(queries[1], queries[2]));
    }

    #[test]
    fn a_query_that_is_not_there_is_an_error() {
        let read = PackedCall::Read {
            group: GroupId(1),
            mode: ReadMode::Lease,
            after: None,
            max_staleness_ms: None,
            query: 1,
        };
        let packed =
            Packed { cluster: [0; 16], from: None, to: 1, timeout_ms: 1, queries: vec![count(1)], calls: vec![read] };
        assert!(decode(&postcard::to_stdvec(&packed).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn damage_never_panics(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encode(request()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&bytes);
            let _ = decode(&bytes[..cut.index(bytes.len())]);
        }
    }
}
