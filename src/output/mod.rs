//! What the verbs, `dev` and the demo print on a terminal: text, tables, progress, answers in words.
//!
//! In: strings, counts and wire types of [`crate::api`]. Out: text on stdout, and progress on stderr. Asks nobody
//! anything.

pub(crate) mod answers;
pub(crate) mod progress;
pub(crate) mod stdout;
pub mod table;
