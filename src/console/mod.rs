//! The web pages: `/console` on every node for operators, and the page of `quiver demo`. Files that are embedded in the
//! binary and served as they are; no page needs anything from elsewhere.
//!
//! A page's script asks the API of whoever serves it. Knows no node, no cluster and no state.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Most that all files weigh together, in bytes.
#[cfg(test)]
const BUDGET: usize = 150_000;

macro_rules! assets {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("page/", $name)))),*] };
}

/// Every file, by name.
const ASSETS: &[(&str, &str)] = assets![
    "app.js",
    "client.js",
    "console.html",
    "console.js",
    "controls.js",
    "dom.js",
    "explain.js",
    "history.js",
    "index.html",
    "lessons.js",
    "log.js",
    "model.js",
    "net.js",
    "ring.js",
    "story.js",
    "style.css",
    "timeline.js",
];

/// The operators' page at `/console`, with what it loads below.
pub fn console<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/console", get(|| served("console.html"))).route("/console/{file}", get(file))
}

/// The demo's page at `/`, with what it loads below `/app`.
pub fn demo<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(|| served("index.html"))).route("/app/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    served(&name).await
}

async fn served(name: &str) -> Response {
    let Some((name, text)) = ASSETS.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, kind(name)),
        (header::CACHE_CONTROL, "no-cache"),
        // Scripts and styles of ours alone, and requests to nobody else.
        (header::CONTENT_SECURITY_POLICY, "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"),
    ];
    (headers, *text).into_response()
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_light_and_whole() {
        let bytes: usize = ASSETS.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes <= BUDGET, "the pages weigh {bytes} bytes, {BUDGET} are allowed");
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/page");
        let mut there: Vec<String> = std::fs::read_dir(dir)
            .expect("the directory of the files above")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        assert_eq!(there, ASSETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "each file is embedded, in order");
    }
}
