//! A lesson that is running: which node has which role, at which step it is, what was done and what the checks found.
//!
//! In: answers of the reader, and the results of actions and checks. Out: what the page shows. Does nothing by itself,
//! and knows no lesson by name.

use serde_json::{Value, json};

use super::checks::{self, Finding};
use super::roles::{GROUP, Roles};
use super::script::{Lesson, LessonStep};
use crate::demo::supervisor::refused::Refused;

/// The result of a check, as the page shows it.
#[derive(Debug, Clone)]
struct CheckResult {
    says: String,
    /// `None` until it is decided.
    holds: Option<bool>,
    saw: String,
}

/// A lesson that is running.
#[derive(Debug)]
pub(super) struct LessonRun {
    pub lesson: &'static Lesson,
    pub roles: Roles,
    /// The index of its step, from 0.
    at: usize,
    /// The number of the last event before the lesson.
    pub began: u64,
    /// The reader's choice, and what was done so far in this step.
    chosen: Option<usize>,
    did: Option<String>,
    performing: bool,
    results: Vec<CheckResult>,
}

impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl LessonRun {
    pub fn new(lesson: &'static Lesson, roles: Roles, began: u64) -> Self {
        let (chosen, did, results) = (None, None, Vec::new());
        Self { lesson, roles, at: 0, began, chosen, did, performing: false, results }
    }

    /// The step's number, from 1 on.
    pub fn number(&self) -> usize {
        self.at + 1
    }

    /// The step that the lesson is at.
    pub fn step(&self) -> &'static LessonStep {
        &self.lesson.steps[self.at]
    }

    /// Notes the reader's answer to the step's question.
    ///
    /// # Errors
    /// [`Refused::Conflict`] where there is no such choice.
    pub fn answer(&mut self, choice: usize) -> Result<(), Refused> {
        let choices = self.step().question.choices.len();
        if choice >= choices {
            return Err(Refused::Conflict(format!("there is no choice {choice}: they are 0 to {}", choices - 1)));
        }
        self.chosen = Some(choice);
        Ok(())
    }

    /// Goes on to the next step, if there is one. Returns `false` if this step was not performed yet.
    pub fn turn_page(&mut self) -> bool {
        let turns = self.did.is_some();
        if turns && self.at + 1 < self.lesson.steps.len() {
            *self = Self { at: self.at + 1, ..Self::new(self.lesson, self.roles.clone(), self.began) };
        }
        turns
    }

    /// Notes that the step is being performed. All its checks are open from now on.
    pub fn begin_step(&mut self) {
        self.performing = true;
        let open =
            |check| CheckResult { says: checks::announcement(check, &self.roles), holds: None, saw: String::new() };
        self.results = self.step().checks.iter().map(open).collect();
    }

    /// Notes what was done so far.
    pub fn note_done(&mut self, did: String) {
        self.did = Some(did);
    }

    /// Notes the finding for the check of this number, and whether it is decided.
    pub fn note_finding(&mut self, number: usize, finding: &Finding, is_decided: bool) {
        if let Some(result) = self.results.get_mut(number) {
            result.holds = is_decided.then_some(finding.holds);
            result.saw = finding.saw.clone();
        }
    }

    /// Notes that the step is performed.
    pub fn end_step(&mut self) {
        self.performing = false;
    }

    fn is_done(&self) -> bool {
        self.did.is_some() && !self.performing && self.at + 1 == self.lesson.steps.len()
    }

    /// What the page shows.
    pub fn as_json(&self) -> Value {
        let (step, lesson) = (self.step(), self.lesson);
        // The right answer is shown once the reader has chosen, or the step was performed.
        let told = self.chosen.is_some() || self.did.is_some();
        let choices: Vec<String> = step.question.choices.iter().map(|choice| self.in_names(choice)).collect();
        let mut question = json!({"ask": self.in_names(step.question.ask), "choices": choices});
        if told {
            question["right"] = step.question.right.into();
            question["because"] = self.in_names(step.question.because).into();
            question["chosen"] = self.chosen.into();
        }
        let result = |result: &CheckResult| json!({"says": result.says, "holds": result.holds, "saw": result.saw});
        let checks: Vec<Value> = self.results.iter().map(result).collect();
        json!({
            "name": lesson.name, "title": lesson.title, "section": lesson.section, "group": GROUP, "step": self.number(),
            "of": lesson.steps.len(), "say": self.in_names(step.say), "question": question, "did": self.did,
            "checks": checks, "performing": self.performing, "done": self.is_done(),
            "cast": {"leader": self.roles.leader, "first": self.roles.first, "second": self.roles.second},
        })
    }

    /// A text with the names of nodes in place of their roles.
    fn in_names(&self, text: &str) -> String {
        let Roles { leader, first, second } = &self.roles;
        text.replace("{leader}", leader).replace("{first}", first).replace("{second}", second)
    }
}
