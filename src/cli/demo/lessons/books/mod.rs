//! The lessons' texts, deeds and checks, in four books of three. In texts `{leader}`, `{first}` and `{second}` stand for the
//! nodes that have these parts.

mod elections;
mod logs;
mod members;
mod reads;

use super::script::Lesson;

/// The books in order.
pub(super) const BOOKS: [&[Lesson]; 4] = [elections::LESSONS, logs::LESSONS, members::LESSONS, reads::LESSONS];
