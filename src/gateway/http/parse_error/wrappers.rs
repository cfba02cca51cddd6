//! What a reading is wrapped in, so that each error on its way out learns where it stood, and what all wrappers share.
//!
//! The error type of the deserializer inside is not ours, and ours cannot pass through it: it waits in the [`Context`]
//! meanwhile. How the wrappers read stands in `reader` and `members`.

use std::cell::RefCell;

use serde::de::Error;

use super::wrong::ReadFailure;

/// What all steps of one reading share.
pub(super) struct Context {
    /// What was found wrong, on its way out.
    found: RefCell<Option<ReadFailure>>,
    /// Numbers and truth come as texts, as in a query string.
    pub(super) only_texts: bool,
}

impl Context {
    /// For a body.
    pub(super) fn of_json() -> Self {
        Self { found: RefCell::new(None), only_texts: false }
    }

    /// For a query string.
    pub(super) fn of_query() -> Self {
        Self { only_texts: true, ..Self::of_json() }
    }

    /// Lets `wrong` wait, and gives the error that stands for it.
    pub(super) fn wait<E: Error>(&self, wrong: ReadFailure) -> E {
        self.found.replace(Some(wrong));
        E::custom("see the context")
    }

    /// What waits; or else what the parser inside says.
    pub(super) fn met<E: Error>(&self, error: &E) -> ReadFailure {
        self.found.take().unwrap_or_else(|| ReadFailure::from_parser(&error.to_string()))
    }
}

/// A deserializer, a visitor, a seed or an access that says what is wrong.
pub(super) struct ExplainingReader<'c, T> {
    pub(super) inner: T,
    pub(super) context: &'c Context,
}

impl<'c, T> ExplainingReader<'c, T> {
    /// Around `inner`.
    pub(super) fn new(inner: T, context: &'c Context) -> Self {
        Self { inner, context }
    }
}

/// The items of an array.
pub(super) struct Items<'c, A> {
    pub(super) inner: A,
    pub(super) context: &'c Context,
    pub(super) next: usize,
}

impl<'c, A> Items<'c, A> {
    pub(super) fn new(inner: A, context: &'c Context) -> Self {
        Self { inner, context, next: 0 }
    }
}

/// The members of an object.
pub(super) struct NamedMembers<'c, A> {
    pub(super) inner: A,
    pub(super) context: &'c Context,
    /// The member that was begun last.
    pub(super) name: String,
}

impl<'c, A> NamedMembers<'c, A> {
    pub(super) fn new(inner: A, context: &'c Context) -> Self {
        Self { inner, context, name: String::new() }
    }
}
