//! How a route comes into being: with its class, from which follow the layer it passes and how it is counted, and with
//! what the document of the API tells of it.
//!
//! No room beside this one adds a route to the gateway's router, so no route is without a class.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value};

use super::middleware;
use crate::gateway::GatewayState;
use crate::gateway::openapi::ApiDocument;
use crate::gateway::openapi::api_route::{ApiRoute, Described, JSON, RouteAnswers, answers};

/// What kind of request a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Tells of this process or of the cluster's health; served before there is a cluster map, too.
    Status,
    /// Tells of the cluster map or changes it.
    Admin,
    /// Reads points by id, page or number.
    Read,
    /// Searches points by vectors.
    Search,
    /// Changes points.
    Write,
}

impl Class {
    /// Returns `true` if the route carries points: it has its share of memory and of requests served at once.
    pub fn carries_data(self) -> bool {
        matches!(self, Self::Read | Self::Search | Self::Write)
    }

    /// What the document of the API calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Admin => "admin",
            Self::Read => "read",
            Self::Search => "search",
            Self::Write => "write",
        }
    }
}

/// What the layer of one route knows of it.
#[derive(Clone)]
pub struct Route {
    pub state: GatewayState,
    pub class: Class,
    /// The handler reads [`Params`](super::extract::Params). Any other route refuses a query string: what is asked for
    /// there would be ignored, a level of consistency among it.
    pub reads_query: bool,
}

/// The routes that were added so far.
pub struct Routes {
    state: GatewayState,
    router: Router<GatewayState>,
    described: Vec<ApiRoute>,
}

impl Routes {
    /// No routes yet.
    pub fn new(state: &GatewayState) -> Self {
        Self { state: state.clone(), router: Router::new(), described: Vec::new() }
    }

    /// Adds a route. What it takes follows from the extractors of its handler, `T`.
    pub fn add<H, T>(self, method: Method, path: &'static str, class: Class, handler: H, answers: RouteAnswers) -> Self
    where
        H: Handler<T, GatewayState>,
        T: Described + 'static,
    {
        let described = ApiRoute::of::<T>(method, path, class.word(), answers);
        self.insert(described, class, T::READS_QUERY, handler)
    }

    /// Adds the route of the document that tells of all routes, this one included. No route is added after it.
    pub fn add_document(self, path: &'static str) -> Self {
        let told = answers::<Map<String, Value>>("This document.");
        let described = ApiRoute::of::<((),)>(Method::GET, path, Class::Status.word(), told);
        let all = self.described.iter().chain([&described]).cloned().collect();
        let document = Arc::new(ApiDocument::new(all, self.state.limits.clone()));
        let show = move || std::future::ready(([(header::CONTENT_TYPE, JSON)], document.text()));
        self.insert(described, Class::Status, false, show)
    }

    /// The routes as the document tells them.
    #[cfg(test)]
    pub fn described(&self) -> &[ApiRoute] {
        &self.described
    }

    /// The router of all of them.
    pub fn into_router(self) -> Router<GatewayState> {
        self.router
    }

    fn insert<H, T>(mut self, described: ApiRoute, class: Class, reads_query: bool, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: 'static,
    {
        let route = Route { state: self.state.clone(), class, reads_query };
        let filter = MethodFilter::try_from(described.method.clone()).expect("routes are of HTTP's own methods");
        let guarded = on(filter, handler).route_layer(from_fn_with_state(route, middleware::admit));
        self.router = self.router.route(described.path, guarded);
        self.described.push(described);
        self
    }
}
