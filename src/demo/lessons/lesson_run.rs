//! A lesson being played: who has which part, which step it is at, what was done and what came of it.
//!
//! In: answers of the reader, and the wish to go on. Out: what the page shows; actions are performed and checks tested
//! in the order of the script. Knows no lesson by name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::checks;
use super::script::{Lesson, LessonStep, RoleName};
use crate::demo::lessons::actions;
use crate::demo::supervisor::{ProcessState, Refused, Supervisor};

/// The group that lessons are about: the first shard.
pub(super) const GROUP: u64 = 1;

/// How long the cluster may take to be whole before a lesson, beside what elections take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a check may take to hold, beside what elections take.
const CHECK_PATIENCE: Duration = Duration::from_secs(45);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who has which part.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub leader: String,
    pub first: String,
    pub second: String,
}

/// What a check came to.
#[derive(Debug, Clone)]
struct CheckResult {
    says: String,
    holds: Option<bool>,
    saw: String,
}

/// What a step starts from, for its checks.
#[derive(Debug, Clone)]
pub(super) struct StepStart {
    /// The last event before the lesson, and before the step.
    pub lesson: u64,
    pub step: u64,
    pub when: Instant,
    /// The leader of each group, with its term.
    pub leaders: Vec<(u64, String, u64)>,
}

/// A lesson being played.
#[derive(Debug)]
pub(super) struct LessonRun {
    pub lesson: &'static Lesson,
    pub roles: Roles,
    at: usize,
    began: u64,
    chosen: Option<usize>,
    did: Option<String>,
    performing: bool,
    verdicts: Vec<CheckResult>,
}

impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl LessonRun {
    pub fn new(lesson: &'static Lesson, roles: Roles, began: u64) -> Self {
        let (chosen, did, verdicts) = (None, None, Vec::new());
        Self { lesson, roles, at: 0, began, chosen, did, performing: false, verdicts }
    }

    /// The step's number, from 1 on.
    pub fn number(&self) -> usize {
        self.at + 1
    }

    fn step(&self) -> &'static LessonStep {
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
            *self = Self { at: self.at + 1, ..Self::new(self.lesson, self.roles.clone(), self.began) };
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
        let verdict = |verdict: &CheckResult| json!({"says": verdict.says, "holds": verdict.holds, "saw": verdict.saw});
        let checks: Vec<Value> = self.verdicts.iter().map(verdict).collect();
        json!({
            "name": lesson.name, "title": lesson.title, "section": lesson.section, "group": GROUP, "step": self.number(),
            "of": lesson.steps.len(), "say": self.in_names(step.say), "question": question, "did": self.did,
            "checks": checks, "performing": self.performing, "done": self.is_done(),
            "cast": {"leader": self.roles.leader, "first": self.roles.first, "second": self.roles.second},
        })
    }

    /// A text with the parts' names in place of their words.
    fn in_names(&self, text: &str) -> String {
        let Roles { leader, first, second } = &self.roles;
        text.replace("{leader}", leader).replace("{first}", first).replace("{second}", second)
    }
}

impl Roles {
    /// The node that has a part now.
    ///
    /// # Errors
    /// Where nobody leads at the moment.
    pub fn node(&self, supervisor: &Supervisor, who: RoleName) -> Result<String, Refused> {
        let nobody = || Refused::Conflict("nobody leads the group at the moment".to_owned());
        match who {
            RoleName::Leader => Ok(self.leader.clone()),
            RoleName::First => Ok(self.first.clone()),
            RoleName::Second => Ok(self.second.clone()),
            RoleName::Present => supervisor.view.lock().leader(GROUP).map(|(node, _)| node).ok_or_else(nobody),
        }
    }
}

/// Brings every node up, mends every link, and waits until the group's members agree on one leader.
pub(super) async fn settle(supervisor: &Arc<Supervisor>) -> Result<Roles, Refused> {
    supervisor.heal().await?;
    for (name, node) in supervisor.nodes() {
        match node.state {
            ProcessState::Up => {}
            ProcessState::Down => drop(supervisor.restart(&name).await?),
            ProcessState::Paused => drop(supervisor.resume(&name).await?),
        }
    }
    let until = Instant::now() + SETTLE_PATIENCE + supervisor.timings.election_max() * 8;
    loop {
        if let Some(roles) = agreed(supervisor).filter(|_| supervisor.client.is_ready()) {
            // The cluster may have been about to move the leader to where it was meant to be.
            supervisor.pin_leader().await;
            if agreed(supervisor).is_some_and(|now| now.leader == roles.leader) {
                return Ok(roles);
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
fn agreed(supervisor: &Supervisor) -> Option<Roles> {
    let view = supervisor.view.lock();
    let (leader, term) = view.leader(GROUP)?;
    let lead = view.replica(GROUP, &leader)?;
    let same = |name: &&String| {
        view.replica(GROUP, name).is_some_and(|replica| {
            replica.term == term && replica.leader.as_ref() == Some(&leader) && replica.applied == lead.last_log
        })
    };
    let agree = lead.voters.iter().filter(same).count();
    let led = (0..=u64::from(crate::demo::SHARDS)).all(|group| view.leader(group).is_some());
    if agree < 3 || lead.voters.len() != 3 || lead.joint || !led {
        return None;
    }
    let mut followers = lead.voters.iter().filter(|name| **name != leader).cloned();
    let (first, second) = (followers.next()?, followers.next()?);
    Some(Roles { leader, first, second })
}

/// Performs the step that a lesson is at: its actions, then its checks, each until it holds or patience ends.
pub(super) async fn perform(supervisor: &Arc<Supervisor>, name: &str) -> Result<(), Refused> {
    let (step, roles, number, began) = supervisor.lessons.with(name, |run| {
        run.performing = true;
        let verdict = |check: &super::script::Check| CheckResult {
            says: checks::says(check, &run.roles),
            holds: None,
            saw: String::new(),
        };
        run.verdicts = run.step().checks.iter().map(verdict).collect();
        Ok((run.step(), run.roles.clone(), run.number(), run.began))
    })?;
    let leaders = {
        let view = supervisor.view.lock();
        let led = |group| view.leader(group).map(|(node, term)| (group, node, term));
        (0..=u64::from(crate::demo::SHARDS)).filter_map(led).collect()
    };
    let before = StepStart { lesson: began, step: supervisor.events.last(), when: Instant::now(), leaders };
    supervisor.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performing"}));
    let performed = run(supervisor, name, step, &roles, &before).await;
    supervisor.lessons.with(name, |run| {
        run.performing = false;
        Ok(())
    })?;
    supervisor.tell(json!({"kind": "lesson", "name": name, "step": number, "state": "performed"}));
    performed
}

async fn run(
    supervisor: &Arc<Supervisor>,
    name: &str,
    step: &LessonStep,
    roles: &Roles,
    before: &StepStart,
) -> Result<(), Refused> {
    let (mut did, mut answers) = (Vec::new(), Vec::new());
    for action in step.actions {
        did.push(actions::perform(supervisor, roles, action, &mut answers).await?);
        supervisor.lessons.with(name, |run| {
            run.did = Some(did.join("; "));
            Ok(())
        })?;
    }
    let patience = CHECK_PATIENCE + supervisor.timings.election_max() * 8;
    for (number, check) in step.checks.iter().enumerate() {
        let until = Instant::now() + patience;
        loop {
            let seen = checks::test(supervisor, roles, check, before, &answers);
            let decided = seen.holds || seen.is_final || Instant::now() > until;
            supervisor.lessons.with(name, |run| {
                if let Some(verdict) = run.verdicts.get_mut(number) {
                    verdict.holds = decided.then_some(seen.holds);
                    verdict.saw = seen.saw.clone();
                }
                Ok(())
            })?;
            if decided {
                break;
            }
            supervisor.events.more().await;
        }
    }
    Ok(())
}
