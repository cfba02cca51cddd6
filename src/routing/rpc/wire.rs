//! Requests and responses between nodes as bytes. A search of all shards of a node is one query that several calls
//! share. Its bytes are sent once, and the calls share it on the other side as well.
//!
//! ```text
//! message   version, u8   the message in postcard   what a later release added: skipped
//! ```
//!
//! Where a read has a bound, the room of each read follows the request. The first release does not send it.

use std::sync::Arc;

use raft_groups::NodeId;
use raft_groups::mutants::{Mutant, is_planted};
use serde::{Deserialize, Serialize};

use crate::routing::rpc::message::{Call, Query, RouteRequest, RouteResponse};

/// The version of the messages that are sent, and the only one that is read.
const VERSION: u8 = 1;

/// A request in the order of its bytes: the cluster, the sender, the node that is meant, the milliseconds that the sender
/// waits, the queries, and the calls, whose queries are places among those.
type RequestForm = ([u8; 16], Option<NodeId>, NodeId, u64, Vec<Arc<Query>>, Vec<Call<usize>>);

/// The room of each read, in their order.
#[derive(Default, Serialize, Deserialize)]
struct Rooms(Vec<Option<u64>>);

impl<Q> Call<Q> {
    /// The same call, where `form_of` gives another form of a read's query and the room of its answer.
    ///
    /// # Errors
    /// That of `form_of`.
    fn try_map_query<R, E>(
        self,
        form_of: impl FnOnce(Q, Option<u64>) -> Result<(R, Option<u64>), E>,
    ) -> Result<Call<R>, E> {
        Ok(match self {
            Self::Write { group, command, everywhere, lifetime } => {
                Call::Write { group, command, everywhere, lifetime }
            }
            Self::Read { group, mode, after, max_staleness_ms, query, room } => {
                let (query, room) = form_of(query, room)?;
                Call::Read { group, mode, after, max_staleness_ms, query, room }
            }
            Self::Report => Call::Report,
        })
    }
}

/// The bytes of a request.
///
/// # Errors
/// Why it has no binary form.
pub(in crate::routing) fn encode(request: RouteRequest) -> Result<Vec<u8>, String> {
    let RouteRequest { cluster, from, to, timeout_ms, calls } = request;
    let (mut queries, mut rooms) = (Vec::<Arc<Query>>::new(), Rooms::default());
    // Room for the whole message is made at once.
    let bytes = 256 + calls.iter().map(Call::weight).sum::<usize>();
    let mut place_of = |query, room| {
        rooms.0.push(room);
        // Calls of one query come one after the other.
        if queries.last().is_none_or(|last| !Arc::ptr_eq(last, &query)) {
            queries.push(query);
        }
        Ok((queries.len() - 1, room))
    };
    let calls = calls.into_iter().map(|call| call.try_map_query(&mut place_of)).collect::<Result<_, String>>()?;
    let form: RequestForm = (cluster, from, to, timeout_ms, queries, calls);
    let framed = frame(&form, bytes)?;
    // A node of the first release reads what has no bound.
    match rooms.0.iter().any(Option::is_some) {
        true => postcard::to_extend(&rooms, framed).map_err(|_| GARBLED.to_owned()),
        false => Ok(framed),
    }
}

/// The bytes of a response.
///
/// # Errors
/// Why it has no binary form.
pub(in crate::routing) fn encode_response(response: &RouteResponse) -> Result<Vec<u8>, String> {
    frame(response, 256)
}

/// The response in these bytes.
///
/// # Errors
/// What is wrong with them.
pub(in crate::routing) fn decode_response(bytes: &[u8]) -> Result<RouteResponse, String> {
    unframe(bytes).map(|(response, _)| response)
}

/// What is told of bytes that mean nothing: a client may read it, and postcard's own words would tell it nothing.
const GARBLED: &str = "its bytes are not as this release of Quiver writes them";

fn frame<T: Serialize>(message: &T, bytes: usize) -> Result<Vec<u8>, String> {
    let mut framed = Vec::with_capacity(bytes);
    framed.push(VERSION);
    postcard::to_extend(message, framed).map_err(|_| GARBLED.to_owned())
}

/// The message, and what follows it.
fn unframe<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), String> {
    match bytes.split_first() {
        Some((&VERSION, message)) => postcard::take_from_bytes(message).map_err(|_| GARBLED.to_owned()),
        Some((_, message)) if is_planted(Mutant::ReadsOtherVersions) => {
            postcard::take_from_bytes(message).map_err(|_| GARBLED.to_owned())
        }
        Some((version, _)) => {
            Err(format!("it is of version {version}, and not of {VERSION}; run one release of Quiver on all nodes"))
        }
        None => Err("it is empty".to_owned()),
    }
}

/// The request in these bytes.
///
/// # Errors
/// What is wrong with them.
pub(in crate::routing) fn decode(bytes: &[u8]) -> Result<RouteRequest, String> {
    let ((cluster, from, to, timeout_ms, queries, calls), tail) = unframe::<RequestForm>(bytes)?;
    let rooms = match tail {
        [] => Rooms::default(),
        tail => postcard::take_from_bytes::<Rooms>(tail).map_err(|_| GARBLED.to_owned())?.0,
    };
    // The bounds of the answers stand in the order of the reads.
    let mut rooms = rooms.0.into_iter();
    let mut query_at = |place: usize, _| {
        let query = queries.get(place).cloned().ok_or("a call asks a query that is not there")?;
        Ok((query, rooms.next().flatten()))
    };
    let calls = calls.into_iter().map(|call| call.try_map_query(&mut query_at)).collect::<Result<_, String>>()?;
    Ok(RouteRequest { cluster, from, to, timeout_ms, calls })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use raft_groups::mutants::plant;
    use raft_groups::{GroupId, ReadMode};

    use super::*;
    use crate::engine::{CollectionId, CountQuery, Lifetime, MadeBy};
    use crate::routing::LogPoint;

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
            room: (group != 2).then_some(group << 20),
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
    fn without_room_the_bytes_are_those_of_the_first_release() {
        let mut request = request();
        for call in &mut request.calls {
            if let Call::Read { room, .. } = call {
                *room = None;
            }
        }
        let bytes = encode(request.clone()).unwrap();
        let (_, tail) = unframe::<RequestForm>(&bytes).unwrap();
        assert!(tail.is_empty());
        assert_eq!(decode(&bytes).unwrap(), request);
    }

    #[test]
    fn a_query_that_is_not_there_is_an_error() {
        let (group, mode) = (GroupId(1), ReadMode::Lease);
        let read = Call::Read { group, mode, after: None, max_staleness_ms: None, query: 1, room: None };
        let form: RequestForm = ([0; 16], None, 1, 1, vec![count(1)], vec![read]);
        assert!(decode(&frame(&form, 0).unwrap()).is_err());
    }

    #[test]
    fn what_a_later_release_adds_is_skipped_and_another_version_is_named() {
        let tail = |bytes: Vec<u8>| [&bytes[..], b"a later member"].concat();
        assert_eq!(decode(&tail(encode(request()).unwrap())).unwrap(), request());
        let wrong_door = RouteResponse::Misdirected { cluster: [3; 16], node: 4 };
        assert_eq!(decode_response(&tail(encode_response(&wrong_door).unwrap())).unwrap(), wrong_door);
        let mut other = encode(request()).unwrap();
        other[0] = VERSION + 1;
        assert!(decode(&other).unwrap_err().contains("version 2"));
        let _planted = plant(Mutant::ReadsOtherVersions);
        assert_eq!(decode(&other).unwrap(), request(), "the bug is not planted");
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
