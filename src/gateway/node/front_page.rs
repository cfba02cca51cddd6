//! `GET /` and `GET /reference`: where a newcomer finds what there is.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::http::extract::answer;

/// The reference of the HTTP API, in Markdown.
pub(in crate::gateway) const REFERENCE: &str = include_str!("../../api/README.md");

pub(in crate::gateway) async fn show() -> Response {
    let links = json!({
        "reference": "/reference",
        "console": "/console",
        "health": "/health",
        "cluster_health": "/cluster/health",
        "collections": "/collections",
        "metrics": "/metrics",
    });
    answer(StatusCode::OK, &json!({"title": "Quiver", "version": env!("CARGO_PKG_VERSION"), "links": links}))
}

pub(in crate::gateway) async fn reference() -> Response {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], REFERENCE).into_response()
}
