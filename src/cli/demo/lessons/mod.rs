//! The lessons: each a short play on the real cluster, with a question before each step, and checks that a machine holds.
//! So a lesson is a test as well.
//!
//! A lesson begins on a whole cluster: every node up, every link whole, one leader known to all. It gives out its parts,
//! then plays step by step: [`acts`] does, [`checks`] looks until what was announced holds, or patience ends.

mod acts;
mod books;
mod checks;
mod play;
mod script;
mod walks;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use self::play::Play;
use self::script::Lesson;
use super::stage::{Refused, Stage};

/// Every lesson, in the order in which they build on each other.
fn all() -> impl Iterator<Item = &'static Lesson> {
    books::BOOKS.iter().flat_map(|book| book.iter())
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
pub(super) struct Lectern {
    play: Mutex<Option<Play>>,
    /// Held while a lesson begins, or a step is performed: one at a time.
    busy: tokio::sync::Mutex<()>,
}

impl Lectern {
    /// The name of the lesson that is on.
    pub fn name(&self) -> Option<&'static str> {
        self.play.lock().as_ref().map(|play| play.lesson.name)
    }

    /// The state of the lesson that is on, or null.
    pub fn state(&self) -> Value {
        self.play.lock().as_ref().map_or(Value::Null, Play::shown)
    }

    /// Looks at, or changes, the lesson that is on.
    fn with<R>(&self, name: &str, change: impl FnOnce(&mut Play) -> Result<R, Refused>) -> Result<R, Refused> {
        let mut play = self.play.lock();
        match play.as_mut().filter(|play| play.lesson.name == name) {
            Some(play) => change(play),
            None => Err(Refused::Conflict(format!("the lesson `{name}` is not on: start it first"))),
        }
    }

    fn reserve(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Refused> {
        let busy = || Refused::Conflict("a lesson is being played: wait until this step is done".to_owned());
        self.busy.try_lock().map_err(|_| busy())
    }
}

/// Makes the cluster whole and begins a lesson.
pub(super) async fn start(stage: &Arc<Stage>, name: &str) -> Result<Value, Refused> {
    let lesson = all().find(|lesson| lesson.name == name);
    let lesson = lesson.ok_or_else(|| Refused::Unknown(format!("there is no lesson `{name}`")))?;
    let _busy = stage.lectern.reserve()?;
    *stage.lectern.play.lock() = None;
    let cast = play::settle(stage).await?;
    let play = Play::new(lesson, cast, stage.tape.last());
    let shown = play.shown();
    *stage.lectern.play.lock() = Some(play);
    stage.tell(json!({"kind": "lesson", "name": name, "step": 1, "state": "started"}));
    Ok(shown)
}

/// Takes in the answer to a step's question.
pub(super) fn answer(stage: &Stage, name: &str, choice: usize) -> Result<Value, Refused> {
    stage.lectern.with(name, |play| {
        play.answer(choice)?;
        Ok(play.shown())
    })
}

/// Performs the step, or goes on to the next where it was performed.
pub(super) async fn next(stage: &Arc<Stage>, name: &str) -> Result<Value, Refused> {
    let _busy = stage.lectern.reserve()?;
    let turned = stage.lectern.with(name, |play| Ok(play.turn_page()))?;
    if !turned {
        play::perform(stage, name).await?;
    }
    stage.lectern.with(name, |play| Ok(play.shown()))
}

/// Ends the lesson and makes the cluster whole.
pub(super) async fn stop(stage: &Arc<Stage>) -> Result<Value, Refused> {
    let _busy = stage.lectern.reserve()?;
    let play = stage.lectern.play.lock().take();
    if let Some(play) = play {
        stage.tell(json!({"kind": "lesson", "name": play.lesson.name, "step": play.number(), "state": "stopped"}));
        play::settle(stage).await?;
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
            assert!(!step.acts.is_empty() && !step.checks.is_empty(), "{lesson}: a step does and checks something");
            assert!(!step.question.because.is_empty() && !step.say.is_empty(), "{lesson}: a step says something");
        }
    }
}
