//! What every request passes, in and out: a request id, the one error body, the metrics and the log, a net for panics.
//!
//! Comes in: any request, also for paths that do not exist. Goes out: an answer that carries `X-Request-Id`; where a
//! handler left an [`ApiError`], its body. Knows no route, only its class.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use raft_groups::mutants::{Mutant, is_planted};
use tokio::time::Instant;
use uuid::Uuid;

use super::error::ApiError;
use super::route_class::Class;
use super::{browser, framing, request_body, response_body};
use crate::gateway::http::extract::answer;
use crate::gateway::http::response_body::Refusable;
use crate::gateway::openapi::api_route::Described;
use crate::gateway::state::GatewayState;
use crate::routing::RouteError;

/// The header that names a request in answers and logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken from a client.
const MAX_REQUEST_ID: usize = 128;

/// One request on its way through.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's `X-Request-Id`, or one made here.
    pub id: Arc<str>,
    /// When it came in.
    pub began: Instant,
}

impl RequestContext {
    /// Reads the client's id: 1 to 128 visible ASCII characters. Anything else is replaced, not refused, since the id
    /// is for finding a request in logs and never changes what it does.
    fn begin(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let given = given
            .filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()));
        let id = given.map_or_else(|| Uuid::new_v4().to_string().into(), Arc::from);
        Self { id, began: Instant::now() }
    }

    /// Milliseconds so far, to the microsecond.
    pub fn took_ms(&self) -> f64 {
        self.began.elapsed().as_micros() as f64 / 1_000.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::begin(&parts.headers)))
    }
}

/// It reads nothing that the document of the API tells of.
impl Described for RequestContext {}

/// The layer in front of every route.
pub async fn pass(State(state): State<GatewayState>, mut request: Request, next: Next) -> Response {
    let call = RequestContext::begin(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // Handlers find the id and the beginning of their request in its extensions.
    request.extensions_mut().insert(call.clone());
    let refusal =
        framing::check(&request).and_then(|()| browser::check(request.method(), request.headers(), &state.hosts)).err();
    let serve = async {
        match refusal {
            None => next.run(request).await,
            // The client does not speak to this API, and where its next request begins is not sure.
            Some(refusal) => ([(header::CONNECTION, "close")], refusal).into_response(),
        }
    };
    // A panic is answered like any other fault of this server, with the request's id.
    let served = AssertUnwindSafe(serve).catch_unwind().await;
    let mut response =
        served.unwrap_or_else(|panic| ApiError::Internal { reason: panic_text(panic.as_ref()) }.into_response());
    // A read may still be refused for want of memory. The answer to a write that was carried out may not.
    if method.is_safe() {
        response.extensions_mut().insert(Refusable);
    }
    if !is_planted(Mutant::LeavesRoutesUnlimited) {
        response = response_body::paid(response, &state.shown);
    }
    let response = finish(&call, response);
    // The log and the metrics see the answer that the client gets.
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    record(&state, &call, &method, route, &response);
    response
}

/// What the layer of one route knows of it.
#[derive(Clone)]
pub struct Route {
    /// What its handler can reach.
    pub state: GatewayState,
    /// What kind of request it takes.
    pub class: Class,
    /// The handler reads [`Params`](super::extract::Params). Any other route refuses a query string: what is asked for
    /// there would be ignored, a level of consistency among it.
    pub reads_query: bool,
}

/// The layer of one route, by its class.
pub async fn admit(State(route): State<Route>, request: Request, next: Next) -> Response {
    let Route { state, class, reads_query } = route;
    // A query string that the route does not read is refused, since what it asks for would be ignored.
    let checked = if reads_query { Ok(()) } else { no_query(&request) };
    // Before there is a map, nobody is told that something is not there.
    let checked = checked.and_then(|()| match class == Class::Status || state.router.map().is_formed() {
        true => Ok(()),
        false => Err(RouteError::NotFormed.into()),
    });
    let mut response = match checked {
        Ok(()) if class.carries_data() => data(&state, request, next).await,
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    response.extensions_mut().insert(class);
    response
}

/// Returns an error where the request has a query string, which nobody would read.
fn no_query(request: &Request) -> Result<(), ApiError> {
    if request.uri().query().unwrap_or_default().is_empty() {
        return Ok(());
    }
    let reason = "this request takes none; what it asks for goes into its body, as the reference says";
    Err(ApiError::invalid("query string", reason))
}

/// Serves a request that carries points, unless it would exceed the memory or the number of requests served at once.
async fn data(state: &GatewayState, request: Request, next: Next) -> Response {
    // A body that does not come must not keep others out: the place is taken once it is there.
    let (request, room) = match request_body::arrived(request, &state.limits, &state.budget).await {
        Ok(arrived) => arrived,
        Err(error) => return error.into_response(),
    };
    let is_safe = request.method().is_safe();
    match state.in_flight.try_acquire() {
        Ok(_permit) => {
            let mut response = next.run(request).await;
            // The handler is done with the body, so its memory is free for the answer.
            drop(room);
            if is_safe {
                response.extensions_mut().insert(Refusable);
            }
            response_body::paid(response, &state.budget)
        }
        Err(_) => ApiError::TooManyRequests { limit: state.limits.in_flight }.into_response(),
    }
}

/// The layer of routes from elsewhere, which may know nothing of limits: their bodies have arrived.
pub async fn elsewhere(State(state): State<GatewayState>, request: Request, next: Next) -> Response {
    if is_planted(Mutant::LeavesRoutesUnlimited) {
        return next.run(request).await;
    }
    match request_body::arrived(request, &state.limits, &state.shown).await {
        Ok((request, _room)) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Writes the error body, where there is one to write, and the request id.
fn finish(call: &RequestContext, mut response: Response) -> Response {
    // The body of an error carries the request's id and the time it took, which the error does not know.
    if let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() {
        let told = answer(response.status(), &error.body(call.id.as_ref(), call.began.elapsed()));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        // Headers that are already there, such as Allow, stay.
        response.headers_mut().extend(told.headers().clone());
        *response.body_mut() = told.into_body();
        // The pause is told in whole seconds, and 0 would ask for a flood.
        if let Some(pause) = error.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)));
        }
        response.extensions_mut().insert(error);
    }
    if let Ok(id) = HeaderValue::from_str(&call.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn record(state: &GatewayState, call: &RequestContext, method: &Method, route: &str, response: &Response) {
    let took: Duration = call.began.elapsed();
    let status = response.status();
    // Every answer is counted. Only what an operator should look into is logged as a warning.
    state.metrics.count(response.extensions().get::<Class>().copied(), method, route, status, took);
    let ms = took.as_secs_f64() * 1_000.0;
    let error = response.extensions().get::<Arc<ApiError>>();
    let status = status.as_u16();
    match error {
        // What a client may retry can come in floods; it is counted, and told to the client.
        Some(error) if status >= 500 && !error.retryable() => {
            tracing::warn!(request_id = %call.id, %method, route, status, ms, code = error.code(), %error, "request failed");
        }
        Some(error) => {
            tracing::debug!(request_id = %call.id, %method, route, status, ms, code = error.code(), %error, "request refused");
        }
        None => tracing::debug!(request_id = %call.id, %method, route, status, ms, "request served"),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("no message"))
}
