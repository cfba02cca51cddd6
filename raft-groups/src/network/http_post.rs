//! One POST of the transport over HTTP: requests in a body, and their replies in the same order.
//!
//! Comes in: requests and where their node is. Goes out: a reply for each, or why there is none. Where the other side
//! has no memory for a body, what is small in it goes again alone. Who waits, and for which node, is [`super::http`]'s
//! matter.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;

use super::frames::{FRAME_HEAD, join_frames, split_frames};

/// Bytes of a body that is taken however little memory there is. Whoever bounds the bodies of the
/// [`router`](super::http::router) must take these: heartbeats and votes are in them, if need be without the larger
/// requests beside them.
pub const FREE_BODY_BYTES: usize = 64 << 10;
/// What whoever bounds the bodies answers where there is no memory for one; nothing of it was looked at.
pub const CROWDED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// A POST that was not answered.
#[derive(Debug)]
pub(super) struct FailedPost {
    pub reason: String,
    /// `true` if the other side has no memory for it.
    pub crowded: bool,
}

/// Sends requests in one POST, and what is small in them again alone where there is no memory for all.
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

/// Sends requests in one POST.
pub(super) async fn post_frames(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
) -> Result<Vec<Bytes>, FailedPost> {
    let lost = |reason: String| FailedPost { reason, crowded: false };
    let sent = client.post(format!("{url}/raft")).timeout(deadline).body(join_frames(requests)).send().await;
    let response = sent.map_err(|error| lost(describe(&error)))?;
    match response.status() {
        StatusCode::OK => {}
        CROWDED => return Err(FailedPost { reason: "it has no memory for the request now".to_owned(), crowded: true }),
        other => return Err(lost(format!("it answered {other}"))),
    }
    let body = response.bytes().await.map_err(|error| lost(describe(&error)))?;
    let replies = split_frames(body).filter(|replies| replies.len() == requests.len());
    replies.ok_or_else(|| lost("its reply is cut short".to_owned()))
}

/// Sends again what was in a body that the other side has no memory for, but for what is large: that is refused for
/// `reason`, and whoever sent it tries again later.
async fn post_small(
    client: &reqwest::Client,
    url: &str,
    requests: &[Bytes],
    deadline: Duration,
    reason: String,
) -> Vec<Result<Bytes, String>> {
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

/// The places of the requests that fit into a body which is always taken, by such bodies; not those that fit into
/// none, and none where all were in such a body already.
fn small_bodies(requests: &[Bytes]) -> Vec<Vec<usize>> {
    let (mut bodies, mut room) = (Vec::<Vec<usize>>::new(), 0);
    let frame = |request: &Bytes| request.len() + FRAME_HEAD;
    if requests.iter().map(frame).sum::<usize>() <= FREE_BODY_BYTES {
        return bodies;
    }
    for (place, length) in requests.iter().map(frame).enumerate().filter(|(_, length)| *length <= FREE_BODY_BYTES) {
        if length > room {
            bodies.push(Vec::new());
            room = FREE_BODY_BYTES;
        }
        room -= length;
        bodies.last_mut().expect("one was just begun").push(place);
    }
    bodies
}

/// An error with its causes: reqwest's own text leaves out what happened.
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
