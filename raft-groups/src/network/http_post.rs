//! One POST of the HTTP transport: requests in a body, and their replies in the same order.
//!
//! Comes in: requests and the address of their node. Goes out: a reply for each, or why there is none. If the other
//! side has no memory for a body, the small requests in it are sent again. [`super::http`] knows who waits, and for
//! which node.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;

use super::frames::{FRAME_HEAD, join_frames, split_frames};

/// A body of at most this many bytes is taken however little memory there is. Whoever bounds the bodies of the
/// [`router`](super::http::router) must take these: they carry heartbeats and votes, if need be without the larger
/// requests beside them.
pub const FREE_BODY_BYTES: usize = 64 << 10;
/// The answer to a body for which there is no memory. Nothing of the body was read.
pub const CROWDED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// A POST that was not answered.
#[derive(Debug)]
pub(super) struct FailedPost {
    pub reason: String,
    /// `true` if the other side has no memory for it.
    pub crowded: bool,
}

/// Sends requests in one POST. If the other side has no memory for it, the small ones are sent again. Returns a
/// result for each request in order, or why the POST as a whole failed.
pub(super) async fn post_batch(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
) -> Result<Vec<Result<Bytes, String>>, String> {
    match post_frames(client, url, requests, deadline).await {
        Ok(replies) => Ok(replies.into_iter().map(Ok).collect()),
        Err(lost) if lost.crowded => Ok(post_small(client, url, requests, deadline, lost.reason).await),
        Err(lost) => Err(lost.reason),
    }
}

/// Sends requests in one POST. Returns their replies in order.
pub(super) async fn post_frames(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
) -> Result<Vec<Bytes>, FailedPost> {
    let lost = |reason: String| FailedPost { reason, crowded: false };
    let sent = client.post(format!("{url}/raft")).timeout(deadline).body(join_frames(requests)).send().await;
    let response = sent.map_err(|error| lost(describe(&error)))?;
    // A refusal for lack of memory differs from all others: small requests may still be taken.
    match response.status() {
        StatusCode::OK => {}
        CROWDED => return Err(FailedPost { reason: "it has no memory for the request now".to_owned(), crowded: true }),
        other => return Err(lost(format!("it answered {other}"))),
    }
    let body = response.bytes().await.map_err(|error| lost(describe(&error)))?;
    // Replies belong to requests by their order, so their number must fit.
    let replies = split_frames(body).filter(|replies| replies.len() == requests.len());
    replies.ok_or_else(|| lost("its reply is cut short".to_owned()))
}

/// Sends the small requests of a refused body again. The large ones fail with `reason`, and their senders repeat
/// them later.
async fn post_small(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
    reason: String,
) -> Vec<Result<Bytes, String>> {
    // What is not sent again keeps the first reason.
    let mut replies = vec![Err(reason); requests.len()];
    for places in small_bodies(requests) {
        let again: Vec<Bytes> = places.iter().map(|place| requests[*place].clone()).collect();
        match post_frames(client, url, &again, deadline).await {
            Ok(came) => places.into_iter().zip(came).for_each(|(place, reply)| replies[place] = Ok(reply)),
            Err(lost) => places.into_iter().for_each(|place| replies[place] = Err(lost.reason.clone())),
        }
    }
    replies
}

/// Groups the places of the small requests into bodies that are always taken. A request that fits into no such body
/// is left out. The result is empty if all requests fit into one such body, because that body was refused already.
fn small_bodies(requests: &[Bytes]) -> Vec<Vec<usize>> {
    let (mut bodies, mut room) = (Vec::<Vec<usize>>::new(), 0);
    let frame = |request: &Bytes| request.len() + FRAME_HEAD;
    if requests.iter().map(frame).sum::<usize>() <= FREE_BODY_BYTES {
        return bodies;
    }
    for (place, length) in requests.iter().map(frame).enumerate().filter(|(_, length)| *length <= FREE_BODY_BYTES) {
        // First fit in order: a body is closed once the next request does not fit.
        if length > room {
            bodies.push(Vec::new());
            room = FREE_BODY_BYTES;
        }
        room -= length;
        bodies.last_mut().expect("one was just begun").push(place);
    }
    bodies
}

/// Returns an error with its causes. reqwest's own text does not say what happened.
fn describe(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        text = format!("{text}{}{error}", if text.is_empty() { "" } else { ": " });
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_small_goes_again_in_bodies_that_are_always_taken(
            lengths in prop::collection::vec(prop_oneof![0_usize..200, 0..FREE_BODY_BYTES * 2], 0..20)
        ) {
            let requests: Vec<Bytes> = lengths.iter().map(|length| Bytes::from(vec![0; *length])).collect();
            let bodies = small_bodies(&requests);
            for body in &bodies {
                let frames: Vec<Bytes> = body.iter().map(|place| requests[*place].clone()).collect();
                prop_assert!(!body.is_empty() && join_frames(&frames).len() <= FREE_BODY_BYTES);
            }
            let all_are_free = join_frames(&requests).len() <= FREE_BODY_BYTES;
            let small = (0..requests.len()).filter(|place| requests[*place].len() + FRAME_HEAD <= FREE_BODY_BYTES);
            let wanted: Vec<usize> = if all_are_free { Vec::new() } else { small.collect() };
            prop_assert_eq!(bodies.concat(), wanted);
        }
    }
}
