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
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::api::events::{EventFacts, GAP, kind};

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

    /// What the demo itself tells, beside the nodes' events.
    const OWN_KINDS: [&str; 14] = [
        GAP,
        "client",
        "lesson",
        "link_cut",
        "link_delayed",
        "link_healed",
        "node_died",
        "node_killed",
        "node_paused",
        "node_removed",
        "node_restarted",
        "node_resumed",
        "node_up",
        "node_wiped",
    ];
    /// What a page notes for itself in its history.
    const NOTE: &str = "log_read";

    /// The sources that tell them.
    const TELLERS: [&str; 6] = [
        include_str!("../supervisor/mod.rs"),
        include_str!("../supervisor/members.rs"),
        include_str!("../supervisor/event_reader.rs"),
        include_str!("../supervisor/links.rs"),
        include_str!("../supervisor/client_requests.rs"),
        include_str!("../lessons/mod.rs"),
    ];

    fn page(name: &str) -> &'static str {
        FILES.iter().find(|(file, _)| *file == name).expect("it is embedded").1
    }

    /// The functions of an object by the kinds of events that they take: the object is a constant of this name.
    fn by_kind(page: &'static str, constant: &str) -> BTreeMap<&'static str, String> {
        let (_, rest) = page.split_once(&format!("const {constant} = {{\n")).expect("the page has this object");
        let (object, _) = rest.split_once("\n};").expect("it ends");
        let mut functions: BTreeMap<&str, String> = BTreeMap::new();
        let mut last = "";
        for line in object.lines() {
            let name =
                line.strip_prefix("  ").filter(|line| line.starts_with(|letter: char| letter.is_ascii_lowercase()));
            let name = name.and_then(|line| line.split([':', '(']).next());
            last = name.unwrap_or(last);
            functions.entry(last).or_default().push_str(line);
        }
        functions
    }

    /// The members of each kind of event, as the schemas say, those of all events among them.
    fn members() -> BTreeMap<String, BTreeSet<String>> {
        let common = ["seq", "at", "node", "group", "term", "kind"].map(str::to_owned);
        let kinds = serde_json::to_value(schemars::schema_for!(EventFacts)).unwrap();
        let forms = kinds["oneOf"].as_array().unwrap().iter().map(|form| &form["properties"]);
        let of = |form: &serde_json::Value| {
            let own = form.as_object().unwrap().keys().cloned();
            (form["kind"]["const"].as_str().unwrap().to_owned(), own.chain(common.clone()).collect())
        };
        forms.map(of).collect()
    }

    /// The names that follow `event.` in a script.
    fn read_of<'s>(script: &'s str, event: &str) -> BTreeSet<&'s str> {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let after = |(place, _): (usize, &str)| {
            let before = script[..place].chars().next_back();
            let rest = &script[place + event.len() + 1..];
            let name = &rest[..rest.find(|letter| !is_name(letter)).unwrap_or(rest.len())];
            (!before.is_some_and(is_name)).then_some(name)
        };
        script.match_indices(&format!("{event}.")).filter_map(after).collect()
    }

    #[test]
    fn pages_name_kinds_and_members_that_events_have() {
        for kind in OWN_KINDS.iter().filter(|kind| **kind != GAP) {
            assert!(TELLERS.iter().any(|source| source.contains(&format!("\"{kind}\""))), "nobody tells of {kind}");
        }
        let members = members();
        assert!(kind::ALL.iter().all(|kind| members.contains_key(*kind)) && members.len() == kind::ALL.len());
        let (told, changes) = (by_kind(page("explain.js"), "tell"), by_kind(page("model.js"), "changes"));
        let known: BTreeSet<&str> = kind::ALL.iter().chain(&OWN_KINDS).copied().chain([NOTE]).collect();
        assert_eq!(told.keys().copied().collect::<BTreeSet<_>>(), known, "each kind is told, and no other");
        assert!(changes.keys().all(|kind| known.contains(kind)), "{:?}", changes.keys());
        for (functions, event) in [(&told, "e"), (&changes, "event")] {
            for (kind, script) in functions {
                let Some(members) = members.get(*kind) else { continue };
                let foreign: Vec<_> =
                    read_of(script, event).into_iter().filter(|name| !members.contains(*name)).collect();
                assert!(foreign.is_empty(), "{kind} has no {foreign:?}");
            }
        }
    }
}
