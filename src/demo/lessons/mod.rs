//! The lessons: each a short play on the real cluster, with a question before each step, and checks that a machine
//! holds. So a lesson is a test as well.
//!
//! A lesson begins on a whole cluster: every node up, every link whole, one leader known to all. It gives out its
//! roles, then goes step by step: [`actions`] does, [`checks`] looks until what was announced holds, or patience ends.

mod actions;
mod catalog;
mod checks;
mod lesson_run;
mod membership_walk;
mod script;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use self::script::Lesson;
use crate::demo::lessons::lesson_run::LessonRun;
use crate::demo::supervisor::{Refused, Supervisor};

/// Every lesson, in the order in which they build on each other.
fn all() -> impl Iterator<Item = &'static Lesson> {
    catalog::CATALOG.iter().flat_map(|part| part.iter())
}

/// The lessons' names.
pub(super) fn names() -> Vec<&'static str> {
    all().map(|lesson| lesson.name).collect()
}

/// What `/api/lessons` shows.
pub(super) fn list() -> Value {
    let row = |lesson: &Lesson| json!({"name": lesson.name, "title": lesson.title, "section": lesson.section, "steps": lesson.steps.len()});
    all().map(row).collect()
}

/// The lesson that is on.
#[derive(Default)]
pub(super) struct Lessons {
    run: Mutex<Option<LessonRun>>,
    /// Held while a lesson begins, or a step is performed: one at a time.
    busy: tokio::sync::Mutex<()>,
}

impl Lessons {
    /// The name of the lesson that is on.
    pub fn name(&self) -> Option<&'static str> {
        self.run.lock().as_ref().map(|run| run.lesson.name)
    }

    /// The state of the lesson that is on, or null.
    pub fn state(&self) -> Value {
        self.run.lock().as_ref().map_or(Value::Null, LessonRun::shown)
    }

    /// Looks at, or changes, the lesson that is on.
    fn with<R>(&self, name: &str, change: impl FnOnce(&mut LessonRun) -> Result<R, Refused>) -> Result<R, Refused> {
        let mut run = self.run.lock();
        match run.as_mut().filter(|run| run.lesson.name == name) {
            Some(run) => change(run),
            None => Err(Refused::Conflict(format!("the lesson `{name}` is not on: start it first"))),
        }
    }

    fn reserve(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Refused> {
        let busy = || Refused::Conflict("a lesson is being played: wait until this step is done".to_owned());
        self.busy.try_lock().map_err(|_| busy())
    }
}

/// Makes the cluster whole and begins a lesson.
pub(super) async fn start(supervisor: &Arc<Supervisor>, name: &str) -> Result<Value, Refused> {
    let lesson = all().find(|lesson| lesson.name == name);
    let lesson = lesson.ok_or_else(|| Refused::Unknown(format!("there is no lesson `{name}`")))?;
    let _busy = supervisor.lessons.reserve()?;
    *supervisor.lessons.run.lock() = None;
    let roles = lesson_run::settle(supervisor).await?;
    let run = LessonRun::new(lesson, roles, supervisor.events.last());
    let shown = run.shown();
    *supervisor.lessons.run.lock() = Some(run);
    supervisor.tell(json!({"kind": "lesson", "name": name, "step": 1, "state": "started"}));
    Ok(shown)
}

/// Takes in the answer to a step's question.
pub(super) fn answer(supervisor: &Supervisor, name: &str, choice: usize) -> Result<Value, Refused> {
    supervisor.lessons.with(name, |run| {
        run.answer(choice)?;
        Ok(run.shown())
    })
}

/// Performs the step, or goes on to the next where it was performed.
pub(super) async fn next(supervisor: &Arc<Supervisor>, name: &str) -> Result<Value, Refused> {
    let _busy = supervisor.lessons.reserve()?;
    let turned = supervisor.lessons.with(name, |run| Ok(run.turn_page()))?;
    if !turned {
        lesson_run::perform(supervisor, name).await?;
    }
    supervisor.lessons.with(name, |run| Ok(run.shown()))
}

/// Ends the lesson and makes the cluster whole.
pub(super) async fn stop(supervisor: &Arc<Supervisor>) -> Result<Value, Refused> {
    let _busy = supervisor.lessons.reserve()?;
    let run = supervisor.lessons.run.lock().take();
    if let Some(run) = run {
        supervisor.tell(json!({"kind": "lesson", "name": run.lesson.name, "step": run.number(), "state": "stopped"}));
        lesson_run::settle(supervisor).await?;
    }
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lessons_are_those_that_were_promised_and_well_formed() {
        let promised = [
            "first-election",
            "leader-crash",
            "split-vote",
            "no-quorum",
            "stale-leader",
            "log-repair",
            "why-votes-check-the-log",
            "membership-change",
            "snapshot-catch-up",
            "three-reads",
            "one-way-cut",
            "eight-groups",
        ];
        assert_eq!(names(), promised);
        for (lesson, step) in all().flat_map(|lesson| lesson.steps.iter().map(move |step| (lesson.name, step))) {
            assert!(step.question.right < step.question.choices.len(), "{lesson}: {}", step.question.ask);
            assert!(!step.actions.is_empty() && !step.checks.is_empty(), "{lesson}: a step does and checks something");
            assert!(!step.question.because.is_empty() && !step.say.is_empty(), "{lesson}: a step says something");
        }
    }
}
