//! The recovery of last resort, on the directory of a stopped node. It concerns groups that have lost the majority of
//! their nodes for good. If this node's replica holds the most of all that are left, it goes on alone. The map learns
//! of it when the node runs.
//!
//! Comes in: the operator's order and the reports of other survivors. Goes out: a report, and one changed log entry for
//! each recovered group. [`crate::placement`] decides. Must not talk to other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{Disk, GroupId, NodeId, OpenError, StoppedNode, StoredReplica};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::node::NodeError;
use crate::node::identity::data_dir::DataDir;
use crate::node::identity::identity_file::{ClusterMembership, IdentityFile};
use crate::placement::{ClusterMap, META, MetaCommand, MetaMachine, ShardId, Survivor, Verdict, group_name, verdict};

/// What the operator knows and wants.
#[derive(Debug, Clone)]
pub struct LastResort {
    /// Directory of the stopped node.
    pub data_dir: PathBuf,
    /// Names or numbers of the nodes that are lost for good.
    pub lost: Vec<String>,
    /// What the other survivors reported.
    pub others: Vec<SurvivorReport>,
    /// `true` to carry out what is found; `false` only to report it.
    pub carry_out: bool,
}

/// Version of a [`SurvivorReport`].
const FORMAT: u32 = 2;

/// What a stopped node holds, and what becomes of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SurvivorReport {
    /// Version of the report. This release understands only its own version.
    pub format: u32,
    /// The cluster.
    pub cluster: Uuid,
    /// The node's number.
    pub node: NodeId,
    /// The node's name.
    pub name: String,
    /// The cluster's nodes, as far as this node knows them.
    pub known: BTreeSet<NodeId>,
    /// Their names. A report of a release that wrote none has none.
    #[serde(default)]
    pub names: BTreeMap<NodeId, String>,
    /// Its replicas, by group.
    pub replicas: Vec<ReplicaRow>,
}

/// One replica of a [`SurvivorReport`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicaRow {
    /// Its group.
    pub group: GroupId,
    /// The shard of the group; `None` for the group of the cluster map.
    pub shard: Option<u32>,
    /// What the replica knows; `None` if it is damaged and cannot speak for its group.
    pub copy: Option<Survivor>,
    /// What becomes of the replica; `None` if it is damaged.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
}

impl SurvivorReport {
    /// Returns `true` if some replica goes on alone.
    pub fn changes_something(&self) -> bool {
        self.replicas.iter().any(|row| row.verdict == Some(Verdict::GoesOnAlone))
    }
}

/// Looks at a stopped node's replicas and decides what becomes of each. Carries it out if the order says so.
///
/// # Errors
/// Where the directory is in use, is no node's, or is damaged; where a lost node is not known; where a report cannot be
/// of another survivor; where the disk fails. Nothing is changed unless all of this was checked.
pub async fn last_resort(order: &LastResort) -> Result<SurvivorReport, NodeError> {
    let dir = DataDir::lock_used(&order.data_dir)?;
    let mut identity = IdentityFile::read(dir.path())?;
    let setup = |reason: &str| NodeError::setup("the recovery", reason);
    let member = identity.identity.member.clone().filter(|member| member.started);
    let member = member.ok_or_else(|| setup("this node never held anything: there is nothing to recover here"))?;
    // The stores open only for the identity that they were made with.
    let who = raft_groups::Identity {
        cluster: *member.cluster.as_bytes(),
        node: member.node,
        incarnation: *identity.identity.incarnation.as_bytes(),
        life: identity.identity.life,
    };
    let stopped = StoppedNode::open(who, Disk::open(&dir.stores())?).await?;
    // The order is checked before anything is changed.
    let map = read_newest_map(&stopped, &member);
    let lost = order.lost.iter().map(|name| find_node(&map, name)).collect::<Result<BTreeSet<_>, _>>()?;
    if lost.contains(&member.node) {
        return Err(setup("this node is named as lost, and its directory is here: name the other ones"));
    }
    check_reports(&member, &order.others)?;
    // Each replica speaks for itself. A damaged one stays in the report, without a word on its group.
    let mut replicas = Vec::new();
    for group in std::iter::once(META).chain(map.shards.keys().map(|shard: &ShardId| shard.group())) {
        let copy = match stopped.replica(group).await {
            Ok(None) => continue,
            Ok(Some(replica)) => Some(to_survivor(replica)),
            Err(OpenError::Damaged { .. }) => None,
            Err(error) => return Err(name_group(group, error).into()),
        };
        let shard = ShardId::of_group(group).map(|shard| shard.0);
        replicas.push(ReplicaRow { group, shard, copy, verdict: None });
    }
    let (name, known) = (identity.identity.name.to_string(), map.nodes.keys().copied().collect());
    let names = map.nodes.iter().map(|(node, entry)| (*node, entry.name.to_string()));
    // Another survivor may know a node that this one does not.
    let reported = order.others.iter().flat_map(|other| {
        let own = [(other.node, other.name.clone())];
        other.names.clone().into_iter().chain(own)
    });
    let names = reported.chain(names).collect();
    let mut report =
        SurvivorReport { format: FORMAT, cluster: member.cluster, node: member.node, name, known, names, replicas };
    // All survivors together decide, and each of them comes to the same verdict from the same reports.
    let all: Vec<SurvivorReport> = order.others.iter().chain([&report]).cloned().collect();
    let known = all.iter().flat_map(|report| report.known.iter().copied()).collect();
    for row in report.replicas.iter_mut().filter(|row| row.copy.is_some()) {
        row.verdict = Some(verdict(member.node, &lost, &known, &collect_copies(&all, row.group)));
    }
    if order.carry_out {
        carry_out(&stopped, &mut identity, member, &report, &all).await?;
    }
    Ok(report)
}

/// Puts the name that people use for the group into the error of its replica.
fn name_group(group: GroupId, error: OpenError) -> OpenError {
    match error {
        OpenError::Io { source, .. } => OpenError::Io { what: format!("the replica of {}", group_name(group)), source },
        other => other,
    }
}

/// Refuses reports that cannot be those of other survivors of this cluster.
fn check_reports(member: &ClusterMembership, others: &[SurvivorReport]) -> Result<(), NodeError> {
    if is_planted(Mutant::BelievesAnyReport) {
        return Ok(());
    }
    let mut seen = BTreeSet::from([member.node]);
    for report in others {
        let name = &report.name;
        // Each refusal says what the operator gives instead.
        let wrong = match report {
            _ if report.format != FORMAT => {
                format!("the report of {name} is of another release: print it again with this one")
            }
            _ if report.cluster != member.cluster => format!("the report of {name} is of another cluster"),
            _ if report.node == member.node => format!("the report of {name} is this node's own: leave it out"),
            _ if !seen.insert(report.node) => format!("there are two reports of {name}: give the newer one"),
            _ => continue,
        };
        return Err(NodeError::setup("the recovery", wrong));
    }
    Ok(())
}

/// Makes this node the only voter of each group that goes on alone. The groups are written down first. So after a crash
/// at any point the map is told of those that did change, and it refuses what it hears of others. The map's own group
/// learns of the recovery by its log, before it takes any other command.
async fn carry_out(
    stopped: &StoppedNode,
    identity: &mut IdentityFile,
    member: ClusterMembership,
    report: &SurvivorReport,
    all: &[SurvivorReport],
) -> Result<(), NodeError> {
    let alone = report.replicas.iter().filter(|row| row.verdict == Some(Verdict::GoesOnAlone));
    let alone: BTreeSet<GroupId> = alone.map(|row| row.group).collect();
    let recovered = &member.recovered | &alone;
    let node = member.node;
    // From here on a crash loses nothing: the map is told at the next start. A copy from before is older from now on.
    identity.set_recovered(ClusterMembership { recovered, ..member })?;
    for group in alone {
        // The new term is above every term that any survivor has heard of.
        let heard = collect_copies(all, group).into_values().flatten().map(|copy| copy.term).max();
        let recover_map = |at| MetaCommand::RecoverMap { node, at }.encode();
        let then: Option<&(dyn Fn(u64) -> Bytes + Sync)> = (group == META).then_some(&recover_map);
        let done = stopped.become_only_voter(group, heard.unwrap_or(0), then).await;
        done.map_err(|error| name_group(group, error))?;
    }
    Ok(())
}

fn to_survivor(replica: StoredReplica) -> Survivor {
    let StoredReplica { voters, learners, last, term, .. } = replica;
    Survivor { voters, learners, last, term }
}

/// The newest map in this node's stores, or the map that it was formed with. It may lack the last changes.
fn read_newest_map(stopped: &StoppedNode, member: &ClusterMembership) -> ClusterMap {
    let stored = stopped.machine::<MetaMachine>(META).ok().flatten();
    let stored = stored.map(|machine| machine.map()).filter(|map| map.is_formed());
    stored.map_or_else(|| member.first_map.clone(), |map| ClusterMap::clone(&map))
}

fn find_node(map: &ClusterMap, name: &str) -> Result<NodeId, NodeError> {
    let unknown = || {
        let known: Vec<String> = map.nodes.iter().map(|(id, entry)| format!("{} ({id})", entry.name)).collect();
        let reason = format!("there is no node `{name}`; as far as this one knows there are {}", known.join(", "));
        NodeError::setup("the recovery", reason)
    };
    // A node that joined later may be missing in this map. Then its number names it.
    map.node_named(name).or_else(|| name.parse().ok()).ok_or_else(unknown)
}

/// What the survivors hold of one group. A survivor that does not mention it holds nothing of it.
fn collect_copies(all: &[SurvivorReport], group: GroupId) -> BTreeMap<NodeId, Option<Survivor>> {
    let of_group = |report: &SurvivorReport| report.replicas.iter().find(|row| row.group == group)?.copy.clone();
    all.iter().map(|report| (report.node, of_group(report))).collect()
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;

    use super::*;
    use crate::placement::tests::map_of;

    #[test]
    fn only_reports_of_other_survivors_of_this_cluster_are_believed() {
        let member = ClusterMembership::new(Uuid::new_v4(), 1, map_of(3, 8, 3));
        let report = |node| SurvivorReport {
            format: FORMAT,
            cluster: member.cluster,
            node,
            name: format!("node{node}"),
            known: BTreeSet::new(),
            names: BTreeMap::new(),
            replicas: Vec::new(),
        };
        let other_cluster = SurvivorReport { cluster: Uuid::new_v4(), ..report(2) };
        let other_release = SurvivorReport { format: FORMAT + 1, ..report(2) };
        let wrong = [
            (vec![other_cluster], "another cluster"),
            (vec![other_release], "another release"),
            (vec![report(2), report(1)], "this node's own"),
            (vec![report(2), report(3), report(2)], "two reports of node2"),
        ];
        check_reports(&member, &[report(2), report(3)]).expect("they are the others'");
        for (reports, why) in &wrong {
            let error = check_reports(&member, reports).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
        let _planted = plant(Mutant::BelievesAnyReport);
        assert!(wrong.iter().all(|(reports, _)| check_reports(&member, reports).is_ok()), "the bug is not planted");
    }
}
