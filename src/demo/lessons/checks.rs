//! The checks of lessons: what each announces, and whether it holds by now. They look at the event log and at what the
//! nodes show.
//!
//! In: a check of the script, the events since the step began, and what nodes last said. Out: whether the check holds,
//! and what was seen. Does nothing to the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::membership_walk::{MembershipWalk, memberships};
use super::roles::{GROUP, Roles};
use super::script::{Check, RequestOutcome, RoleName};
use crate::api::events::kind;
use crate::demo::supervisor::Supervisor;
use crate::demo::supervisor::cluster_view::ReplicaStatus;
use crate::demo::supervisor::settings::SHARDS;

/// The state at the start of a step, against which its checks compare.
#[derive(Debug, Clone)]
pub(super) struct StepStart {
    /// The number of the last event before the lesson, and before the step.
    pub lesson: u64,
    pub step: u64,
    pub when: Instant,
    /// The leader of each group that had one: group, node and term.
    pub leaders: Vec<(u64, String, u64)>,
}

impl StepStart {
    /// A step that starts now, in a lesson that starts with it.
    pub fn now(supervisor: &Supervisor) -> Self {
        let view = supervisor.view.lock();
        let led = |group| view.leader(group).map(|(node, term)| (group, node, term));
        let leaders = (0..=u64::from(SHARDS)).filter_map(led).collect();
        let last = supervisor.events.last();
        Self { lesson: last, step: last, when: Instant::now(), leaders }
    }
}

/// The result of testing a check once.
pub(super) struct Finding {
    pub holds: bool,
    pub saw: String,
    /// `true` if no later test can give another result.
    pub is_final: bool,
}

fn finding(holds: bool, saw: impl Into<String>) -> Finding {
    Finding { holds, saw: saw.into(), is_final: false }
}

/// What a check announces, as a sentence with the names of nodes.
pub(super) fn announcement(check: &Check, roles: &Roles) -> String {
    let name = |who: RoleName| match who {
        RoleName::Leader => roles.leader.as_str(),
        RoleName::First => roles.first.as_str(),
        RoleName::Second => roles.second.as_str(),
        RoleName::Present => "the present leader",
    };
    match check {
        Check::Elected { but: None } => "a leader is elected".to_owned(),
        Check::Elected { but: Some(who) } => format!("a leader other than {} is elected", name(*who)),
        Check::OneLeaderPerTerm => "no term has two leaders".to_owned(),
        Check::Majority => "the leader has the votes of a majority".to_owned(),
        Check::NobodyElected => "nobody is elected, for twice the longest election timeout".to_owned(),
        Check::Refused { voter, pre, reason } => {
            let vote = if *pre { "a pre-vote" } else { "its vote" };
            format!("{} refuses {vote}: {}", name(*voter), reason.replace('_', " "))
        }
        Check::SplitTerm => "two stand for the same term, and neither is elected in it".to_owned(),
        Check::RequestOutcome(number, outcome) => {
            let which = ["first", "second", "third", "fourth"].get(*number).copied().unwrap_or("next");
            match outcome {
                RequestOutcome::Done => format!("the {which} request is acknowledged"),
                RequestOutcome::Refused => format!("the {which} request is refused, not answered with a guess"),
                RequestOutcome::Fresh(value) => format!("the {which} request finds `{value}`"),
                RequestOutcome::Stale(value) => format!("the {which} request finds the old `{value}`"),
            }
        }
        Check::Agree(all) => {
            let names: Vec<&str> = all.iter().map(|who| name(*who)).collect();
            format!("{} hold and have applied the same log", names.join(", "))
        }
        Check::Truncated(who) => format!("{} removes what was never committed", name(*who)),
        Check::Uncommitted(who) => format!("{} holds an entry that is not committed", name(*who)),
        Check::Behind(who, other) => format!("{} lacks entries that {} holds", name(*who), name(*other)),
        Check::Purged(who) => format!("{} purges the start of its log", name(*who)),
        Check::SnapshotInstalled(who) => format!("{} installs a snapshot", name(*who)),
        Check::SameLeader => "the leader and its term stay".to_owned(),
        Check::Voter(who) => format!("{} votes wherever it is a member", name(*who)),
        Check::NoMember(who) => format!("{} is no member of the group", name(*who)),
        Check::Joint(who) => format!("the change of {} went through a joint membership", name(*who)),
        Check::Learner(who) => format!("{} was a learner first, wherever it votes", name(*who)),
        Check::LeaseExpired(who) => format!("the lease of {} runs out", name(*who)),
        Check::SteppedDown(who) => format!("{} steps down", name(*who)),
        Check::ReadSeen { by, mode, outcome } => format!("a {mode} read at {} is {}", name(*by), outcome_word(outcome)),
        Check::EveryShardLed => "each of the eight shards has a leader".to_owned(),
        Check::LeadersSpread => "more than one node leads shards".to_owned(),
        Check::OnlyOrphansElect => format!("exactly the groups that {} led elect anew", roles.leader),
    }
}

fn outcome_word(outcome: &str) -> &str {
    if outcome == "ok" { "served" } else { outcome }
}

/// Tests a check once: says whether it holds by now, and what was seen.
pub(super) fn test(
    supervisor: &Supervisor,
    roles: &Roles,
    check: &Check,
    before: &StepStart,
    answers: &[Value],
) -> Finding {
    let input = CheckInput { supervisor, before, since: supervisor.events.notable(before.step) };
    let node = |who: RoleName| roles.node(supervisor, who).unwrap_or_default();
    match *check {
        Check::Elected { but } => input.elected(but.map(node)),
        Check::OneLeaderPerTerm => input.one_leader_per_term(),
        Check::Majority => input.majority(),
        Check::NobodyElected => input.nobody_elected(),
        Check::Refused { voter, pre, reason } => input.refused(&node(voter), pre, reason),
        Check::SplitTerm => input.split_term(),
        Check::RequestOutcome(number, outcome) => outcome_of(answers.get(number), outcome),
        Check::Agree(all) => input.agree(all.iter().map(|who| node(*who)).collect()),
        Check::Truncated(who) => input.happened(kind::TRUNCATED, &node(who)),
        Check::Uncommitted(who) => input.uncommitted(&node(who)),
        Check::Behind(who, other) => input.behind(&node(who), &node(other)),
        Check::Purged(who) => input.purged(&node(who)),
        Check::SnapshotInstalled(who) => input.happened(kind::SNAPSHOT_INSTALLED, &node(who)),
        Check::SameLeader => input.same_leader(),
        Check::Voter(who) => input.voter(&node(who)),
        Check::NoMember(who) => input.no_member(&node(who)),
        Check::Joint(who) => input.walked(&node(who), |walk| walk.joint),
        Check::Learner(who) => input.walked(&node(who), |walk| walk.learnt),
        Check::LeaseExpired(who) => input.happened(kind::LEASE_EXPIRED, &node(who)),
        Check::SteppedDown(who) => input.happened(kind::STEPPED_DOWN, &node(who)),
        Check::ReadSeen { by, mode, outcome } => input.read(&node(by), mode, outcome),
        Check::EveryShardLed => input.leaders(|leaders| leaders.len() == SHARDS as usize),
        Check::LeadersSpread => input.leaders(|leaders| leaders.values().collect::<BTreeSet<_>>().len() > 1),
        Check::OnlyOrphansElect => input.only_orphans_elect(&roles.leader),
    }
}

/// What checks are tested against.
struct CheckInput<'a> {
    supervisor: &'a Supervisor,
    before: &'a StepStart,
    /// The notable events since the step began.
    since: Vec<Arc<Value>>,
}

impl CheckInput<'_> {
    /// The events of one kind in the lesson's group since the step began, oldest first.
    fn events<'b>(&'b self, kind: &'b str) -> impl DoubleEndedIterator<Item = &'b Value> {
        self.since.iter().map(AsRef::as_ref).filter(move |event| event["kind"] == kind && event["group"] == GROUP)
    }

    fn happened(&self, kind: &str, node: &str) -> Finding {
        match self.events(kind).rfind(|event| event["node"] == node) {
            Some(event) => finding(true, in_words(event)),
            None => finding(false, "not yet"),
        }
    }

    fn elected(&self, but: Option<String>) -> Finding {
        let elected = self.events(kind::ELECTED).rfind(|event| but.as_ref().is_none_or(|but| event["node"] != *but));
        elected.map_or_else(|| finding(false, "nobody yet"), |event| finding(true, in_words(event)))
    }

    fn one_leader_per_term(&self) -> Finding {
        let all = self.supervisor.events.notable(self.before.lesson);
        let mut terms: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for event in all.iter().filter(|event| event["kind"] == kind::ELECTED && event["group"] == GROUP) {
            terms.entry(event["term"].as_u64().unwrap_or(0)).or_default().insert(text(&event["node"]));
        }
        // A second leader in one term cannot be undone, so this is final.
        let twice = terms.iter().find(|(_, leaders)| leaders.len() > 1);
        match twice {
            Some((term, leaders)) => {
                Finding { is_final: true, ..finding(false, format!("term {term} has {}", listed(leaders))) }
            }
            None => finding(true, format!("terms with a leader: {}", listed(terms.keys()))),
        }
    }

    fn majority(&self) -> Finding {
        let Some(elected) = self.events(kind::ELECTED).next_back() else {
            return finding(false, "nobody is elected yet");
        };
        // A candidate votes for itself without an event.
        let granted = |event: &&Value| {
            event["term"] == elected["term"] && event["candidate"] == elected["node"] && event["pre"] == false
        };
        let voters: BTreeSet<&str> =
            self.events(kind::VOTE_GRANTED).filter(granted).filter_map(|event| event["node"].as_str()).collect();
        let own = elected["node"].as_str().unwrap_or("?");
        let names: Vec<&str> = voters.iter().copied().chain([own]).collect();
        finding(names.len() >= 2, format!("votes of {} in term {}", names.join(", "), elected["term"]))
    }

    fn nobody_elected(&self) -> Finding {
        if let Some(event) = self.events(kind::ELECTED).next() {
            return Finding { is_final: true, ..finding(false, in_words(event)) };
        }
        let tried = self.events(kind::VOTE_REFUSED).count() + self.events(kind::VOTE_ANSWERED).count();
        let over = self.before.when.elapsed() > self.supervisor.timings.election_max() * 2;
        finding(over, format!("nobody is elected; {tried} votes were answered"))
    }

    fn refused(&self, voter: &str, pre: bool, reason: &str) -> Finding {
        let refused = |event: &&Value| event["node"] == voter && event["pre"] == pre && event["reason"] == reason;
        match self.events(kind::VOTE_REFUSED).rfind(refused) {
            Some(event) => finding(true, format!("{} asked in term {}", text(&event["candidate"]), event["term"])),
            None => finding(false, "not yet"),
        }
    }

    fn split_term(&self) -> Finding {
        let refused = self.events(kind::VOTE_REFUSED).filter(|event| event["pre"] == false);
        let mut stood: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        for event in refused.filter(|event| event["reason"] == "voted_for_other") {
            // With two nodes up, a voter that has voted for another has voted for itself: it is a candidate, too.
            let both = [&event["candidate"], &event["node"]].into_iter().filter_map(Value::as_str);
            stood.entry(event["term"].as_u64().unwrap_or(0)).or_default().extend(both);
        }
        // In a split term two nodes stood and nobody was elected.
        let led: BTreeSet<u64> = self.events(kind::ELECTED).filter_map(|event| event["term"].as_u64()).collect();
        match stood.iter().find(|(term, both)| both.len() > 1 && !led.contains(term)) {
            Some((term, both)) => finding(true, format!("{} in term {term}", listed(both))),
            None => finding(false, "not yet"),
        }
    }

    fn agree(&self, names: Vec<String>) -> Finding {
        let view = self.supervisor.view.lock();
        let of = |name: &String| view.replica(GROUP, name).map(|replica| (replica.last_log, replica.applied));
        let all: Vec<_> = names.iter().map(of).collect();
        // What is applied is committed, so equal applied indices mean equal logs.
        let same = all.iter().all(|one| one.is_some_and(|(last, applied)| last == applied) && *one == all[0]);
        let said = names.iter().zip(&all).map(|(name, one)| match one {
            Some((last, applied)) => format!("{name} {applied}/{last}"),
            None => format!("{name} is down"),
        });
        finding(same, said.collect::<Vec<_>>().join(", "))
    }

    fn replica(&self, name: &str) -> Option<ReplicaStatus> {
        self.supervisor.view.lock().replica(GROUP, name).cloned()
    }

    fn uncommitted(&self, name: &str) -> Finding {
        match self.replica(name) {
            Some(replica) => {
                let saw =
                    format!("{name} holds entries up to {}, committed up to {}", replica.last_log, replica.committed);
                finding(replica.last_log > replica.committed, saw)
            }
            None => finding(false, format!("{name} shows nothing")),
        }
    }

    fn purged(&self, name: &str) -> Finding {
        let (snapshot, purged) = self.replica(name).map_or((0, 0), |replica| (replica.snapshot, replica.purged));
        let saw = format!("its snapshot stands at {snapshot}, its log begins after {purged}");
        Finding { saw, ..self.happened(kind::PURGED, name) }
    }

    fn behind(&self, name: &str, other: &str) -> Finding {
        let last = |name: &str| self.replica(name).map_or(0, |replica| replica.last_log);
        let (short, long) = (last(name), last(other));
        finding(short < long, format!("{name} ends at {short}, {other} at {long}"))
    }

    fn same_leader(&self) -> Finding {
        let now = self.supervisor.view.lock().leader(GROUP);
        let then = self.before.leaders.iter().find(|(group, ..)| *group == GROUP);
        let same = now.as_ref().zip(then).is_some_and(|(now, then)| (&now.0, now.1) == (&then.1, then.2));
        let elected = self.events(kind::ELECTED).next().is_some();
        let saw = now.map_or_else(|| "nobody leads".to_owned(), |(node, term)| format!("{node} in term {term}"));
        finding(same && !elected, saw)
    }

    /// The groups that the node is a member of; `true` for those in which it is a voter.
    fn memberships(&self, name: &str) -> BTreeMap<u64, bool> {
        memberships(&self.supervisor.view.lock(), name, 0..=u64::from(SHARDS))
    }

    fn voter(&self, name: &str) -> Finding {
        let groups = self.memberships(name);
        let (votes, not_yet): (Vec<u64>, Vec<u64>) = groups.keys().partition(|group| groups[group]);
        let saw = format!("{name} votes in groups {}, has no vote yet in {}", listed(&votes), listed(&not_yet));
        finding(not_yet.is_empty() && !votes.is_empty(), saw)
    }

    fn no_member(&self, name: &str) -> Finding {
        let view = self.supervisor.view.lock();
        let leader = view.leader(GROUP).and_then(|(leader, _)| view.replica(GROUP, &leader));
        let Some(leader) = leader else { return finding(false, "nobody leads") };
        let saw = format!("voters {}, learners {}", listed(&leader.voters), listed(&leader.learners));
        finding(!leader.joint && !leader.voters.contains(name) && !leader.learners.contains(name), saw)
    }

    /// Holds if the node went this way in some group, and in every group in which it is a voter now.
    fn walked(&self, name: &str, way: impl Fn(MembershipWalk) -> BTreeSet<u64>) -> Finding {
        let went = way(MembershipWalk::of(self.since.iter().map(AsRef::as_ref), name));
        let votes = self.memberships(name).into_iter().filter(|(_, votes)| *votes);
        // A group where it votes, but never went this way, refutes the check.
        let missing: Vec<u64> = votes.map(|(group, _)| group).filter(|group| !went.contains(group)).collect();
        let saw = match missing.is_empty() {
            true => format!("in groups {}", listed(&went)),
            false => format!("in groups {}, but not in {}", listed(&went), listed(&missing)),
        };
        finding(!went.is_empty() && missing.is_empty(), saw)
    }

    fn read(&self, node: &str, mode: &str, outcome: &str) -> Finding {
        let fits = |event: &&Value| event["node"] == node && event["mode"] == mode && event["outcome"] == outcome;
        match self.events(kind::READ).rfind(fits) {
            Some(event) if outcome == "ok" => finding(true, format!("at index {}", event["index"])),
            Some(event) => finding(true, text(&event["reason"])),
            None => finding(false, "not seen"),
        }
    }

    fn leaders(&self, fits: impl Fn(&BTreeMap<u64, String>) -> bool) -> Finding {
        let leaders = self.shard_leaders();
        let mut count: BTreeMap<&String, usize> = BTreeMap::new();
        for leader in leaders.values() {
            *count.entry(leader).or_default() += 1;
        }
        finding(
            fits(&leaders),
            count.iter().map(|(name, led)| format!("{name} leads {led}")).collect::<Vec<_>>().join(", "),
        )
    }

    fn shard_leaders(&self) -> BTreeMap<u64, String> {
        let view = self.supervisor.view.lock();
        let led = |group| view.leader(group).map(|(leader, _)| (group, leader));
        (1..=u64::from(SHARDS)).filter_map(led).collect()
    }

    fn only_orphans_elect(&self, gone: &str) -> Finding {
        let shards = 1..=u64::from(SHARDS);
        let led = self.before.leaders.iter().filter(|(group, node, _)| shards.contains(group) && node == gone);
        let orphans: BTreeSet<u64> = led.map(|(group, ..)| *group).collect();
        let elected = self.since.iter().filter(|event| event["kind"] == kind::ELECTED);
        let elected: BTreeSet<u64> =
            elected.filter_map(|event| event["group"].as_u64()).filter(|group| shards.contains(group)).collect();
        let saw = format!("led groups {}, elections in {}", listed(&orphans), listed(&elected));
        // An election too many cannot be taken back, so it is final.
        Finding { is_final: !elected.is_subset(&orphans), ..finding(orphans == elected, saw) }
    }
}

fn outcome_of(answer: Option<&Value>, wanted: RequestOutcome) -> Finding {
    let Some(answer) = answer else { return Finding { is_final: true, ..finding(false, "there was no such request") } };
    let (ok, stale) = (answer["ok"] == true, answer["stale"] == true);
    let holds = match wanted {
        RequestOutcome::Done => ok,
        RequestOutcome::Refused => !ok,
        RequestOutcome::Fresh(value) => ok && !stale && answer["value"] == value,
        RequestOutcome::Stale(value) => ok && stale && answer["value"] == value,
    };
    let saw = match ok {
        true => {
            format!("{} from {}{}", answer["value"], text(&answer["served_by"]), if stale { ", stale" } else { "" })
        }
        false => text(&answer["error"]),
    };
    // An answer does not change any more, so neither does the finding.
    Finding { is_final: true, ..finding(holds, saw) }
}

/// The items with commas between, or `none`.
fn listed(all: impl IntoIterator<Item = impl ToString>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn in_words(event: &Value) -> String {
    format!("{} in term {}", text(&event["node"]), event["term"])
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
