//! What happened: one line an event, in Jepsen's words.
//!
//! A history is a header (seed, versions, plan) and the invocations and completions in the order in which the harness
//! saw them. [`History::parse`] reads JSON lines, Jepsen's and Knossos' EDN and Jepsen's text log, told apart by content;
//! [`History::to_jsonl`] and [`History::to_edn`] write them without loss. [`ops`] pairs events into operations. Judges
//! nothing.

pub mod edn;
pub mod json;
pub mod ops;
mod text_log;

#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use edn::{Edn, parse};

/// Who did it: a client's number, or a name such as `nemesis`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HistoryProcess {
    /// A client: one thing at a time, retired when an outcome stays unknown.
    Client(i64),
    /// Everything else.
    Named(String),
}

impl fmt::Display for HistoryProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryProcess::Client(number) => write!(f, "{number}"),
            HistoryProcess::Named(name) => f.write_str(name),
        }
    }
}

/// What an event says of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// It begins.
    Invoke,
    /// It was done.
    Ok,
    /// It was certainly not done.
    Fail,
    /// It may have been done or may yet be. Of a nemesis: something happened.
    Info,
}

impl Type {
    const NAMES: [(Type, &str); 4] =
        [(Type::Invoke, "invoke"), (Type::Ok, "ok"), (Type::Fail, "fail"), (Type::Info, "info")];

    /// Its keyword.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("info", |(_, name)| name)
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Type> {
        Self::NAMES.iter().find(|(_, word)| *word == name).map(|(kind, _)| *kind)
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// Its position, where the history says so.
    pub index: Option<i64>,
    /// Nanoseconds on the one clock of the harness; `None` where only the order of lines is known.
    pub time: Option<i64>,
    /// Who.
    pub process: HistoryProcess,
    /// Begun, done, not done, unknown.
    pub kind: Type,
    /// What: `read`, `write`, `cas`, `add`, `txn`, `search`, …
    pub f: String,
    /// With what, or what came of it.
    pub value: Edn,
    /// All other members, by name: `node`, `level`, `error`, `version`, …
    pub extra: Vec<(String, Edn)>,
}

impl HistoryEvent {
    /// An event without a time or further members.
    pub fn new(process: i64, kind: Type, f: &str, value: Edn) -> Self {
        let process = HistoryProcess::Client(process);
        Self { index: None, time: None, process, kind, f: f.to_owned(), value, extra: Vec::new() }
    }

    /// The same at another time.
    pub fn at(mut self, time: i64) -> Self {
        self.time = Some(time);
        self
    }

    /// The same with a further member.
    pub fn with(mut self, name: &str, value: Edn) -> Self {
        self.extra.push((name.to_owned(), value));
        self.extra.sort_by(|left, right| left.0.cmp(&right.0));
        self
    }

    /// A further member.
    pub fn get(&self, name: &str) -> Option<&Edn> {
        self.extra.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Jepsen's map of it.
    pub fn to_edn(&self) -> Edn {
        let process = match &self.process {
            HistoryProcess::Client(number) => Edn::Int(*number),
            HistoryProcess::Named(name) => Edn::keyword(name),
        };
        // What every event has, then what only some have, in the one order of a map.
        let mut pairs = vec![
            (Edn::keyword("process"), process),
            (Edn::keyword("type"), Edn::keyword(self.kind.name())),
            (Edn::keyword("f"), Edn::keyword(&self.f)),
            (Edn::keyword("value"), self.value.clone()),
        ];
        pairs.extend(self.index.map(|index| (Edn::keyword("index"), Edn::Int(index))));
        pairs.extend(self.time.map(|time| (Edn::keyword("time"), Edn::Int(time))));
        pairs.extend(self.extra.iter().map(|(name, value)| (Edn::keyword(name), value.clone())));
        pairs.sort_by_cached_key(|(key, _)| key.to_string());
        Edn::Map(pairs)
    }

    /// The event that this map is.
    pub fn from_edn(value: &Edn) -> Result<HistoryEvent> {
        // Some tools tag their events; what is inside is the event.
        if let Edn::Tagged(_, inside) = value {
            return Self::from_edn(inside);
        }
        let Edn::Map(pairs) = value else { bail!("an event is a map, not `{value}`") };
        // Members that must be there, and members that may be absent or `nil`.
        let name = |key: &str| -> Result<&str> {
            value.get(key).and_then(Edn::name).with_context(|| format!("no `{key}` in `{value}`"))
        };
        let process = match value.get("process").with_context(|| format!("no `process` in `{value}`"))? {
            Edn::Int(number) => HistoryProcess::Client(*number),
            other => {
                HistoryProcess::Named(other.name().context("`process` is neither a number nor a name")?.to_owned())
            }
        };
        let whole = |key: &str| -> Result<Option<i64>> {
            match value.get(key) {
                None | Some(Edn::Nil) => Ok(None),
                Some(number) => Ok(Some(number.int().with_context(|| format!("`{key}` is no whole number"))?)),
            }
        };
        // Every other member is kept, in one order.
        let known = ["process", "type", "f", "value", "index", "time"];
        let mut extra = Vec::new();
        for (key, value) in pairs {
            let key = key.name().with_context(|| format!("`{key}` cannot name a member of an event"))?;
            if !known.contains(&key) {
                extra.push((key.to_owned(), value.clone()));
            }
        }
        extra.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(HistoryEvent {
            index: whole("index")?,
            time: whole("time")?,
            kind: Type::named(name("type")?)
                .with_context(|| format!("`{}` is no type of event", name("type").unwrap_or("")))?,
            f: name("f")?.to_owned(),
            value: value.get("value").cloned().unwrap_or_default(),
            process,
            extra,
        })
    }
}

/// A whole history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Seed, versions, plan; whatever the run wants to say of itself.
    pub header: Vec<(String, Edn)>,
    /// What happened, in the order in which it was seen.
    pub events: Vec<HistoryEvent>,
}

impl History {
    /// A history without a header.
    pub fn new(events: Vec<HistoryEvent>) -> Self {
        Self { header: Vec::new(), events }
    }

    /// A member of the header.
    pub fn about(&self, name: &str) -> Option<&Edn> {
        self.header.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn header_map(&self) -> Option<Edn> {
        let pairs = self.header.iter().map(|(name, value)| (Edn::keyword(name), value.clone())).collect();
        let header = if self.header.is_empty() { None } else { Edn::map(pairs) };
        header.map(|header| Edn::Map(vec![(Edn::keyword("header"), header)]))
    }

    /// Jepsen's EDN, a line an event; the header, if any, is a first map `{:header {…}}`.
    pub fn to_edn(&self) -> String {
        let events = self.events.iter().map(HistoryEvent::to_edn);
        self.header_map().into_iter().chain(events).map(|value| format!("{value}\n")).collect()
    }

    /// JSON lines; the header, if any, is a first `{"header": {…}}`.
    pub fn to_jsonl(&self) -> String {
        let header = self.header_map().map(|header| format!("{}\n", json::to_json(&header)));
        let line = |event: &HistoryEvent| {
            let mut line = json::to_json(&event.to_edn());
            // These are always names, so the colon of a keyword would say nothing.
            for (key, text) in [("type", event.kind.name()), ("f", event.f.as_str())] {
                line[key] = serde_json::Value::String(text.to_owned());
            }
            if let HistoryProcess::Named(name) = &event.process {
                line["process"] = serde_json::Value::String(name.clone());
            }
            format!("{line}\n")
        };
        header.into_iter().chain(self.events.iter().map(line)).collect()
    }

    /// Reads any of the formats.
    ///
    /// # Errors
    /// What is not understood, with its line.
    pub fn parse(text: &str) -> Result<History> {
        let Some(first) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
            return Ok(Self::default());
        };
        if text_log::is_event(first) || first.starts_with("INFO") || first.starts_with("WARN") {
            return Ok(Self::new(text_log::parse(text)?));
        }
        if first.starts_with('{')
            && serde_json::from_str::<serde_json::Value>(first).is_ok_and(|line| line != serde_json::json!({}))
        {
            let line = |(number, line): (usize, &str)| -> Result<Edn> {
                let value = serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
                json::from_json(&value).with_context(|| format!("line {}", number + 1))
            };
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            return Self::from_values(lines.map(line).collect::<Result<_>>()?);
        }
        let starts = ['{', '[', '(', '#', ';'];
        ensure!(first.starts_with(starts), "neither JSON lines, EDN nor Jepsen's text log: it begins with `{first}`");
        let mut values = parse::all(text)?;
        // Some tools write one vector of all events.
        if let [Edn::Vector(inside) | Edn::List(inside)] = values.as_slice() {
            values = inside.clone();
        }
        Self::from_values(values)
    }

    fn from_values(values: Vec<Edn>) -> Result<History> {
        let mut history = History::default();
        for (position, value) in values.iter().enumerate() {
            match value.get("header") {
                Some(Edn::Map(pairs)) if position == 0 => {
                    let pair = |(key, value): &(Edn, Edn)| Some((key.name()?.to_owned(), value.clone()));
                    history.header = pairs.iter().filter_map(pair).collect();
                }
                _ => history
                    .events
                    .push(HistoryEvent::from_edn(value).with_context(|| format!("event {}", position + 1))?),
            }
        }
        Ok(history)
    }
}
