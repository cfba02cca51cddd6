//! All groups of one node: one log store, one state store, one way in for peer requests.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::Raft;
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::disk_watch;
use crate::distance::Distances;
use crate::error::damaged_replica;
use crate::events::{Events, Recorder, VoteReason, What};
use crate::identity::{Identity, claim_stores};
use crate::inspect::Inspect;
use crate::lives::Lives;
use crate::network::Transport;
use crate::network::client::Peers;
use crate::network::faults::Faults;
use crate::network::server::Answer;
use crate::network::throttle::Throttle;
use crate::network::wire::{Answered, Envelope, Refusal, Reply, Request, decode, encode};
use crate::promise::{self, LongestPromise, Promise};
use crate::replica::Replica;
use crate::storage::contradiction::check_together;
use crate::storage::log::GroupLog;
use crate::storage::machine::Applier;
use crate::storage::mark::{self, Mark};
use crate::storage::state::GroupState;
use crate::storage::store::{Batch, Store as _};
use crate::storage::{Disk, Stores};
use crate::types::index_of;
use crate::{Group, GroupId, Machine, NodeId, OpenError, RaftSettings};

/// A node's groups; clones share them.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    identity: Identity,
    pub(crate) settings: Arc<RaftSettings>,
    stores: Stores,
    pub(crate) transport: Arc<dyn Transport>,
    /// In which lives the nodes were seen.
    pub(crate) lives: Arc<Lives>,
    pub(crate) faults: Faults,
    events: Events,
    /// Bounds the snapshots that this node sends.
    throttle: Arc<Throttle>,
    pub(crate) groups: RwLock<BTreeMap<GroupId, Open>>,
    longest: Arc<LongestPromise>,
    /// Whether the promises of earlier lives have run out.
    has_waited: tokio::sync::OnceCell<()>,
    /// Before this, no replica of this node votes or campaigns.
    silent_until: Instant,
    pub(crate) distances: Distances,
}

/// An open group, whatever its machine.
pub(crate) struct Open {
    answer: Arc<dyn Answer>,
    pub(crate) inspect: Arc<dyn Inspect>,
    stop: Box<dyn Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync>,
}

impl Inner {
    /// How long the disk has not answered, where it hangs.
    pub(crate) fn hung_for(&self) -> Option<Duration> {
        disk_watch::hung_for(&self.stores.log_syncer, self.settings.longest_sync())
    }
}

impl Host {
    /// Takes the stores into use.
    ///
    /// `is_new` says that this node was never started before; only then may the stores be empty. On stores that are
    /// not, no replica starts to take part before the longest promise that this node gave has passed from here: a node that
    /// crashed has forgotten which leader it promised not to depose, and must neither vote nor campaign until that
    /// promise has run out. What is stored can be read meanwhile.
    pub async fn open(
        identity: Identity,
        settings: RaftSettings,
        disk: Disk,
        transport: Arc<dyn Transport>,
        faults: Faults,
        is_new: bool,
    ) -> Result<Host, OpenError> {
        settings.check()?;
        let stores = disk.start().map_err(|source| OpenError::Io { what: "the stores".to_owned(), source })?;
        let had_data = claim_stores(&stores, identity, is_new).await?;
        let lives = Lives::open(identity.life, &*stores.log, stores.log_syncer.clone())?;
        let opened = LongestPromise::open(&*stores.log, stores.log_syncer.clone(), settings.asks()).await?;
        let (longest, waits) = (Arc::new(opened.0), settings.on_own_clock(opened.1));
        let silence = if had_data { settings.restart_wait(waits) } else { Duration::ZERO };
        let silent_until = Instant::now() + silence;
        let throttle = Arc::new(Throttle::new(settings.snapshot_rate));
        let (settings, groups, has_waited) = (Arc::new(settings), RwLock::default(), Default::default());
        let events = Events::default();
        let inner = Inner {
            identity,
            settings,
            stores,
            transport,
            lives: Arc::new(lives),
            faults,
            events,
            throttle,
            groups,
            longest,
            has_waited,
            silent_until,
            distances: Distances::default(),
        };
        let inner = Arc::new(inner);
        tokio::spawn(disk_watch::hand_over_when_hung(Arc::downgrade(&inner)));
        Ok(Host(inner))
    }

    /// Who this node is.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// Waits until a peer says that this node was started later than this process, or runs twice: then this process must
    /// not take part, and should end.
    pub async fn overtaken(&self) {
        self.0.lives.overtaken().await;
    }

    /// How long this node's disk has been at the writes of its logs that it carries out now; `None` where none wait.
    pub fn sync_age(&self) -> Option<Duration> {
        self.0.stores.log_syncer.busy_for()
    }

    /// Whether this node's disk hangs: it then leads no group that another node can lead, and answers no peer.
    pub fn is_hung(&self) -> bool {
        self.0.hung_for().is_some()
    }

    /// What this node's replicas do, for who wants to watch.
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// The open replica of `id`, where there is one.
    pub(crate) fn inspect(&self, id: GroupId) -> Option<Arc<dyn Inspect>> {
        self.0.groups.read().get(&id).map(|open| open.inspect.clone())
    }

    /// All open replicas.
    pub(crate) fn inspected(&self) -> Vec<Arc<dyn Inspect>> {
        self.0.groups.read().values().map(|open| open.inspect.clone()).collect()
    }

    /// The cuts in this node's links.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Opens this node's replica of `id`, new or stored. A new one is a founder: one of the group's first members.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] where what is stored of it fails its checks: it then stays closed, so that it never
    /// votes on a guess.
    pub async fn open_group<M: Machine>(&self, id: GroupId, setup: M::Setup) -> Result<Group<M>, OpenError> {
        self.open_as(id, setup, Mark::Founder).await
    }

    /// Opens this node's replica of `id`. A new one waits to be added to a group that exists: it votes only once its own
    /// log says that it is a member, so that it cannot help a candidate of long ago.
    ///
    /// # Errors
    /// As for [`Host::open_group`].
    pub async fn open_newcomer<M: Machine>(&self, id: GroupId, setup: M::Setup) -> Result<Group<M>, OpenError> {
        self.open_as(id, setup, Mark::Newcomer).await
    }

    async fn open_as<M: Machine>(&self, id: GroupId, setup: M::Setup, new: Mark) -> Result<Group<M>, OpenError> {
        let what = || "this replica".to_owned();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::InvalidData => damaged_replica(what(), &source.to_string()),
            _ => OpenError::Io { what: what(), source },
        };
        let Stores { log, log_syncer, state, state_syncer } = self.0.stores.clone();
        let known = mark::read_mark(id, &*log).map_err(failed)?;
        if known == Some(Mark::Erased) {
            mark::finish_erasing(id, &self.0.stores).await.map_err(failed)?;
        }
        let raft_log = GroupLog::open(id, log, log_syncer.clone()).map_err(failed)?;
        let recorder = Recorder::new(self.0.events.clone(), id);
        raft_log.report_to(recorder.clone());
        let state = GroupState::open(id, state, state_syncer).map_err(failed)?;
        check_together(known.is_some(), &raft_log, &state).map_err(|found| damaged_replica(what(), &found))?;
        state.erase_leftovers().await.map_err(failed)?;
        let (opening, durable) = (state.clone(), Some(raft_log.clone()));
        let (applier, applied) =
            crate::storage::machine::blocking(|| Applier::<M>::open(setup, opening, durable)).map_err(failed)?;
        // Before it can vote: a mark without the rest tells later that something was lost.
        let mark = match known {
            Some(mark @ (Mark::Founder | Mark::Newcomer)) => mark,
            None | Some(Mark::Erased) => {
                let mark = if known.is_some() { Mark::Newcomer } else { new };
                mark::write_mark(id, &log_syncer, mark).await.map_err(failed)?;
                mark
            }
        };
        let shown_before = shown_before(self.0.identity.node, mark, &raft_log, &state);
        tokio::time::sleep_until(self.0.silent_until).await;
        // Before any replica promises anew.
        let forgets = || self.0.longest.forget_earlier(self.0.settings.asks());
        self.0.has_waited.get_or_try_init(forgets).await.map_err(failed)?;
        let (peers, log) = (self.peers(id, recorder, state.clone()), raft_log.clone());
        let config = self.0.settings.config(id);
        let raft = Raft::new(self.0.identity.node, config, peers.clone(), raft_log, applier)
            .await
            .map_err(|error| OpenError::Io { what: what(), source: io::Error::other(error.to_string()) })?;
        let replica = Arc::new(Replica {
            raft,
            applied,
            state,
            log,
            peers,
            settings: self.0.settings.clone(),
            contact: Default::default(),
            heard_leader: Default::default(),
            sleep: Default::default(),
            longest: self.0.longest.clone(),
            confirmations: Default::default(),
            incoming: Default::default(),
            waiting_bytes: Default::default(),
            shown_before,
            founder: mark == Mark::Founder,
        });
        let group = Group::new(replica.clone());
        let stopping = group.clone();
        let stop = Box::new(move || {
            let group = stopping.clone();
            Box::pin(async move { group.stop().await }) as futures::future::BoxFuture<'static, ()>
        });
        self.0.groups.write().insert(id, Open { answer: replica.clone(), inspect: replica, stop });
        Ok(group)
    }

    /// Stops this node's replica of `id` taking part; its data stays. From its return on no peer gets an answer of it.
    pub async fn close_group(&self, id: GroupId) {
        let open = self.0.groups.write().remove(&id);
        if let Some(open) = open {
            (open.stop)().await;
        }
    }

    /// Erases the data of a closed replica, which must be no member of its group any more, and cannot become one
    /// meanwhile. A crash in between is made up for when the group is opened here again.
    ///
    /// # Errors
    /// Where the replica is open, or the disk fails.
    pub async fn erase_group(&self, id: GroupId) -> Result<(), OpenError> {
        let failed = |source| OpenError::Io { what: "this replica".to_owned(), source };
        if self.0.groups.read().contains_key(&id) {
            return Err(failed(io::Error::other("it is open, and only a closed one can be erased")));
        }
        mark::erase(id, &self.0.stores).await.map_err(failed)
    }

    /// The replicas that this node's disk holds, open or not.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn stored_groups(&self, ids: impl Iterator<Item = GroupId>) -> Result<Vec<GroupId>, OpenError> {
        let mut stored = Vec::new();
        for id in ids {
            match mark::read_mark(id, &*self.0.stores.log) {
                Ok(Some(Mark::Founder | Mark::Newcomer)) => stored.push(id),
                Ok(None | Some(Mark::Erased)) => {}
                // Of a damaged mark so much is known: something was here.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => stored.push(id),
                Err(source) => return Err(OpenError::Io { what: "the mark of a replica".to_owned(), source }),
            }
        }
        Ok(stored)
    }

    fn peers(&self, group: GroupId, events: Recorder, state: GroupState) -> Peers {
        Peers {
            identity: self.0.identity,
            lives: self.0.lives.clone(),
            group,
            events,
            transport: self.0.transport.clone(),
            faults: self.0.faults.clone(),
            lease_ms: self.0.settings.asks().as_millis().try_into().unwrap_or(u32::MAX),
            promise: Promise::default(),
            patience: self.0.settings.patience(),
            backlog: self.0.settings.backlog(),
            state,
            throttle: self.0.throttle.clone(),
        }
    }

    /// Answers one request of a peer.
    pub async fn handle(&self, request: Bytes) -> Bytes {
        let reply = self.reply(&request).await.unwrap_or_else(Reply::Refused);
        encode(&Answered { life: self.0.lives.own(), reply })
    }

    async fn reply(&self, request: &[u8]) -> Result<Reply, Refusal> {
        let envelope: Envelope = decode(request)?;
        let from = envelope.from;
        let replica = self.find(&envelope)?;
        let lease = Duration::from_millis(envelope.lease_ms.into());
        if lease > promise::LONGEST {
            return Err(Refusal::Unreadable);
        }
        let reply = replica.answer(envelope.request, lease).await;
        self.0.faults.delay_to(from).await;
        if self.0.faults.loses_to(from) { Err(Refusal::Cut) } else { Ok(reply) }
    }

    fn find(&self, envelope: &Envelope) -> Result<Arc<dyn Answer>, Refusal> {
        let identity = self.0.identity;
        if envelope.cluster != identity.cluster {
            return Err(Refusal::OtherCluster);
        }
        if envelope.to != identity.node {
            return Err(Refusal::OtherNode);
        }
        if self.0.faults.loses_from(envelope.from) {
            return Err(Refusal::Cut);
        }
        self.0.lives.check(envelope)?;
        if self.0.hung_for().is_some() {
            return Err(Refusal::Hung);
        }
        let groups = self.0.groups.read();
        let Some(open) = groups.get(&envelope.group) else {
            drop(groups);
            self.tell_of_silence(envelope);
            return Err(Refusal::UnknownGroup);
        };
        Ok(open.answer.clone())
    }

    /// A vote that is not given since this node has just restarted is worth telling.
    fn tell_of_silence(&self, envelope: &Envelope) {
        let (rpc, pre) = match &envelope.request {
            Request::Vote(rpc) => (rpc, false),
            Request::PreVote(rpc) => (rpc, true),
            _ => return,
        };
        if Instant::now() < self.0.silent_until {
            let (candidate, reason) = (envelope.from, VoteReason::SilentAfterRestart);
            let recorder = Recorder::new(self.0.events.clone(), envelope.group);
            recorder.tell(rpc.vote.leader_id.term, || What::VoteRefused { candidate, pre, reason });
        }
    }

    /// Bytes on disk of logs and state.
    pub fn disk_bytes(&self) -> u64 {
        self.0.stores.log.size_on_disk() + self.0.stores.state.size_on_disk()
    }

    /// Stops all groups and makes what they stored durable.
    pub async fn stop(&self) {
        let groups = std::mem::take(&mut *self.0.groups.write());
        futures::future::join_all(groups.values().map(|open| (open.stop)())).await;
        for syncer in [&self.0.stores.log_syncer, &self.0.stores.state_syncer] {
            if let Err(error) = syncer.carry_out(Batch::default(), true).await {
                tracing::warn!(%error, "the last sync failed; the log replays what is missing");
            }
        }
    }
}

/// Up to which index an earlier replica of this group on this node may have shown its state: as far as its log went, but
/// where that was another replica, which was erased, nobody here knows.
fn shown_before(node: NodeId, mark: Mark, log: &GroupLog, state: &GroupState) -> u64 {
    let header = state.header();
    let voter = header.membership.membership().voter_ids().any(|voter| voter == node);
    match mark {
        Mark::Newcomer | Mark::Erased if !voter => u64::MAX,
        _ => index_of(&log.summary().1.max(header.applied)),
    }
}
