//! One request that is several operations: each part is done by a process of its own, all at the same time.

use std::sync::atomic::Ordering;

use super::Worker;
use crate::harness::client::{AnswerClass, ApiAnswer};
use crate::judge::history::Type;
use crate::judge::history::edn::Edn;

impl Worker {
    /// Begins one operation for each of these values.
    pub(super) fn begin_parts(&mut self, f: &str, values: &[Edn]) {
        while self.part_processes.len() < values.len() {
            self.part_processes.push(self.shared.processes.fetch_add(1, Ordering::Relaxed));
        }
        for (place, value) in values.iter().enumerate() {
            self.as_part(place, |part| part.begin(f, value));
        }
    }

    /// Ends the operations of a read by what each was shown.
    pub(super) fn end_parts(&mut self, f: &str, shown: Vec<Edn>) -> bool {
        for (place, value) in shown.into_iter().enumerate() {
            self.as_part(place, |part| part.end(Type::Ok, f, value, Vec::new()));
        }
        true
    }

    /// Ends the operations of a read that was not answered.
    pub(super) fn refuse_parts(&mut self, f: &str, values: Vec<Edn>, answer: &ApiAnswer) -> bool {
        for (place, value) in values.into_iter().enumerate() {
            self.as_part(place, |part| part.refused(f, value, answer));
        }
        false
    }

    /// Ends the operations of a write. What one answer says of all of them it says of each: a part of a write that failed
    /// in part may have been done.
    pub(super) fn end_write_parts(&mut self, f: &str, values: Vec<Edn>, answer: &ApiAnswer) -> bool {
        let class = if answer.code() == "partial_write" { AnswerClass::Unknown } else { answer.class };
        let of_each = ApiAnswer { class, ..answer.clone() };
        for (place, value) in values.into_iter().enumerate() {
            self.as_part(place, |part| part.end_write(f, value, &of_each));
        }
        answer.success()
    }

    /// Does something as the process of a part, which keeps its number as long as its operations end.
    fn as_part<T>(&mut self, place: usize, act: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.process, &mut self.part_processes[place]);
        let done = act(self);
        std::mem::swap(&mut self.process, &mut self.part_processes[place]);
        done
    }
}
