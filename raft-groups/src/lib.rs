//! Many Raft groups in one process: openraft's consensus over sled's storage, generic over a [`Machine`].
//!
//! The only crate that names either of the two; above it there are only the types exported here. A [`Host`] is a
//! node's part in all groups, a [`Group`] one replica of one group, a [`Machine`] what is agreed upon. Whoever knows
//! the Raft paper finds its parts below by their names; references to "the thesis" are to Ongaro's.
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
//! 1. [`Group::write`] (`group.rs`) takes room for the command, or says [`WriteError::Busy`] (`replica/mod.rs`,
//!    `admit`), and hands it to openraft. A replica that does not lead answers [`WriteError::NotLeader`].
//! 2. openraft appends: `storage/log/adapter.rs` puts the entry into `known_log.rs`, where it can be read at once, and
//!    asks the `log_store.rs` for it (`key_value_log.rs`). The store's one worker (`storage/syncer.rs`) writes what
//!    all groups of the node wait for, and one sync (`storage/sled/`) makes it durable.
//! 3. Meanwhile the entry goes to the followers: `network/raft_network.rs` (AppendEntries), `client.rs` (whom, by
//!    when, in which life), `wire.rs` (bytes), and a transport (`http.rs`; `sim/network.rs` in simulation).
//! 4. A follower's node finds the replica that is meant (`host/answer_peers.rs`), and that replica
//!    (`replica/answer.rs`) makes its promise, compares the entries with what it has applied
//!    (`storage/log/contradiction.rs`), and appends as in step 2. It answers once the entries are durable.
//! 5. Durable on a majority is committed. openraft hands the entry to `storage/state/applier.rs`, which waits until it
//!    is durable here too, has the machine carry it out, and queues changes and applied index as one
//!    (`storage/state/mod.rs`). No sync: after a crash the log repeats them.
//! 6. The machine's reply travels back as [`Written`]. Where it cannot be known whether the entry is committed, the
//!    writer is told so: [`WriteError::Indeterminate`].
//!
//! # A read
//! [`Group::read`] says when [`Group::machine`] may be looked at, and as of which index ([`ReadPoint`]);
//! `replica/read.rs`.
//! - [`ReadMode::Follower`]: at once, unless this replica may have shown something newer before its node restarted.
//!   How old the state may be is kept in `lease/freshness.rs`.
//! - [`ReadMode::Lease`]: on the leader, while a majority answered less than four fifths of a promise ago (the thesis,
//!   § 6.4.1). `lease/promise.rs` is the follower's side of it, and outlives restarts; `lease/suspend.rs` ends a lease
//!   over which the machine has slept.
//! - [`ReadMode::Linearizable`]: on any replica, after a round of heartbeats that began after the read (ReadIndex,
//!   § 6.4). Reads that wait share the next round (`replica/confirmations.rs`); a follower asks its leader for one.
//!
//! # An election
//! 1. Heartbeats are asked for in `replica/heartbeat.rs`. A follower that hears none for its election timeout
//!    ([`RaftSettings`]) first asks whether it would be elected (pre-vote, § 9.6), and then for votes:
//!    `network/raft_network.rs` (`ask_vote`), `replica/vote.rs` on the other side.
//! 2. Three voters refuse whatever they are asked: one that has promised a living leader not to depose it, one that
//!    does not know itself as a member (`storage/replica_record.rs`), and one whose node has just restarted, until
//!    what it promised before has run out (`host/open.rs`, `silent_until`). For the rest it is Raft's own rule: term,
//!    then the newer log, one vote a term.
//! 3. The vote is durable before it is given (`storage/log/adapter.rs`, `save_vote`). A node whose directory is an
//!    older copy may have forgotten one: `network/lives.rs` keeps it out.
//! 4. A leader gives its office up on request (leader transfer, § 3.10): `host/hand_over.rs` before a node stops,
//!    `host/hung_disk.rs` where its disk hangs, `membership/converge.rs` before it leaves the group.
//!
//! # A snapshot
//! 1. After so many entries openraft asks for one. The stored state *is* it: `storage/state/view.rs` holds one moment
//!    of it still (copy on write), so it costs a sync and no copy. Then the log is purged up to near it.
//! 2. A follower that lacks purged entries, or too many (`network/raft_network.rs`), is sent the state page by page
//!    (`network/snapshot_sender.rs`), at the rate that the node allows (`network/throttle.rs`).
//! 3. The follower stores the pages in a *generation* of keys that nobody sees (`replica/receive_snapshot.rs`,
//!    `storage/state/mod.rs`). One durable write of the header (`storage/state/header.rs`) makes it the state; the
//!    machine is opened anew, and the former generation is erased (`storage/erase.rs`).
//!
//! # Members
//! `membership/next_step.rs` chooses one safe step towards the wanted voters: add a learner, wait for it, change the
//! voters by joint consensus (§ 4.3), let learners go. `membership/converge.rs` takes it, on the leader. A replica
//! that left is closed and erased by [`Host::erase_group`]; that it was here is remembered, since it has forgotten
//! what it acknowledged.
//!
//! # A start
//! `host/open.rs`: whose the stores are (`storage/claim.rs`), what each log says (`storage/log/recover.rs`), whether
//! log and state can be of one replica (`contradiction.rs`), and only then consensus. Damage keeps a replica closed
//! ([`OpenError::Damaged`]). If a majority of a group is lost for good, `recovery.rs` lets a survivor go on alone.
//!
//! # How it is tested
//! `sim/` runs a whole cluster in one thread as a seed decides, and holds `sim/invariants.rs` against all replicas
//! after every message. `tests/simulation` runs it under every fault, `tests/scenarios` tells single stories, and
//! [`mutants`] are bugs planted to see that they are caught. `tests/storage` has openraft's own suite, and real power
//! cuts. What replicas do can be watched: [`events`].

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
