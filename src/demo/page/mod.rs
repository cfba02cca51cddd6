//! The demo's own page at `/`, with its scripts below `/app`. The files are embedded and served as they are.
//!
//! `model.js` and `explain.js` are pure. Only `net.js` asks the supervisor. Style and `dom.js` are those of the
//! operators' page. Knows nothing of the supervisor's routes.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::console::{self, PageFile};

/// Embeds files that are beside this one.
macro_rules! embedded {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!($name))),*] };
}

/// Every file, by name.
const FILES: [PageFile; 13] = embedded![
    "app.js",
    "client.js",
    "controls.js",
    "explain.js",
    "history.js",
    "index.html",
    "lessons.js",
    "log.js",
    "model.js",
    "net.js",
    "ring.js",
    "story.js",
    "timeline.js",
];

/// The routes of the page and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = async |Path(name): Path<String>| served(&name);
    Router::new().route("/", get(async || served("index.html"))).route("/app/{file}", get(file))
}

fn served(name: &str) -> Response {
    console::served(name, &FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most that the files weigh together, those of the operators' page included, in bytes.
    const BUDGET: usize = 150_000;

    #[test]
    fn the_pages_are_light_and_whole() {
        let operators: usize = console::console_bytes();
        let bytes: usize = FILES.iter().map(|(_, text)| text.len()).sum::<usize>() + operators;
        assert!(bytes <= BUDGET, "the pages weigh {bytes} bytes, {BUDGET} are allowed");
        let scripts = console::names_in("src/demo/page").into_iter().filter(|name| name != "mod.rs");
        assert_eq!(scripts.collect::<Vec<_>>(), FILES.map(|(name, _)| name), "each file is embedded, in order");
    }
}
