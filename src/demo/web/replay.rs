//! `--replay FILE`: the page shows a recording, without a cluster.
//!
//! In: a file that the page saved. Out: those of the demo's routes that only show something.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use super::json::Json;
use crate::demo::page;
use crate::demo::web::guarded;

/// The routes that show a recording. They are served at `address`.
///
/// # Errors
/// The file cannot be read, or is no recording.
pub(crate) fn router(file: &Path, address: SocketAddr) -> anyhow::Result<Router> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let head = text.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok()).unwrap_or_default();
    // The first line says that it is a recording, and has the state of the cluster.
    anyhow::ensure!(
        head["recording"] == 1,
        "{} is no recording: save one from the page, or from /api/recording",
        file.display()
    );
    let mut state = head["state"].clone();
    state["replay"] = true.into();
    let state = move || async move { Json(state) };
    let text = move || async move { ndjson(text) };
    let app = page::router().route("/api/state", get(state)).route("/api/recording", get(text));
    Ok(guarded(app, address))
}

/// Answers with lines of JSON as a file to save.
pub(crate) fn ndjson(text: String) -> Response {
    let name = "attachment; filename=\"quiver-demo.ndjson\"";
    ([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_DISPOSITION, name)], text).into_response()
}
