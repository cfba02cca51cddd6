//! Answers on their way out: the memory that they hold is paid for until the client has taken it.
//!
//! Comes in: an answer that is whole. Goes out: the same, piece by piece, so that what is still here is known.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use raft_groups::mutants::{Mutant, is_planted};

use super::error::ApiError;
use crate::gateway::http::request_body::{Budget, HeldMemory};
use crate::routing::RouteError;

/// Bytes that are handed on at once. Answers that are no longer are not worth the trouble.
pub const PIECE: usize = 64 << 10;

/// Says of an answer that it may be refused, since it tells of no change and can be asked for again. An answer that
/// tells of one is given whatever it takes: to refuse it would say that nothing was changed.
#[derive(Debug, Clone, Copy)]
pub struct Refusable;

/// Says of an answer that it is paid for.
#[derive(Debug, Clone, Copy)]
struct Paid;

/// `response`, whose body is paid for out of `budget` until it is sent; an answer that is paid for already stays as it
/// is. Without enough memory, now or ever, the error that says so.
pub fn paid(mut response: Response, budget: &Budget) -> Response {
    // An answer of unknown length, such as a stream, counts as small and is not paid for.
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    if size <= PIECE || response.extensions_mut().insert(Paid).is_some() {
        return response;
    }
    let is_refusable = response.extensions().get::<Refusable>().is_some();
    match budget.taken(size) {
        Ok(_) if is_planted(Mutant::AnswersForFree) => response,
        Ok(taken) => response.map(|body| Body::new(Departing { body, rest: Bytes::new(), _taken: taken })),
        // To refuse an answer that tells of a change would say that nothing was changed.
        Err(_) if !is_refusable => response,
        // This answer never fits, however long the client waits.
        Err(_) if size > budget.bytes() => {
            ApiError::from(RouteError::AnswerTooLarge { limit: budget.bytes() as u64 }).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// A body in pieces.
struct Departing {
    body: Body,
    /// What the body has given and is not handed on yet.
    rest: Bytes,
    _taken: HeldMemory,
}

impl HttpBody for Departing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next frame is taken once the whole of the last one is on its way.
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use raft_groups::mutants::plant;

    use super::*;

    #[tokio::test]
    async fn an_answer_holds_its_memory_until_its_last_piece_is_taken() {
        let budget = Budget::new(1 << 20);
        let sized = |bytes: usize| {
            let mut response = Response::new(Body::from(vec![7; bytes]));
            response.extensions_mut().insert(Refusable);
            response
        };
        let large = || sized(600 << 10);
        let first = paid(large(), &budget);
        assert_eq!(first.body().size_hint().exact(), Some(600 << 10));
        assert_eq!(paid(large(), &budget).status(), 503, "there is no memory for two");
        assert_eq!(paid(sized(9), &budget).status(), 200);
        assert_eq!(paid(Response::new(Body::from(vec![7; 600 << 10])), &budget).status(), 200, "it tells of a change");
        let (mut total, mut pieces) = (0, first.into_body().into_data_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= PIECE && piece.iter().all(|byte| *byte == 7));
            total += piece.len();
        }
        assert_eq!(total, 600 << 10);
        drop(pieces);
        assert_eq!(paid(large(), &budget).status(), 200);
        assert_eq!(paid(sized((1 << 20) + 1), &budget).status(), 400, "there never is so much memory");
        let _planted = plant(Mutant::AnswersForFree);
        let _held = [paid(large(), &budget), paid(large(), &budget)];
        assert_eq!(paid(large(), &budget).status(), 200, "the bug is not planted");
    }
}
