//! How a route comes into being: with its class, from which follow the layer it passes and how it is counted, and with
//! what the document of the API tells of it.
//!
//! No room beside this one adds a route to the gateway's router, so no route is without a class.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value};

use super::middleware;
use super::middleware::Route;
use super::route_class::Class;
use crate::gateway::GatewayState;
use crate::gateway::openapi::ApiDocument;
use crate::gateway::openapi::api_route::{ApiRoute, Described, JSON, RouteAnswers, answers};

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

    /// The methods that each path takes, in words.
    pub fn methods(&self) -> BTreeMap<&'static str, String> {
        let mut methods = BTreeMap::<&str, String>::new();
        for route in &self.described {
            let words = methods.entry(route.path).or_default();
            *words += if words.is_empty() { "" } else { ", " };
            *words += route.method.as_str();
        }
        methods
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
        // The layer stands before the handler, so no route can be added without the checks of its class.
        let guarded = on(filter, handler).route_layer(from_fn_with_state(route, middleware::admit));
        self.router = self.router.route(described.path, guarded);
        self.described.push(described);
        self
    }
}
