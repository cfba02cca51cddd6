//! Records what clients saw as Jepsen histories, and has `jepsen-lite`'s checkers judge them.
//!
//! Registers, the set and the reads of followers are three histories, because each has a model of its own. An
//! unknown outcome is `info`, and its client continues under a new process number, as Jepsen requires.

use std::collections::BTreeMap;
use std::sync::Arc;

use jepsen_lite::check::{CheckLimits, ConsistencyModel, HistoryVerdict, check};
use jepsen_lite::history::edn::Edn;
use jepsen_lite::history::{History, HistoryEvent, HistoryProcess, Type};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::coverage::Coverage;

/// The distance between the successive process numbers of one client.
const LIVES_APART: i64 = 100;
/// Clients of the sessions' history from this number on pass no tokens. For their reads less must hold.
pub const TOKENLESS: i64 = 50;

/// One of the histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Book {
    Registers,
    Set,
    Sessions,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Ok(Edn),
    /// It was certainly not done. The text says why; a failed comparison is `mismatch`.
    Fail(&'static str),
    Unknown,
}

/// The histories of a run; clones share them.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    began: Instant,
    histories: BTreeMap<Book, History>,
    /// How many operations ended in which way: by function, level and end.
    ends: BTreeMap<(&'static str, String, &'static str), u64>,
    /// The planted bug of the harness itself: an unknown outcome is recorded as a failure.
    lies: bool,
}

/// Records the operations of one client, one at a time, in one history.
pub struct Pen {
    recorder: Recorder,
    book: Book,
    process: i64,
}

impl Recorder {
    pub fn new(lies: bool) -> Self {
        let (histories, ends) = (BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Inner { began: Instant::now(), histories, ends, lies })))
    }

    /// Returns the pen of client number `client`, which must be below [`LIVES_APART`].
    pub fn pen(&self, book: Book, client: i64) -> Pen {
        Pen { recorder: self.clone(), book, process: client }
    }

    fn write(&self, book: Book, event: HistoryEvent) {
        let mut inner = self.0.lock();
        let now = inner.began.elapsed().as_nanos() as i64;
        inner.histories.entry(book).or_default().events.push(event.at(now));
    }

    /// Records in all histories what the nemesis did.
    pub fn note(&self, what: &str) {
        for book in [Book::Registers, Book::Set, Book::Sessions] {
            let mut event = HistoryEvent::new(0, Type::Info, "nemesis", Edn::Str(what.to_owned()));
            event.process = HistoryProcess::Named("nemesis".to_owned());
            self.write(book, event);
        }
    }

    /// Adds to `coverage` how operations ended.
    pub fn count(&self, coverage: &mut Coverage) {
        for ((f, level, how), times) in &self.0.lock().ends {
            coverage.add("operations", *times);
            coverage.add("operations done", if *how == "ok" { *times } else { 0 });
            let what = match (*f, level.as_str(), *how) {
                ("read", ":quorum", "ok") => "a lease read served",
                ("read", ":quorum", _) => "a lease read refused",
                ("read", ":all", "fail") => "a linearizable read refused",
                ("read", ":one", "ok") => "a follower read served",
                (_, _, "info") => "a write of unknown fate",
                ("cas", _, "mismatch") => "a comparison that failed",
                _ => continue,
            };
            coverage.add(what, *times);
        }
    }

    /// Returns all histories as lines of JSON.
    pub fn lines(&self) -> String {
        let inner = self.0.lock();
        inner.histories.iter().map(|(book, history)| format!("// {book:?}\n{}", history.to_jsonl())).collect()
    }

    /// Returns what the checkers find wrong, each with the checker's name.
    pub fn judge(&self) -> Vec<(&'static str, String)> {
        let inner = self.0.lock();
        let of = |book| inner.histories.get(&book).cloned().unwrap_or_default();
        // The session model holds for clients with tokens. All clients must see no node go back.
        let sessions = of(Book::Sessions);
        let mut with_tokens = sessions.clone();
        with_tokens.events.retain(|event| match event.process {
            HistoryProcess::Client(process) => event.f != "read" || process % LIVES_APART < TOKENLESS,
            HistoryProcess::Named(_) => false,
        });
        let judgements = [
            ("linearizability", of(Book::Registers), ConsistencyModel::CasRegister),
            ("set", of(Book::Set), ConsistencyModel::Set),
            ("session", with_tokens, ConsistencyModel::Session),
            ("node session", sessions, ConsistencyModel::NodeSession),
        ];
        let found = judgements.into_iter().map(|(name, history, model)| {
            let verdict = check(&history, model, CheckLimits::default()).map_err(|error| error.to_string());
            (name, verdict)
        });
        found.filter_map(|(name, verdict)| Some((name, wrong(verdict)?))).collect()
    }
}

fn wrong(verdict: Result<HistoryVerdict, String>) -> Option<String> {
    match verdict {
        Ok(HistoryVerdict::Ok) => None,
        Ok(HistoryVerdict::Illegal(violation)) => Some(format!("{}: {}", violation.class, violation.cause)),
        Ok(HistoryVerdict::Unknown(why)) | Err(why) => Some(format!("no verdict: {why}")),
    }
}

impl Pen {
    /// Returns the client's number.
    pub fn number(&self) -> u64 {
        (self.process % LIVES_APART) as u64
    }

    /// Records that an operation begins, at the replica of this name.
    pub fn begin(&self, f: &'static str, value: Edn, node: String) {
        let event = HistoryEvent::new(self.process, Type::Invoke, f, value);
        self.recorder.write(self.book, event.with("node", Edn::Str(node)));
    }

    /// Records that the operation ends. `members` are further members of the event.
    pub fn end(&mut self, f: &'static str, value: Edn, end: End, members: &[(&str, Edn)]) {
        let lies = self.recorder.0.lock().lies;
        let (kind, value, error) = match end {
            End::Ok(output) => (Type::Ok, output, None),
            End::Fail(error) => (Type::Fail, value, Some(error)),
            End::Unknown if lies => (Type::Fail, value, Some("lost")),
            End::Unknown => (Type::Info, value, None),
        };
        let mut event = HistoryEvent::new(self.process, kind, f, value);
        for (name, value) in members {
            event = event.with(name, value.clone());
        }
        if let Some(error) = error {
            event = event.with("error", Edn::keyword(error));
        }
        self.recorder.write(self.book, event);
        let level = members.iter().find(|(name, _)| *name == "level").map(|(_, level)| level.to_string());
        let how = error.filter(|error| *error == "mismatch").unwrap_or(kind.name());
        *self.recorder.0.lock().ends.entry((f, level.unwrap_or_default(), how)).or_default() += 1;
        // The operation may still take effect, so its process never acts again.
        if kind == Type::Info {
            self.process += LIVES_APART;
        }
    }
}
