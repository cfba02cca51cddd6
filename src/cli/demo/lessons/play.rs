//! A lesson being played: who has which part, which step it is at, what was done and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::script::{Lesson, Step, Who};
use super::{acts, checks};
use crate::cli::demo::stage::{Condition, Refused, Stage};

/// The group that lessons play in: the first shard.
pub(super) const GROUP: u64 = 1;

/// How long the cluster may take to be whole before a lesson, beside what elections take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a check may take to hold, beside what elections take.
const CHECK_PATIENCE: Duration = Duration::from_secs(45);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who has which part.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub leader: String,
    pub first: String,
    pub second: String,
}

/// What a check came to.
#[derive(Debug, Clone)]
struct Verdict {
    says: String,
    holds: Option<bool>,
    saw: String,
}

/// What a step starts from, for its checks.
#[derive(Debug, Clone)]
pub(super) struct Before {
    /// The last event before the lesson, and before the step.
    pub lesson: u64,
    pub step: u64,
    pub when: Instant,
    /// The leader of each group, with its term.
    pub leaders: Vec<(u64, String, u64)>,
}

/// A lesson being played.
#[derive(Debug)]
pub(super) struct Play {
    pub lesson: &'static Lesson,
    pub cast: Cast,
    at: usize,
    began: u64,
    chosen: Option<usize>,
    did: Option<String>,
    performing: bool,
    verdicts: Vec<Verdict>,
}

impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Play {
    pub fn new(lesson: &'static Lesson, cast: Cast, began: u64) -> Self {
        let (chosen, did, verdicts) = (None, None, Vec::new());
        Self { lesson, cast, at: 0, began, chosen, did, performing: false, verdicts }
    }

    /// The step's number, from 1 on.
    pub fn number(&self) -> usize {
        self.at + 1
    }

    fn step(&self) -> &'static Step {
        &self.lesson.steps[self.at]
    }

    /// Takes in an answer.
    pub fn answer(&mut self, choice: usize) -> Result<(), Refused> {
        let choices = self.step().question.choices.len();
        if choice >= choices {
            return Err(Refused::Conflict(format!("there is no choice {choice}: they are 0 to {}", choices - 1)));
        }
        self.chosen = Some(choice);
        Ok(())
    }

    /// Goes on to the next step, where this one was performed and there is one.
    pub fn turn_page(&mut self) -> bool {
        let turns = self.did.is_some();
        if turns && self.at + 1 < self.lesson.steps.len() {
            *self = Self { at: self.at + 1, ..Self::new(self.lesson, self.cast.clone(), self.began) };
        }
        turns
    }

    fn is_done(&self) -> bool {
        self.did.is_some() && !self.performing && self.at + 1 == self.lesson.steps.len()
    }

    /// What the page is shown.
    pub fn shown(&self) -> Value {
        let (step, lesson) = (self.step(), self.lesson);
        let told = self.chosen.is_some() || self.did.is_some();
        let choices: Vec<String> = step.question.choices.iter().map(|choice| self.in_names(choice)).collect();
        let mut question = json!({"ask": self.in_names(step.question.ask), "choices": choices});
        if told {
            question["right"] = step.question.right.into();
            question["because"] = self.in_names(step.question.because).into();
            question["chosen"] = self.chosen.into();
        }
        let verdict = |verdict: &Verdict| json!({"says": verdict.says, "holds": verdict.holds, "saw": verdict.saw});
        let checks: Vec<Value> = self.verdicts.iter().map(verdict).collect();
        json!({
            "name": lesson.name, "title": lesson.title, "section": lesson.section, "group": GROUP, "step": self.number(),
            "of": lesson.steps.len(), "say": self.in_names(step.say), "question": question, "did": self.did,
            "checks": checks, "performing": self.performing, "done": self.is_done(),
            "cast": {"leader": self.cast.leader, "first": self.cast.first, "second": self.cast.second},
        })
    }

    /// A text with the parts' names in place of their words.
    fn in_names(&self, text: &str) -> String {
        let Cast { leader, first, second } = &self.cast;
        text.replace("{leader}", leader).replace("{first}", first).replace("{second}", second)
    }
}

impl Cast {
    /// The node that has a part now.
    ///
    /// # Errors
    /// Where nobody leads at the moment.
    pub fn node(&self, stage: &Stage, who: Who) -> Result<String, Refused> {
        let nobody = || Refused::Conflict("nobody leads the group at the moment".to_owned());
        match who {
            Who::Leader => Ok(self.leader.clone()),
            Who::First => Ok(self.first.clone()),
            Who::Second => Ok(self.second.clone()),
            Who::Present => stage.mirror.lock().leader(GROUP).map(|(node, _)| node).ok_or_else(nobody),
        }
    }
}

/// Brings every node up, mends every link, and waits until the group's members agree on one leader.
pub(super) async fn settle(stage: &Arc<Stage>) -> Result<Cast, Refused> {
    stage.heal().await?;
    for (name, seat) in stage.seats() {
        match seat.state {
            Condition::Up => {}
            Condition::Down => drop(stage.restart(&name).await?),
            Condition::Paused => drop(stage.resume(&name).await?),
        }
    }
    let until = Instant::now() + SETTLE_PATIENCE + stage.timings.election_max() * 8;
    loop {
        if let Some(cast) = agreed(stage).filter(|_| stage.visitor.is_ready()) {
            // The cluster may have been about to move the leader to where it was meant to be.
            stage.pin_leader().await;
            if agreed(stage).is_some_and(|now| now.leader == cast.leader) {
                return Ok(cast);
            }
        }
        if Instant::now() > until {
            return Err(Refused::Conflict("the cluster does not come to rest: is every node up?".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The parts, where the group is whole: three voters that know one leader, have all it has committed, and run; and the
/// cluster map and all other shards have leaders, so that reads and writes work.
fn agreed(stage: &Stage) -> Option<Cast> {
    let mirror = stage.mirror.lock();
    let (leader, term) = mirror.leader(GROUP)?;
    let lead = mirror.replica(GROUP, &leader)?;
    let same = |name: &&String| {
        mirror.replica(GROUP, name).is_some_and(|replica| {
            replica.term == term && replica.leader.as_ref() == Some(&leader) && replica.applied == lead.last_log
        })
    };
    let agree = lead.voters.iter().filter(same).count();
    let led = (0..=u64::from(crate::cli::demo::SHARDS)).all(|group| mirror.leader(group).is_some());
    if agree < 3 || lead.voters.len() != 3 || lead.joint || !led {
        return None;
    }
    let mut followers = lead.voters.iter().filter(|name| **name != leader).cloned();
    let (first, second) = (followers.next()?, followers.next()?);
    Some(Cast { leader, first, second })
}

/// Performs the step that a lesson is at: its deeds, then its checks, each until it holds or patience ends.
pub(super) async fn perform(stage: &Arc<Stage>, name: &str) -> Result<(), Refused> {
    let (step, cast, number, began) = stage.lectern.with(name, |play| {
        play.performing = true;
        let verdict = |check: &super::script::Check| Verdict {
            says: checks::says(check, &play.cast),
            holds: None,
            saw: String::new(),
        };
        play.verdicts = play.step().checks.iter().map(verdict).collect();
        Ok((play.step(), play.cast.clone(), play.number(), play.began))
    })?;
    let leaders = {
        let mirror = stage.mirror.lock();
        let led = |group| mirror.leader(group).map(|(node, term)| (group, node, term));
        (0..=u64::from(crate::cli::demo::SHARDS)).filter_map(led).collect()
    };
    let before = Before { lesson: began, step: stage.tape.last(), when: Instant::now(), leaders };
    stage.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performing"}));
    let played = play(stage, name, step, &cast, &before).await;
    stage.lectern.with(name, |play| {
        play.performing = false;
        Ok(())
    })?;
    stage.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performed"}));
    played
}

async fn play(stage: &Arc<Stage>, name: &str, step: &Step, cast: &Cast, before: &Before) -> Result<(), Refused> {
    let (mut did, mut answers) = (Vec::new(), Vec::new());
    for act in step.acts {
        did.push(acts::perform(stage, cast, act, &mut answers).await?);
        stage.lectern.with(name, |play| {
            play.did = Some(did.join("; "));
            Ok(())
        })?;
    }
    let patience = CHECK_PATIENCE + stage.timings.election_max() * 8;
    for (number, check) in step.checks.iter().enumerate() {
        let until = Instant::now() + patience;
        loop {
            let seen = checks::look(stage, cast, check, before, &answers);
            let decided = seen.holds || seen.is_final || Instant::now() > until;
            stage.lectern.with(name, |play| {
                if let Some(verdict) = play.verdicts.get_mut(number) {
                    verdict.holds = decided.then_some(seen.holds);
                    verdict.saw = seen.saw.clone();
                }
                Ok(())
            })?;
            if decided {
                break;
            }
            stage.tape.more().await;
        }
    }
    Ok(())
}
