//! `GET /` and `GET /reference`: where a newcomer finds what there is.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::FrontPage;
use crate::gateway::http::extract::answer;

/// The reference of the HTTP API, in Markdown.
pub(in crate::gateway) const REFERENCE: &str = include_str!("../../api/README.md");

pub(in crate::gateway) async fn show() -> Response {
    let links = [
        ("reference", "/reference"),
        ("openapi", "/openapi.json"),
        ("console", "/console"),
        ("health", "/health"),
        ("cluster_health", "/cluster/health"),
        ("collections", "/collections"),
        ("metrics", "/metrics"),
    ];
    let links = links.into_iter().map(|(name, path)| (name.to_owned(), path.to_owned())).collect();
    let (title, version) = ("Quiver".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    answer(StatusCode::OK, &FrontPage { title, version, links })
}

pub(in crate::gateway) async fn reference() -> Response {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], REFERENCE).into_response()
}
