//! The lessons' texts, actions and checks, in four parts of three lessons. In texts `{leader}`, `{first}` and
//! `{second}` stand for the nodes that have these roles.

mod elections;
mod logs;
mod members;
mod reads;

use super::script::Lesson;

/// The parts in order.
pub(super) const CATALOG: [&[Lesson]; 4] = [elections::LESSONS, logs::LESSONS, members::LESSONS, reads::LESSONS];
