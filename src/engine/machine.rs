//! The engine itself: one state, one writer, many readers.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockUpgradableReadGuard};
use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{BrokenInvariant, Changes, Garbage, Machine, Position, StateReader};

use super::ids::CollectionId;
use super::state::{State, points_of, rebuild};
use super::stats::StateCounts;
use crate::engine::commands::apply::{ApplyPlan, plan};
use crate::engine::commands::entry::{Entry, written_by_newer};
use crate::engine::commands::panic_barrier::guarded;
use crate::engine::commands::reply::Refusal;
use crate::engine::graph_store::{GraphName, Setup};
use crate::engine::queries::answer_room::Room;
use crate::engine::queries::query::{
    CollectionStats, CountQuery, Found, GetQuery, Hit, Record, ScrollPage, ScrollQuery, SearchQuery,
};
use crate::engine::queries::read;
use crate::engine::queries::work_meter::Meter;

/// A shard's machine.
///
/// A query holds a read lock from its start to its end, so it sees a whole number of commands; one whose filter is long
/// work is answered [apart](crate::engine::queries::long_filter) from it. A command is decoded, checked and encoded beside the readers, and
/// excludes them only while it changes memory.
#[derive(Debug, Default)]
pub struct Engine {
    pub(super) state: RwLock<State>,
    /// What is counted of the state, under a lock that is never held for long: the state's own may be waited for as
    /// long as the longest search, and a report is asked for on threads that must not wait. Changed by
    /// `apply` and `index` alone, before the state's lock is given up.
    pub(super) stats: Mutex<StateCounts>,
    /// Which graph was worked on last.
    pub(super) turn: Mutex<Option<GraphName>>,
}

impl Engine {
    /// The nearest points, best first.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn search(&self, query: &SearchQuery) -> Result<Vec<Hit>, Refusal> {
        self.find(query).map(|found| found.hits)
    }

    /// The nearest points, best first, and how they were found.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`], or [`Refusal::Invalid`] for a query that does not fit the collection or the
    /// limits.
    pub fn find(&self, query: &SearchQuery) -> Result<Found, Refusal> {
        self.find_within(query, &Room::unlimited())
    }

    /// As [`find`](Self::find); hits that the room does not hold carry neither payload nor vectors.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_within(&self, query: &SearchQuery, room: &Room) -> Result<Found, Refusal> {
        read::search(self.state.read().table(query.collection)?, query, &Meter::unlimited(), room)
    }

    /// As [`find_within`](Self::find_within); `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn try_find(&self, query: &SearchQuery, meter: &Meter<'_>, room: &Room) -> Result<Option<Found>, Refusal> {
        let found = read::search(self.state.read().table(query.collection)?, query, meter, room)?;
        Ok((!meter.ended()).then_some(found))
    }

    /// Points by id, in the order asked; those that do not exist are left out.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`], or [`Refusal::Invalid`] for too many ids or an unknown vector.
    pub fn get(&self, query: &GetQuery) -> Result<Vec<Record>, Refusal> {
        self.get_within(query, &Room::unlimited())
    }

    /// As [`get`](Self::get); points that the room does not hold carry neither payload nor vectors.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_within(&self, query: &GetQuery, room: &Room) -> Result<Vec<Record>, Refusal> {
        read::get(self.state.read().table(query.collection)?, query, room)
    }

    /// A page of points in the order of their ids, numbers before UUIDs.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`], or [`Refusal::Invalid`] for a limit out of range or an unknown vector.
    pub fn scroll(&self, query: &ScrollQuery) -> Result<ScrollPage, Refusal> {
        read::scroll(self.state.read().table(query.collection)?, query, &Meter::unlimited(), &Room::unlimited())
    }

    /// As [`scroll`](Self::scroll), a page no longer than the room; `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`scroll`](Self::scroll).
    pub fn try_scroll(
        &self,
        query: &ScrollQuery,
        meter: &Meter<'_>,
        room: &Room,
    ) -> Result<Option<ScrollPage>, Refusal> {
        let page = read::scroll(self.state.read().table(query.collection)?, query, meter, room)?;
        Ok((!meter.ended()).then_some(page))
    }

    /// The number of points, exactly.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`].
    pub fn count(&self, query: &CountQuery) -> Result<u64, Refusal> {
        let state = self.state.read();
        Ok(read::count(state.table(query.collection)?, query.filter.as_ref(), &Meter::unlimited()))
    }

    /// As [`count`](Self::count); `None` where the meter ended first.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn try_count(&self, query: &CountQuery, meter: &Meter<'_>) -> Result<Option<u64>, Refusal> {
        let state = self.state.read();
        let count = read::count(state.table(query.collection)?, query.filter.as_ref(), meter);
        Ok((!meter.ended()).then_some(count))
    }

    /// Every collection this shard knows, in the order of their numbers.
    pub fn collections(&self) -> Vec<CollectionStats> {
        self.stats.lock().collections()
    }

    /// The ranges of collections that were dropped here, first and last included, in order.
    pub fn dropped(&self) -> Vec<(CollectionId, CollectionId)> {
        let dropped = self.stats.lock().dropped();
        dropped.ranges().map(|(first, last)| (CollectionId(first), CollectionId(last))).collect()
    }

    /// The shard's time in milliseconds: the greatest that a command has carried.
    pub fn time_ms(&self) -> u64 {
        self.stats.lock().time_ms()
    }

    /// Points of all collections.
    pub fn points(&self) -> u64 {
        self.stats.lock().points()
    }

    /// Bytes of memory that points, vectors and payloads take, near enough to hold against a budget.
    pub fn memory_bytes(&self) -> u64 {
        self.stats.lock().memory_bytes()
    }

    /// Reads every stored component of one vector once and does nearly nothing with it: the bytes read, and a sum to
    /// print so that the loop is not optimised away. What an exact search's speed is held against.
    ///
    /// # Errors
    /// [`Refusal::CollectionNotFound`], or [`Refusal::Invalid`] for an unknown vector.
    pub fn read_vectors(&self, collection: CollectionId, vector_name: &str) -> Result<(u64, f32), Refusal> {
        let state = self.state.read();
        let space = state.table(collection)?.space(vector_name);
        Ok(space.ok_or_else(|| Refusal::invalid("vector_name", "the collection has no such vector"))?.read_all())
    }
}

impl Machine for Engine {
    type Setup = Setup;

    fn open(setup: &Setup, state: &dyn StateReader) -> io::Result<Self> {
        let state = rebuild(setup, state)?;
        let stats = Mutex::new(StateCounts::of(&state));
        Ok(Self { state: RwLock::new(state), stats, turn: Mutex::default() })
    }

    fn apply(&self, at: Position, command: &[u8], changes: &mut Changes) -> Result<Bytes, BrokenInvariant> {
        // This release cannot know what the entry does, so it does not guess a reply: the group stops here.
        if Entry::is_newer(command) && !is_planted(Mutant::AnswersNewerEntries) {
            return Err(written_by_newer(at.index));
        }
        // Deciding reads beside all searches, and keeps other writers out.
        let state = self.state.upgradable_read();
        // The log gives each index once and in order. Anything else would apply a command twice.
        if at.index <= state.index {
            let reflected = state.index;
            return Err(BrokenInvariant(format!("a command at index {} came after that at {reflected}", at.index)));
        }
        let plan = guarded("shard", at, command, || plan(&state, at.index, command));
        let plan = plan.unwrap_or_else(|| ApplyPlan::undecided(&state));
        // From here on memory changes, and no search sees half of it.
        let touched = plan.touches();
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        // Everything that can fail was decided. Should carrying out fail all the same, memory is half changed: the group
        // stops here, and a start reads what is stored, of which this command is no part.
        let done = catch_unwind(AssertUnwindSafe(|| plan.carry_out(&mut state, at.index, changes)));
        let reply = done.map_err(|_| half_done(at.index))?;
        // Searches come in again only when the counts agree with the state.
        self.stats.lock().note(&state, touched);
        Ok(reply.encode())
    }

    fn take_garbage(&self) -> Garbage {
        // Mostly there is none, and then nobody is kept waiting.
        if self.state.read().discarded.is_empty() {
            return Garbage::default();
        }
        // The lock is held only to take the tables out. To free them takes long, and is the caller's.
        let discarded = std::mem::take(&mut self.state.write().discarded);
        let (mut keys, mut memory) = (Vec::new(), Vec::<Box<dyn Send>>::new());
        for (collection, table) in discarded {
            keys.push(points_of(collection));
            // After a start there may be points of a dropped collection on the disk, and no table in memory.
            if let Some(table) = table {
                memory.push(Box::new(table));
            }
        }
        Garbage { keys, memory }
    }

    fn digest(&self) -> (u64, u64) {
        self.stats.lock().digest()
    }
}

fn half_done(index: u64) -> BrokenInvariant {
    BrokenInvariant(format!("carrying out the command at index {index} panicked half-way: please report this bug"))
}
