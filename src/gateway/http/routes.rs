//! How a route comes into being: with its class, from which follow the layer it passes and how it is counted.
//!
//! No room beside this one adds a route to the gateway's router, so no route is without a class.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};

use super::middleware;
use super::middleware::Route;
use super::route_class::Class;
use crate::gateway::GatewayState;

/// The routes that were added so far.
pub struct Routes {
    state: GatewayState,
    router: Router<GatewayState>,
}

impl Routes {
    /// No routes yet.
    pub fn new(state: &GatewayState) -> Self {
        Self { state: state.clone(), router: Router::new() }
    }

    /// Adds a route that takes no query string.
    pub fn add<H, T>(self, method: Method, path: &str, class: Class, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: 'static,
    {
        self.insert(method, path, class, false, handler)
    }

    /// Adds a route whose handler reads its query string.
    pub fn add_with_query<H, T>(self, method: Method, path: &str, class: Class, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: 'static,
    {
        self.insert(method, path, class, true, handler)
    }

    /// The router of all of them.
    pub fn into_router(self) -> Router<GatewayState> {
        self.router
    }

    fn insert<H, T>(mut self, method: Method, path: &str, class: Class, reads_query: bool, handler: H) -> Self
    where
        H: Handler<T, GatewayState>,
        T: 'static,
    {
        let route = Route { state: self.state.clone(), class, reads_query };
        let filter = MethodFilter::try_from(method).expect("routes are of HTTP's own methods");
        let guarded = on(filter, handler).route_layer(from_fn_with_state(route, middleware::admit));
        self.router = self.router.route(path, guarded);
        self
    }
}
