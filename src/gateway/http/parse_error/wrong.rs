//! What is wrong with a member of a request: where, and in which words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::syntax;

/// Characters of a text that are repeated in an error.
const SHOWN: usize = 40;

/// Steps to a member that are told.
const STEPS: usize = 16;

/// What stopped the reading of a request.
#[derive(Debug)]
pub(super) struct ReadFailure {
    /// The way to the member, from the inside out.
    steps: Vec<String>,
    reason: String,
    kind: FailureKind,
}

#[derive(Debug, PartialEq, Eq)]
enum FailureKind {
    /// The body is no JSON.
    Syntax,
    /// A member that the request does not have.
    Unknown,
    Other,
}

impl ReadFailure {
    fn new(kind: FailureKind, reason: String) -> Self {
        Self { steps: Vec::new(), reason, kind }
    }

    /// The value is of another kind than is wanted.
    pub(super) fn given(wanted: &str, given: Unexpected<'_>) -> Self {
        Self::new(FailureKind::Other, format!("{wanted} is wanted, {} was given", noun(given)))
    }

    /// The parser of JSON stopped by itself, with this message.
    pub(super) fn from_parser(message: &str) -> Self {
        let kind = if syntax::is_json(message) { FailureKind::Other } else { FailureKind::Syntax };
        Self::new(kind, syntax::plain(message))
    }

    /// One step further out.
    pub(super) fn inside(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    /// The member, such as `vectors[2].id`; empty where it is the body itself.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        // The steps were noted from the innermost to the outermost.
        for (place, step) in self.steps.iter().rev().enumerate() {
            // A body that is nested deeply must not make the message long.
            if place == STEPS {
                path.push('…');
                break;
            }
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        path
    }

    /// What is wrong, as a sentence without its end.
    pub(super) fn reason(&self) -> String {
        self.reason.clone()
    }

    /// Returns `true` if the body is no JSON at all.
    pub(super) fn is_syntax(&self) -> bool {
        self.kind == FailureKind::Syntax
    }

    /// Returns `true` if a member stands there that the request does not have.
    pub(super) fn is_unknown_member(&self) -> bool {
        self.kind == FailureKind::Unknown
    }
}

/// So many characters of a text as are worth repeating.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn noun(given: Unexpected<'_>) -> String {
    match given {
        Unexpected::Bool(value) => format!("{value}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Char(letter) => format!("the text \"{letter}\""),
        Unexpected::Str(text) => format!("the text \"{}\"", short(text)),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Other(what) => what.to_owned(),
        _ => "something else".to_owned(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

impl std::error::Error for ReadFailure {}

impl de::Error for ReadFailure {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(FailureKind::Other, reason.to_string())
    }

    fn invalid_type(given: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::given(&wanted.to_string(), given)
    }

    fn invalid_value(given: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::given(&wanted.to_string(), given)
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Self::new(FailureKind::Other, format!("{wanted} is wanted, {length} values were given"))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(FailureKind::Other, format!("unknown word `{}`; known here are {}", short(word), listed(known)))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let known = if known.is_empty() { "none is known here".to_owned() } else { listed(known) };
        Self::new(FailureKind::Unknown, format!("unknown field `{}`; known here are {known}", short(field)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(FailureKind::Other, format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(FailureKind::Other, format!("`{field}` stands twice in one object"))
    }
}
