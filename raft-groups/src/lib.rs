//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! This is the only crate that names either of the two; above it there are only the types exported here. A [`Host`]
//! is a node's part in all groups, a [`Group`] is one replica of one group, and a [`Machine`] is what the group
//! agrees on. The steps below have the names of the Raft paper. "The thesis" is Ongaro's, "Consensus: Bridging
//! Theory and Practice".
//!
//! ```text
//!         Group ── write, read, status ──┐                    the floors above
//! ───────────────────────────────────────┼──────────────────────────────────────────────────────────────
//!    Host ─ OpenReplica ─▶  replica ◀────┘   (answers, votes, reads, heartbeats, snapshots that come in)
//!      ▲                       │
//!      │                    openraft  (consensus/: its types, tokio as its runtime)
//!      │          ┌────────────┼─────────────────────────┐
//!      │      network/     storage/log/              storage/state/ ─▶ Machine
//!      │          │        KnownLog, LogStore        applier, generations, views
//!      │          │            │                         │
//!      │      Transport     Syncer (log)              Syncer (state)      one worker a store: group commit
//!      │          │            │                         │
//!      └══ other nodes      sled, or a simulated disk   sled
//! ```
//!
//! # A write
//! 1. [`Group::write`] (`group.rs`) reserves room for the command, or returns [`WriteError::Busy`]
//!    (`replica/mod.rs`, `admit`). Then it hands the command to openraft. A replica that does not lead answers
//!    [`WriteError::NotLeader`].
//! 2. openraft appends. `storage/log/adapter.rs` puts the entry into `known_log.rs`, where it can be read at once,
//!    and queues it in the `log_store.rs` (`key_value_log.rs`). The store's one worker (`storage/syncer.rs`) writes
//!    what all groups of the node have queued, and one sync (`storage/sled/`) makes it durable.
//! 3. Meanwhile the entry goes to the followers: `network/raft_network.rs` (AppendEntries), `client.rs` (target,
//!    deadline and life), `wire.rs` (bytes), and a transport (`http.rs`; `sim/network.rs` in simulation).
//! 4. The follower's node finds the replica for the request (`host/answer_peers.rs`). That replica
//!    (`replica/answer.rs`) makes its promise, compares the entries with what it has applied
//!    (`storage/log/contradiction.rs`), and appends as in step 2. It answers once the entries are durable.
//! 5. An entry that is durable on a majority is committed. openraft hands it to `storage/state/applier.rs`. The
//!    applier waits until the entry is durable here too, applies it to the machine, and queues changes and applied
//!    index as one batch (`storage/state/mod.rs`). That needs no sync: after a crash the log repeats it.
//! 6. The machine's reply goes back as [`Written`]. If nobody can know whether the entry is committed, the writer
//!    gets [`WriteError::Indeterminate`].
//!
//! # A read
//! [`Group::read`] waits until [`Group::machine`] may be read, and returns as of which index ([`ReadPoint`]). The
//! code is in `replica/read.rs`.
//! - [`ReadMode::Follower`]: at once, unless this replica may have shown something newer before its node restarted.
//!   `lease/freshness.rs` knows how old the state may be.
//! - [`ReadMode::Lease`]: on the leader, while the last message that a majority answered is younger than four fifths
//!   of a promise (the thesis, § 6.4.1). `lease/promise.rs` is the follower's side of it, and outlives restarts.
//!   `lease/suspend.rs` ends a lease if the machine has slept.
//! - [`ReadMode::Linearizable`]: on any replica, after a round of heartbeats that began after the read (ReadIndex,
//!   § 6.4). Reads that wait share the next round (`replica/confirmations.rs`). A follower asks its leader for a round.
//!
//! # An election
//! 1. `replica/heartbeat.rs` sets the pace of heartbeats. A follower that hears none for its election timeout
//!    ([`RaftSettings`]) first asks whether it would be elected (pre-vote, § 9.6), and then asks for votes:
//!    `network/raft_network.rs` (`ask_vote`), and `replica/vote.rs` on the other side.
//! 2. Three kinds of voters refuse every candidate: one that has promised a living leader not to depose it; one that
//!    does not know itself as a member (`storage/replica_record.rs`); and one whose node has just restarted, until
//!    its earlier promises have run out (`host/open.rs`, `silent_until`). All others follow Raft's own rule: the
//!    term, then the newer log, and one vote a term.
//! 3. The vote is durable before it is given (`storage/log/adapter.rs`, `save_vote`). A node that runs on an older
//!    copy of its directory may have forgotten a vote: `network/lives.rs` keeps it out.
//! 4. A leader hands over on request (leader transfer, § 3.10): `host/hand_over.rs` before a node stops,
//!    `host/hung_disk.rs` while its disk hangs, `membership/converge.rs` before it leaves the group.
//!
//! # A snapshot
//! 1. After [`RaftSettings::snapshot_after`] entries openraft asks for one. The stored state *is* the snapshot:
//!    `storage/state/view.rs` freezes it (copy on write), so a snapshot costs a sync and no copy. Then the log is
//!    purged up to near it.
//! 2. A follower that lacks purged entries, or lacks too many (`network/raft_network.rs`), gets the state page by
//!    page (`network/snapshot_sender.rs`), at the rate that the node allows (`network/throttle.rs`).
//! 3. The follower stores the pages in a *generation* of keys that no reader sees (`replica/receive_snapshot.rs`,
//!    `storage/state/mod.rs`). One durable write of the header (`storage/state/header.rs`) makes it the current
//!    state. The machine is opened anew, and the former generation is erased (`storage/erase.rs`).
//!
//! # Members
//! `membership/next_step.rs` chooses one safe step towards the wanted voters: add a learner, wait for it, change the
//! voters by joint consensus (§ 4.3), remove learners. `membership/converge.rs` takes it, on the leader.
//! [`Host::erase_group`] erases a replica that has left. The node remembers that the replica was here, because the
//! replica has forgotten what it acknowledged.
//!
//! # A start
//! `host/open.rs` checks whose the stores are (`storage/claim.rs`), what each log says (`storage/log/recover.rs`),
//! and whether log and state can belong to one replica (`contradiction.rs`). Only then it starts consensus. Damage
//! keeps a replica closed ([`OpenError::Damaged`]). If a majority of a group is lost for good, `recovery.rs` lets a
//! survivor go on alone.
//!
//! # How it is tested
//! `sim/` runs a whole cluster in one thread as a seed decides, and checks `sim/invariants.rs` on all replicas after
//! every message. `tests/simulation` runs it under every fault, and `tests/scenarios` has single cases. [`mutants`]
//! are planted bugs that the tests must catch. `tests/storage` has openraft's own suite, and real power cuts.
//! [`events`] shows what replicas do.

mod consensus;
mod error;
pub mod events;
mod format;
mod group;
mod host;
mod ids;
pub mod inspect;
mod lease;
mod machine;
mod membership;
pub mod mutants;
pub mod network;
mod recovery;
mod replica;
mod settings;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod status;
pub mod storage;
#[cfg(test)]
mod tests;

pub use consensus::runtime::seed_this_thread;
pub use error::{OpenError, ReadError, WriteError};
pub use group::{Group, Written};
pub use host::Host;
pub use ids::{GroupId, Identity, Life, NodeId, name_groups};
pub use lease::promise::LONGEST_PROMISE;
pub use machine::{BrokenInvariant, Changes, Garbage, Machine, MemoryState, Position, StateReader, Visit};
pub use membership::{MembershipStep, next_step};
pub use recovery::{StoppedNode, StoredReplica, recoveries};
pub use settings::{BrokenRule, RaftSettings};
pub use status::{GroupStatus, ReadMode, ReadPoint, Role};
pub use storage::Disk;

/// What a process logs of this crate and of the library below it, in the words of `tracing_subscriber::EnvFilter`. What
/// `openraft::raft` logs is that a caller finds a stopped core, as at each orderly stop: the caller gets the same as an
/// error, and this crate says what it means.
pub const LOG_FILTER: &str = "raft_groups=info,openraft::raft=off";
