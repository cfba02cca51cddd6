//! Jepsen's text log of registers: `INFO  jepsen.util - 3 :invoke :cas [2 4]`.
//!
//! The lines carry no time, so their order is the order of events. Other lines of the log are skipped. A compare-and-set
//! that failed without an error was refused because the value was another: that is an observation, kept as
//! `:error :mismatch`.

use anyhow::{Context, Result};

use super::edn::{Edn, parse};
use super::{HistoryEvent, HistoryProcess, Type};

const MARK: &str = "jepsen.util - ";

/// Whether the line is an event of a text log.
pub fn is_event(line: &str) -> bool {
    fields(line).is_some()
}

fn fields(line: &str) -> Option<(HistoryProcess, Type, &str, &str)> {
    let mut rest = &line[line.find(MARK)? + MARK.len()..];
    // Fields are separated by blanks; the rest is values.
    let mut field = || {
        let text = rest.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        rest = &text[end..];
        &text[..end]
    };
    let process = field();
    let kind = Type::named(field().strip_prefix(':')?)?;
    let f = field().strip_prefix(':')?;
    let process = match process.strip_prefix(':') {
        Some(name) => HistoryProcess::Named(name.to_owned()),
        None => HistoryProcess::Client(process.parse().ok()?),
    };
    Some((process, kind, f, rest.trim()))
}

/// The events of the log.
pub fn parse(text: &str) -> Result<Vec<HistoryEvent>> {
    let mut events = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((process, kind, f, rest)) = fields(line) else { continue };
        let mut values = parse::all(rest).with_context(|| format!("line {}", number + 1))?.into_iter();
        let mut event = HistoryEvent { process, ..HistoryEvent::new(0, kind, f, values.next().unwrap_or_default()) };
        // A failed or unknown operation may have its error in place of the value.
        let mut error = values.next();
        if let (Edn::Keyword(_), Type::Fail | Type::Info) = (&event.value, kind) {
            error = Some(std::mem::take(&mut event.value));
        }
        // Without an error, a comparison that failed saw another value.
        if error.is_none() && kind == Type::Fail && f == "cas" {
            error = Some(Edn::keyword("mismatch"));
        }
        events.push(error.into_iter().fold(event, |event, error| event.with("error", error)));
    }
    Ok(events)
}
