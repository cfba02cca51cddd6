//! The cluster of one run, with its clients, the loop that changes its members, and the fate of its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::coverage::Coverage;
use super::recorder::{Book, Recorder};
use super::second::Second;
use super::workload::{self, Client, Doors};
use crate::MembershipStep;
use crate::sim::SimPlan;
use crate::sim::disk::DiskFault;
use crate::sim::network::LinkConditions;
use crate::tests::kit::{Cluster, Order, later, snapshot_storm, soon};
use crate::{Group, Machine as _, NodeId, ReadMode};

/// How long the group may take to recover after the last fault.
const RECOVERY: Duration = Duration::from_secs(30);

/// Pause before a read is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// The members that the group should have. The task of [`steward`] changes them step by step.
type WantedMembers = Arc<Mutex<BTreeSet<NodeId>>>;

/// The state of a run.
pub struct World {
    pub cluster: Cluster,
    pub doors: Doors,
    pub recorder: Recorder,
    pub rng: SmallRng,
    pub coverage: Coverage,
    /// Nodes whose disks were made to fail, with the fault.
    pub failing: BTreeMap<NodeId, DiskFault>,
    conditions: LinkConditions,
    second: Option<Second>,
    wanted: WantedMembers,
    /// Nodes that never come back.
    retired: BTreeSet<NodeId>,
    /// Nodes that may hold a replica that must be erased once they are not members.
    former: BTreeSet<NodeId>,
    problems: Vec<(&'static str, String)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl World {
    /// Starts a healthy cluster under load. Every fifth seed has five founders and no spares. Every second seed
    /// loses and repeats messages. Every third seed has a second group.
    pub async fn start(seed: u64, recorder: Recorder) -> Self {
        let (founders, spares) = if seed.is_multiple_of(5) { (5, 0) } else { (3, 2) };
        let second_group = seed.is_multiple_of(3);
        let mut plan = SimPlan { spares, second_group, ..SimPlan::new(seed, founders, snapshot_storm()) };
        if seed.is_multiple_of(2) {
            (plan.conditions.loss, plan.conditions.repeats) = (0.05, 0.05);
        }
        // The first writes must succeed, so no message is lost yet.
        let conditions = plan.conditions;
        plan.conditions.loss = 0.0;
        let cluster = Cluster::start(plan).await.expect("empty disks open");
        let knows_members = |(id, group): (NodeId, &Group<_>)| id > founders || group.status().committed > 0;
        // Before every founder knows the members, a fault of one node's disk could leave no group at all.
        while !cluster.groups().all(knows_members) {
            sleep(Duration::from_millis(10)).await;
        }
        let (doors, wanted) = (Doors::default(), Arc::new(Mutex::new((1..=founders).collect())));
        let mut tasks = workload::start(seed, &doors, &recorder);
        tasks.push(tokio::spawn(steward(doors.clone(), wanted.clone())));
        let second = second_group.then(|| Second::start(seed));
        let world = Self {
            cluster,
            doors,
            recorder,
            rng: SmallRng::seed_from_u64(seed),
            coverage: Coverage::default(),
            failing: BTreeMap::new(),
            conditions,
            second,
            wanted,
            retired: BTreeSet::new(),
            former: BTreeSet::new(),
            problems: Vec::new(),
            tasks,
        };
        world.open_doors();
        let written = |name: &String| world.doors.leader().is_some_and(|leader| leader.machine().get(name).is_some());
        while !workload::first_registers().all(|name| written(&name)) {
            sleep(Duration::from_millis(20)).await;
        }
        // The last of these writes must also be acknowledged.
        sleep(Duration::from_millis(100)).await;
        world.cluster.net.set_conditions(conditions);
        world
    }

    pub fn open_doors(&self) {
        self.doors.open(self.cluster.groups().map(|(id, group)| (id, group.clone())).collect());
        if let Some(second) = &self.second {
            second.open(&self.cluster);
        }
    }

    /// Returns the members that are wanted.
    pub fn members(&self) -> Vec<NodeId> {
        self.wanted.lock().iter().copied().collect()
    }

    /// Notes that `checker` found something wrong.
    pub fn problem(&mut self, checker: &'static str, what: String) {
        self.problems.push((checker, what));
    }

    /// Returns `true` if something is wrong already, so the run may end.
    pub fn is_over(&self) -> bool {
        !self.problems.is_empty() || self.cluster.violation().is_some()
    }

    /// Cuts the power of these nodes.
    pub async fn crash(&mut self, ids: &[NodeId]) {
        for id in ids {
            self.doors.close(*id);
            self.failing.remove(id);
            if let Some(second) = &self.second {
                second.close(*id);
            }
            self.cluster.crash(*id).await;
        }
    }

    /// Returns a node to replace `victim`, if the group can lose `victim` for good: it is at rest, and no other node
    /// is lost.
    pub fn replacement(&self, victim: NodeId) -> Option<NodeId> {
        let status = self.doors.leader()?.status();
        let wanted = self.wanted.lock().clone();
        let at_rest = status.voters == wanted && status.learners.is_empty() && status.members_at.is_some();
        let can_go = at_rest && wanted.len() >= 3 && wanted.contains(&victim) && self.retired.is_empty();
        self.cluster.ids().into_iter().find(|id| can_go && !wanted.contains(id) && !self.former.contains(id))
    }

    /// Notes that `victim` never comes back. `spare` takes its place.
    pub fn retire(&mut self, victim: NodeId, spare: NodeId) {
        self.retired.insert(victim);
        let mut wanted = self.wanted.lock();
        wanted.remove(&victim);
        wanted.insert(spare);
    }

    /// Draws two to four nodes that are not retired as the wanted members.
    pub fn want_others(&mut self) {
        let mut living: Vec<NodeId> = self.cluster.ids();
        living.retain(|id| !self.retired.contains(id));
        let count = self.rng.random_range(2..=4.min(living.len()));
        let next: BTreeSet<NodeId> = living.sample(&mut self.rng, count).copied().collect();
        self.recorder.note(&format!("members are to be {next:?}"));
        let before = std::mem::replace(&mut *self.wanted.lock(), next.clone());
        self.former.extend(before.difference(&next));
    }

    /// Repairs everything that can be repaired, restarts all nodes that are down, and waits a while.
    pub async fn heal(&mut self) {
        self.recorder.note("heal");
        self.cluster.net.heal();
        self.cluster.net.set_conditions(self.conditions);
        for id in self.cluster.ids() {
            let node = self.cluster.node(id);
            for disk in [&node.log, &node.state] {
                disk.slow_down(Duration::ZERO);
                disk.arm(None);
            }
            // A replica stops by itself only if its disk was made to fail.
            let replicas = [self.cluster.group(id), self.cluster.second(id)].into_iter().flatten();
            if let Some(reason) = replicas.filter_map(|replica| replica.replica().stop_reason()).next() {
                match self.failing.get(&id) {
                    Some(DiskFault::Full) => self.coverage.saw("a full disk freed"),
                    Some(DiskFault::SyncOnce) => self.coverage.saw("a node stopped by its disk"),
                    None => self.problem("stop", format!("node {id} stopped although its disk is well: {reason}")),
                }
                self.crash(&[id]).await;
            }
            // A store that failed is not trusted again, even if its replica has not noticed yet.
            if self.failing.contains_key(&id) {
                self.crash(&[id]).await;
            }
            if self.cluster.group(id).is_none()
                && !self.retired.contains(&id)
                && let Err(error) = self.cluster.restart(id).await
            {
                self.problem("recovery", format!("node {id} does not open after a crash: {error}"));
                self.retired.insert(id);
            }
        }
        self.open_doors();
        let quiet = self.rng.random_range(100..1500);
        sleep(Duration::from_millis(quiet)).await;
        self.erase_former().await;
        self.doors.next_round();
    }

    /// Erases replicas that are not members any more. As nodes do, it waits until the group's leader has confirmed
    /// that.
    async fn erase_former(&mut self) {
        let Some(leader) = self.doors.leader() else { return };
        let wanted = self.wanted.lock().clone();
        let before = leader.status();
        let is_there = |status: &crate::GroupStatus| {
            status.voters == wanted && status.learners.is_empty() && !status.joint && status.members_at.is_some()
        };
        if !is_there(&before) || leader.prove_leader().await.is_err() {
            return;
        }
        // The confirmation counts only if the membership is the same before and after it.
        let after = leader.status();
        if !is_there(&after) || (after.term, after.members_at) != (before.term, before.members_at) {
            return;
        }
        for id in std::mem::take(&mut self.former) {
            if wanted.contains(&id) || self.cluster.group(id).is_none() {
                continue;
            }
            self.doors.close(id);
            if let Err(error) = self.cluster.replace_replica(id).await {
                self.problem("recovery", format!("node {id} does not erase its replica: {error}"));
            }
            self.doors.erased(id);
            self.coverage.saw("an erased replica back");
        }
        // The group gets a while without faults.
        self.open_doors();
    }

    /// Ends the run after the last fault: the group must come to rest, all members must agree, and everything is
    /// read once more on every member.
    pub async fn finish(mut self) -> (Vec<(&'static str, String)>, Coverage, Cluster) {
        let quiet = LinkConditions { loss: 0.0, repeats: 0.0, ..self.conditions };
        self.cluster.net.set_conditions(quiet);
        // The clients stop. The task that changes members goes on until the group is at rest.
        let clients = self.tasks.len() - 1;
        self.tasks[..clients].iter().for_each(|client| client.abort());
        let deadline = Instant::now() + RECOVERY;
        if !self.is_over() {
            match self.come_to_rest(deadline).await {
                Some(members) => self.read_everything(&members, deadline + RECOVERY).await,
                None => self.problem("liveness", format!("no rest after the last fault:\n{}", self.statuses())),
            }
        }
        if !self.is_over()
            && let Some(second) = self.second.take()
        {
            match second.finish(Instant::now() + RECOVERY).await {
                Ok(written) => self.coverage.add("a write to a second group", written),
                Err((checker, what)) => self.problem(checker, what),
            }
        }
        self.tasks.iter().for_each(|task| task.abort());
        if let Some(violation) = self.cluster.violation() {
            self.problem("invariant", violation);
        }
        self.count();
        (self.problems, self.coverage, self.cluster)
    }

    async fn come_to_rest(&self, deadline: Instant) -> Option<Vec<(NodeId, Group<crate::tests::kit::Registers>)>> {
        while Instant::now() < deadline {
            let wanted = self.wanted.lock().clone();
            if let Some(leader) = self.doors.leader()
                && leader.write(Order::set("last", 1).encode(), soon()).await.is_ok()
                && leader.status().voters == wanted
                && leader.status().members_at.is_some()
                && leader.wait_applied_everywhere(leader.status().applied, later()).await.is_ok()
            {
                return wanted.into_iter().map(|id| Some((id, self.cluster.group(id)?))).collect();
            }
            sleep(Duration::from_millis(50)).await;
        }
        None
    }

    async fn read_everything(&mut self, members: &[(NodeId, Group<crate::tests::kit::Registers>)], deadline: Instant) {
        // At rest all members have applied the same entries.
        let digests: BTreeSet<_> = members.iter().map(|(_, group)| group.machine().digest()).collect();
        if digests.len() > 1 {
            self.problem("replicas", format!("members hold different states at rest: {digests:?}"));
        }
        let client = |book, number| Client::new(0, self.doors.clone(), self.recorder.pen(book, number));
        let (mut registers, mut set) = (client(Book::Registers, 20), client(Book::Set, 21));
        let rounds = self.doors.next_round();
        // Every register of every round is read on every member, so lost writes are seen.
        let names =
            (0..rounds).flat_map(|round| (0..workload::REGISTERS).map(move |at| workload::register_of(round, at)));
        let names: Vec<_> = names.collect();
        let mut silent = BTreeSet::new();
        for (id, group) in members {
            // A replica that knows no leader yet refuses at once, so it is asked again.
            while !set.read_set(*id, group, ReadMode::Linearizable).await && within(deadline, &mut silent, *id) {
                sleep(AGAIN).await;
            }
            for name in &names {
                while !registers.read(*id, group, name, ReadMode::Linearizable).await
                    && within(deadline, &mut silent, *id)
                {
                    sleep(AGAIN).await;
                }
            }
        }
        if !silent.is_empty() {
            self.problem("liveness", format!("nodes {silent:?} serve no reads after the last fault"));
        }
    }

    fn count(&mut self) {
        let seen = self.cluster.sightings();
        let net = &self.cluster.net;
        let lost = net.messages().iter().filter(|message| message.delay.is_none()).count();
        let batches = |id| self.cluster.node(id).log.batches_lost() + self.cluster.node(id).state.batches_lost();
        let counts = [
            // The first election is not caused by a fault.
            ("an election", seen.elections.saturating_sub(1)),
            ("a snapshot installed", seen.installations),
            ("a log purged", seen.purges),
            ("a log truncated", seen.truncations),
            ("states compared", seen.comparisons),
            ("a message lost", lost as u64),
            ("a request repeated", net.repeated()),
            ("an unsynced write lost", self.cluster.ids().into_iter().map(batches).sum()),
            ("a member added", seen.members_added),
            ("a member removed", seen.members_removed),
        ];
        counts.into_iter().for_each(|(what, times)| self.coverage.add(what, times));
        self.recorder.count(&mut self.coverage);
    }

    fn statuses(&self) -> String {
        let wanted = self.members();
        let lines = self.cluster.groups().map(|(id, group)| format!("{id}: {:?}\n", group.status()));
        format!("wanted {wanted:?}, retired {:?}\n{}", self.retired, lines.collect::<String>())
    }
}

/// Returns `true` if there is time to ask a node again. If there is none, the node counts as silent.
fn within(deadline: Instant, silent: &mut BTreeSet<NodeId>, node: NodeId) -> bool {
    let late = Instant::now() >= deadline;
    if late {
        silent.insert(node);
    }
    !late
}

/// Changes the group's members step by step to those that are wanted, through any leader, without end.
async fn steward(doors: Doors, wanted: WantedMembers) {
    loop {
        sleep(Duration::from_millis(50)).await;
        let Some(leader) = doors.leader() else { continue };
        let target = wanted.lock().clone();
        // Some steps at once, as long as they change something.
        for _ in 0..4 {
            match leader.converge(&target, soon()).await {
                Ok(
                    MembershipStep::AddLearner(_) | MembershipStep::ChangeVoters(_) | MembershipStep::RemoveLearners(_),
                ) => {}
                _ => break,
            }
        }
    }
}
