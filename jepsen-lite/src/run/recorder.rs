//! The one clock and the one list: every event of a run in the order in which it was seen.
//!
//! Each is written to a file as it comes, so that a run that is interrupted, or whose harness dies, leaves its history.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::harness::client::{AnswerClass, ApiAnswer};
use crate::judge::history::edn::Edn;
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};

/// Writes down what happens. Clones write to the same list.
#[derive(Clone, Debug)]
pub struct HistoryRecorder {
    start: Instant,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    history: History,
    /// The same as EDN; `None` once it could not be written.
    file: Option<File>,
}

impl HistoryRecorder {
    /// Begins the history of this header, and the file of it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn start(header: Vec<(String, Edn)>, path: &Path) -> Result<Self> {
        let history = History { header, events: Vec::new() };
        let begin = || {
            let mut file = File::create(path)?;
            file.write_all(history.to_edn().as_bytes())?;
            std::io::Result::Ok(file)
        };
        let file = Some(begin().with_context(|| format!("writing {}", path.display()))?);
        Ok(Self { start: Instant::now(), book: Arc::new(Mutex::new(Book { history, file })) })
    }

    /// An event of a client; its time is taken here.
    pub fn client(&self, process: i64, kind: Type, f: &str, value: Edn, extra: Vec<(String, Edn)>) {
        self.push(HistoryProcess::Client(process), kind, f, value, extra);
    }

    /// A whole read, once it was answered: what was asked, and what was shown. `within` is when it began and ended, or more.
    /// The process does nothing else, for only then its clock does not go back.
    pub fn read(&self, process: i64, within: (Instant, Instant), [asked, shown]: [Edn; 2], extra: Vec<(String, Edn)>) {
        let since_start = |instant: Instant| instant.saturating_duration_since(self.start).as_nanos() as i64;
        let mut book = self.book();
        book.push(HistoryEvent::new(process, Type::Invoke, "read", asked).at(since_start(within.0)));
        let end = HistoryEvent::new(process, Type::Ok, "read", shown).at(since_start(within.1));
        book.push(HistoryEvent { extra, ..end });
    }

    /// Something that was done to the cluster, or seen of it.
    pub fn note(&self, who: &str, f: &str, value: Edn) {
        self.push(HistoryProcess::Named(who.to_owned()), Type::Info, f, value, Vec::new());
    }

    fn push(&self, process: HistoryProcess, kind: Type, f: &str, value: Edn, extra: Vec<(String, Edn)>) {
        let mut book = self.book();
        // Under the lock, so that times and lines agree.
        let time = Some(self.start.elapsed().as_nanos() as i64);
        book.push(HistoryEvent { index: None, time, process, kind, f: f.to_owned(), value, extra });
    }

    /// When the history began.
    pub fn began(&self) -> Instant {
        self.start
    }

    /// All so far.
    pub fn history(&self) -> History {
        self.book().history.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing under the lock panics")
    }
}

impl Book {
    fn push(&mut self, mut event: HistoryEvent) {
        event.extra.sort_by(|left, right| left.0.cmp(&right.0));
        event.index = Some(self.history.events.len() as i64);
        // One write a line, so that no line is cut off.
        let line = format!("{}\n", event.to_edn());
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("the history is kept in memory only: {error}");
            self.file = None;
        }
        self.history.events.push(event);
    }
}

/// How a mutation ends by what its answer says of it.
pub fn outcome(class: AnswerClass) -> Type {
    match class {
        AnswerClass::Ok => Type::Ok,
        AnswerClass::Fail => Type::Fail,
        AnswerClass::Unknown => Type::Info,
    }
}

/// What went wrong, cut short.
pub fn problem(answer: &ApiAnswer) -> Edn {
    Edn::Str(answer.problem.chars().take(160).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_in_the_file_at_every_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.edn");
        let recorder = HistoryRecorder::start(vec![("seed".to_owned(), Edn::Int(7))], &path).unwrap();
        for number in 0..3 {
            recorder.client(number, Type::Invoke, "write", Edn::Int(number), vec![("node".to_owned(), Edn::Int(1))]);
            recorder.note("nemesis", "kill", Edn::Str("node1".to_owned()));
            let written = History::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(written, recorder.history());
        }
        assert_eq!(recorder.history().events.len(), 6);
    }
}
