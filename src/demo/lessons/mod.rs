//! The lessons. Each changes the real cluster step by step. A question comes before each step, and checks test what the
//! step announced. So a lesson is a test as well.
//!
//! A lesson begins on a whole cluster: every node is up, every link is whole, and all know one leader. It gives out the
//! roles. Then, in each step, [`actions`] act, and [`checks`] look until what was announced holds, or patience ends.

mod actions;
mod catalog;
mod checks;
mod lesson_run;
mod membership_walk;
mod roles;
mod script;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use self::checks::StepStart;
use self::lesson_run::LessonRun;
use self::roles::Roles;
use self::script::{Lesson, LessonStep};
use crate::demo::supervisor::Supervisor;
use crate::demo::supervisor::refused::Refused;

/// How long a check may take to hold, beside what elections take.
const CHECK_PATIENCE: Duration = Duration::from_secs(45);

/// All lessons, in the order in which they build on each other.
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

/// The lessons, and the one that is running.
pub(super) struct Lessons {
    supervisor: Arc<Supervisor>,
    run: Mutex<Option<LessonRun>>,
    /// Held while a lesson begins or a step is performed, so that only one does at a time.
    busy: tokio::sync::Mutex<()>,
}

impl Lessons {
    /// No lesson is running yet.
    pub fn new(supervisor: Arc<Supervisor>) -> Self {
        Self { supervisor, run: Mutex::default(), busy: tokio::sync::Mutex::default() }
    }

    /// The name of the lesson that is running.
    pub fn name(&self) -> Option<&'static str> {
        self.run.lock().as_ref().map(|run| run.lesson.name)
    }

    /// The state of the lesson that is running, or null.
    pub fn state(&self) -> Value {
        self.run.lock().as_ref().map_or(Value::Null, LessonRun::as_json)
    }

    /// Makes the cluster whole and begins a lesson. Returns what the page shows.
    ///
    /// # Errors
    /// There is no such lesson, another step is being performed, or the cluster does not come to rest.
    pub async fn start(&self, name: &str) -> Result<Value, Refused> {
        let lesson = all().find(|lesson| lesson.name == name);
        let lesson = lesson.ok_or_else(|| Refused::Unknown(format!("there is no lesson `{name}`")))?;
        let _busy = self.reserve()?;
        // The old lesson ends first: a preparation that fails leaves none behind.
        *self.run.lock() = None;
        // The events of the preparation do not belong to the lesson.
        let roles = roles::settle(&self.supervisor).await?;
        let run = LessonRun::new(lesson, roles, self.supervisor.events.last());
        let shown = run.as_json();
        *self.run.lock() = Some(run);
        self.supervisor.tell(json!({"kind": "lesson", "name": name, "step": 1, "state": "started"}));
        Ok(shown)
    }

    /// Notes the answer to a step's question.
    pub fn answer(&self, name: &str, choice: usize) -> Result<Value, Refused> {
        self.with(name, |run| {
            run.answer(choice)?;
            Ok(run.as_json())
        })
    }

    /// Performs the step, or goes on to the next one if it was performed.
    pub async fn next(&self, name: &str) -> Result<Value, Refused> {
        let _busy = self.reserve()?;
        let turned = self.with(name, |run| Ok(run.turn_page()))?;
        if !turned {
            self.perform(name).await?;
        }
        self.with(name, |run| Ok(run.as_json()))
    }

    /// Ends the lesson and makes the cluster whole.
    pub async fn stop(&self) -> Result<Value, Refused> {
        let _busy = self.reserve()?;
        let run = self.run.lock().take();
        if let Some(run) = run {
            let (name, step) = (run.lesson.name, run.number());
            self.supervisor.tell(json!({"kind": "lesson", "name": name, "step": step, "state": "stopped"}));
            roles::settle(&self.supervisor).await?;
        }
        Ok(Value::Null)
    }

    /// Performs the step that the lesson is at: its actions, then its checks.
    async fn perform(&self, name: &str) -> Result<(), Refused> {
        let (step, roles, number, began) = self.with(name, |run| {
            run.begin_step();
            Ok((run.step(), run.roles.clone(), run.number(), run.began))
        })?;
        // Some checks look back to the beginning of the lesson, the others to that of the step.
        let before = StepStart { lesson: began, ..StepStart::now(&self.supervisor) };
        self.supervisor.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performing"}));
        let performed = self.act_and_check(name, step, &roles, &before).await;
        // A step that failed is over as well, so that the lesson can be started again.
        self.with(name, |run| {
            run.end_step();
            Ok(())
        })?;
        self.supervisor.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performed"}));
        performed
    }

    /// Does all actions. Then tests each check until it is decided, or patience ends.
    async fn act_and_check(
        &self,
        name: &str,
        step: &LessonStep,
        roles: &Roles,
        before: &StepStart,
    ) -> Result<(), Refused> {
        let (mut did, mut answers) = (Vec::new(), Vec::new());
        for action in step.actions {
            did.push(actions::perform(&self.supervisor, roles, action, &mut answers).await?);
            self.with(name, |run| {
                run.note_done(did.join("; "));
                Ok(())
            })?;
        }
        // Checks are tested in order, and again after each new event, since the cluster takes its time.
        let patience = CHECK_PATIENCE + self.supervisor.timings.election_max() * 8;
        for (number, check) in step.checks.iter().enumerate() {
            let until = Instant::now() + patience;
            loop {
                let found = checks::test(&self.supervisor, roles, check, before, &answers);
                let is_decided = found.holds || found.is_final || Instant::now() > until;
                self.with(name, |run| {
                    run.note_finding(number, &found, is_decided);
                    Ok(())
                })?;
                if is_decided {
                    break;
                }
                self.supervisor.events.more().await;
            }
        }
        Ok(())
    }

    /// Reads or changes the lesson that is running, if it has this name.
    fn with<R>(&self, name: &str, change: impl FnOnce(&mut LessonRun) -> Result<R, Refused>) -> Result<R, Refused> {
        let mut run = self.run.lock();
        match run.as_mut().filter(|run| run.lesson.name == name) {
            Some(run) => change(run),
            None => Err(Refused::Conflict(format!("the lesson `{name}` is not on: start it first"))),
        }
    }

    /// Reserves the lessons for one piece of work, or refuses at once.
    fn reserve(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Refused> {
        let busy = || Refused::Conflict("a lesson is being played: wait until this step is done".to_owned());
        self.busy.try_lock().map_err(|_| busy())
    }
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
