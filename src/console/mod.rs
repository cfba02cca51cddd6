//! The operators' page at `/console` on every node: its files are embedded in the binary and served as they are.
//!
//! The page's script asks the API of the process that serves it, and loads nothing from elsewhere. The demo's page is
//! beside the demo. It uses this room's way to serve files, and the two files that both pages load. Knows no node, no
//! cluster, no state.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file of a page: its name and its text.
pub type PageFile = (&'static str, &'static str);

/// The files that only this page loads.
const OWN: [PageFile; 2] =
    [("console.html", include_str!("page/console.html")), ("console.js", include_str!("page/console.js"))];

/// The files that both pages load.
pub const SHARED: [PageFile; 2] =
    [("dom.js", include_str!("page/dom.js")), ("style.css", include_str!("page/style.css"))];

/// The routes of the operators' page: `/console`, and its files below.
pub fn console<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/console", get(|| own("console.html"))).route("/console/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    own(&name).await
}

async fn own(name: &str) -> Response {
    served(name, &OWN)
}

/// Answers with the file of this name out of `files` and [`SHARED`], or with 404.
pub fn served(name: &str, files: &[PageFile]) -> Response {
    let Some((name, text)) = files.iter().chain(&SHARED).find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(name)),
        (header::CACHE_CONTROL, "no-cache"),
        // The page may run only its own scripts and styles, and send requests only to its own server.
        (header::CONTENT_SECURITY_POLICY, "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"),
    ];
    (headers, *text).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// The size of all files of this page in bytes.
#[cfg(test)]
pub(crate) fn console_bytes() -> usize {
    OWN.iter().chain(&SHARED).map(|(_, text)| text.len()).sum()
}

/// The names of the files in a directory of the source tree, in order.
#[cfg(test)]
pub(crate) fn names_in(dir: &str) -> Vec<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let entries = std::fs::read_dir(dir).expect("a directory of the source tree");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_the_page_is_embedded() {
        let embedded: Vec<&str> = OWN.iter().chain(&SHARED).map(|(name, _)| *name).collect();
        assert_eq!(names_in("src/console/page"), embedded);
    }
}
