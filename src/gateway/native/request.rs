//! What requests have in common: a deadline, a level, a token, limits on sizes.

use std::borrow::Cow;
use std::time::Duration;

use raft_groups::mutants::{Mutant, is_planted};
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::{Consistency, Level, ReadMembers};
use crate::engine::{MadeBy, RequestId};
use crate::gateway::consistency;
use crate::gateway::http::error::ApiError;
use crate::gateway::http::limits::LimitName;
use crate::gateway::http::middleware::RequestContext;
use crate::gateway::state::GatewayState;
use crate::placement::check_collection_name;
use crate::routing::{CallOptions, Collection, ReadOptions, RouteError};

/// When the client of `call` stops waiting.
///
/// # Errors
/// A `timeout_ms` of 0 or beyond the limit.
pub(in crate::gateway) fn deadline(
    state: &GatewayState,
    call: &RequestContext,
    timeout_ms: Option<u64>,
) -> Result<Instant, ApiError> {
    // The time counts from when the request came in.
    let allowed = state.limits.max_timeout.as_millis() as u64;
    let timeout = match timeout_ms {
        None => state.limits.default_timeout,
        Some(0) => return Err(ApiError::invalid("timeout_ms", "must be at least 1")),
        Some(value) if value > allowed => {
            return Err(ApiError::LimitExceeded {
                field: "timeout_ms".into(),
                value,
                limit: LimitName::MaxTimeout,
                allowed,
            });
        }
        Some(ms) => Duration::from_millis(ms),
    };
    Ok(call.began + timeout)
}

/// Finds a collection. A name that none can have is not found, without a question to the cluster.
///
/// # Errors
/// As [`Router::collection`](crate::routing::Router::collection); an error repeats only the start of such a name.
pub(in crate::gateway) async fn collection(
    state: &GatewayState,
    name: &str,
    deadline: Instant,
) -> Result<Collection, ApiError> {
    match check_collection_name(name) {
        Ok(()) => Ok(state.router.collection(name, deadline).await?),
        // No collection can have such a name, so the map is not asked.
        Err(bad) => Err(RouteError::CollectionNotFound { name: bad.name }.into()),
    }
}

/// Finds a collection, and what `decide` makes of its settings. A refusal counts only if the newest settings lead to
/// it: those that this process knows may be of a collection that was dropped and made anew since.
///
/// # Errors
/// What `decide` says of the newest settings, or why they could not be read.
pub(super) async fn fitting<T>(
    state: &GatewayState,
    name: &str,
    deadline: Instant,
    decide: impl Fn(&Collection) -> Result<T, ApiError>,
) -> Result<(Collection, T), ApiError> {
    // The known settings are most often right, and then the map is not read.
    let known = collection(state, name, deadline).await?;
    let refusal = match decide(&known) {
        Ok(decided) => return Ok((known, decided)),
        Err(refusal) => refusal,
    };
    // A refusal is checked against the newest settings before the client hears it.
    match now(state, &known, deadline).await? {
        None => Err(refusal),
        Some(current) => decide(&current).map(|decided| (current, decided)),
    }
}

/// `refusal`, if the collection is still the one known, by which it was decided. Otherwise the error that it is another
/// one by now, or why the map could not be read.
pub(in crate::gateway) async fn confirmed(
    state: &GatewayState,
    known: &Collection,
    refusal: ApiError,
    deadline: Instant,
) -> ApiError {
    match now(state, known, deadline).await {
        Ok(None) => refusal,
        Ok(Some(current)) => RouteError::CollectionReplaced { name: current.name }.into(),
        Err(error) => error,
    }
}

/// The collection in the newest map; `None` where it is the one known.
async fn now(state: &GatewayState, known: &Collection, deadline: Instant) -> Result<Option<Collection>, ApiError> {
    let (map, name) = (state.router.read_map(deadline).await?, known.name.clone());
    let Some(entry) = map.collections.get(&name) else { return Err(RouteError::CollectionNotFound { name }.into()) };
    Ok((entry.id != known.entry.id).then(|| Collection { name, entry: entry.clone() }))
}

/// Checks the name of a collection that is to be made or dropped, before any log sees it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    check_collection_name(name).map_err(|bad| RouteError::from(bad).into())
}

/// Checks that one more collection may be, or that `name` is one already. Others that are created at the same moment are
/// not seen, so that a few more than the limit can come to be.
///
/// # Errors
/// There are as many as may be.
pub(super) fn check_collections(state: &GatewayState, name: &str) -> Result<(), ApiError> {
    let (map, allowed) = (state.router.map(), state.limits.collections);
    let is_full = map.collections.len() >= allowed && !is_planted(Mutant::CollectsWithoutEnd);
    match is_full && !map.collections.contains_key(name) {
        true => Err(over("collections", map.collections.len() + 1, LimitName::Collections, allowed)),
        false => Ok(()),
    }
}

/// The level that `asked` comes to in `collection`.
///
/// # Errors
/// Zero replicas.
pub(in crate::gateway) fn level(
    state: &GatewayState,
    collection: &Collection,
    asked: Option<Level>,
) -> Result<Consistency, ApiError> {
    // The map holds the word this gateway wrote when the collection was created; any other means a newer version wrote it.
    let default = collection.entry.default_consistency;
    consistency::resolve("consistency", asked, default, state.router.map().replication_factor)
}

/// What a read says of its freshness, in the words of routing.
///
/// # Errors
/// An `after` that is no token.
pub(super) fn read_options(asked: ReadMembers, level: Consistency, deadline: Instant) -> Result<ReadOptions, ApiError> {
    Ok(ReadOptions {
        mode: consistency::read_mode(level),
        after: asked.after.map(|text| text.parse()).transpose()?,
        max_staleness: asked.max_staleness_ms.map(Duration::from_millis),
        allow_partial: asked.allow_partial,
        deadline,
    })
}

/// The options of a write, which always has a name: the client's or one made here.
pub(super) fn call_options(request_id: Option<Uuid>, deadline: Instant) -> CallOptions {
    let made_by = if request_id.is_some() { MadeBy::Client } else { MadeBy::Gateway };
    CallOptions { deadline, request_id: RequestId(request_id.unwrap_or_else(Uuid::new_v4)), made_by }
}

/// Checks the length of a batch.
///
/// # Errors
/// None, or more than the limit.
pub(super) fn check_batch(state: &GatewayState, field: &'static str, length: usize) -> Result<(), ApiError> {
    let allowed = state.limits.batch;
    match length {
        0 => Err(ApiError::invalid(field, "is empty: nothing to do")),
        _ if length > allowed => Err(over(field, length, LimitName::Batch, allowed)),
        _ => Ok(()),
    }
}

/// Checks the number of searches in one request.
///
/// # Errors
/// None, or more than the limit.
pub(super) fn check_searches(state: &GatewayState, length: usize) -> Result<(), ApiError> {
    let allowed = state.limits.searches;
    match length {
        0 => Err(ApiError::invalid("searches", "is empty: nothing to do")),
        _ if length > allowed => Err(over("searches", length, LimitName::Searches, allowed)),
        _ => Ok(()),
    }
}

/// Checks how many results the searches of a request ask for together: the sum of `offset` and `limit` as written.
///
/// # Errors
/// More than the limit.
pub(super) fn check_gathered(state: &GatewayState, searches: usize, gathered: usize) -> Result<(), ApiError> {
    let allowed = state.limits.limit;
    match searches > 1 && gathered > allowed {
        true => Err(over(format!("offset + limit of {searches} searches"), gathered, LimitName::Limit, allowed)),
        false => Ok(()),
    }
}

fn over(field: impl Into<Cow<'static, str>>, value: usize, limit: LimitName, allowed: usize) -> ApiError {
    ApiError::LimitExceeded { field: field.into(), value: value as u64, limit, allowed: allowed as u64 }
}

/// Checks the length of a page, where `skipped` more are gathered and thrown away. A search by id gathers one more, the
/// point itself, so that it may ask for one less.
///
/// # Errors
/// 0, or more than the limit; the numbers are those that the client wrote.
pub(super) fn check_page(state: &GatewayState, limit: usize, skipped: usize, by_id: bool) -> Result<(), ApiError> {
    // A search by id finds the point itself, too, which takes one place.
    let allowed = state.limits.limit - usize::from(by_id);
    let over = |field, value| Err(over(field, value, LimitName::Limit, allowed));
    let gathered = limit.saturating_add(skipped);
    match limit {
        0 => Err(ApiError::invalid("limit", "must be at least 1")),
        _ if limit > allowed => over(if by_id { "limit of a search by id" } else { "limit" }, limit),
        _ if gathered > allowed => {
            over(if by_id { "offset + limit of a search by id" } else { "offset + limit" }, gathered)
        }
        _ => Ok(()),
    }
}
