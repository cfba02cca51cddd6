//! The indexing threads: they link new vectors into graphs, repair the graphs, and save them.
//!
//! Comes in: the shards that this node holds. Goes out: graphs in the engines, and their files
//! ([`super::graph_files`]). Must not change what a search finds in the end, only how fast.
//!
//! Each thread has its own shards, so no graph waits for another thread. A thread works a few milliseconds at a time.
//! Then it rests for as long as its share of a processor asks for.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::graph_files::GraphFiles;
use crate::engine::{Engine, Graph, GraphName};
use crate::gateway::http::low_priority::yield_to_requests;
use crate::node::stop_signal::StopSignal;
use crate::placement::ShardId;
use crate::routing::LocalGroups;

/// Most vectors of one step. A write may have to wait for one step. A search waits only for the moment in which the
/// step is entered into the graph.
const STEP: usize = 8;

/// Pause while there is nothing to do.
const IDLE: Duration = Duration::from_millis(20);

/// After so long without work, the last few vectors are linked too. Before that, more vectors may come and share a
/// step.
const QUIET: Duration = Duration::from_secs(1);

/// Pause between two looks at what is worth saving.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// A graph is saved once more than this many hundredths of it are new. A crash loses at most so much, which is quickly
/// built again.
const SAVE_PART: u64 = 5;

/// The node's indexing threads.
pub(in crate::node) struct Indexers(Vec<thread::JoinHandle<()>>);

impl Indexers {
    /// Starts `threads` threads, each of which works for `share` of the time. A share is above 0 and at most 1.
    ///
    /// # Errors
    /// The operating system's, where it starts no thread.
    pub fn start(
        groups: &Arc<LocalGroups>,
        dir: &Path,
        (threads, share): (usize, f64),
        stop: &StopSignal,
    ) -> io::Result<Self> {
        let spawn = |number| {
            let indexer = Indexer {
                groups: groups.clone(),
                dir: dir.to_owned(),
                place: (number, threads),
                share,
                stop: stop.clone(),
                saved: BTreeMap::new(),
                busy_at: Instant::now(),
                looked_at: Instant::now(),
            };
            thread::Builder::new().name(format!("index-{number}")).spawn(move || {
                // The scheduler prefers requests. Where indexing then falls far behind, writes are held back.
                yield_to_requests();
                indexer.run();
            })
        };
        (0..threads).map(spawn).collect::<io::Result<_>>().map(Self)
    }

    /// Waits until all threads have ended. Call it after the signal to stop. Graphs are saved by then.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::warn!("an indexing thread failed inside; graphs are built anew where they were not saved");
            }
        }
    }
}

/// One thread, and what it remembers between two looks at its shards.
struct Indexer {
    groups: Arc<LocalGroups>,
    dir: PathBuf,
    /// The number of this thread, from 0, and how many threads there are.
    place: (usize, usize),
    /// The part of the time that it works.
    share: f64,
    stop: StopSignal,
    /// For each saved graph, the number of changes that it had then.
    saved: BTreeMap<(ShardId, GraphName), u64>,
    /// When it last found work.
    busy_at: Instant,
    /// When it last looked at what is worth saving.
    looked_at: Instant,
}

impl Indexer {
    /// Works until the signal to stop. Then it saves everything that is new.
    fn run(mut self) {
        while !self.stop.is_given() {
            let began = Instant::now();
            let shards = self.shards();
            // One step for each shard in turn. Without `all`, an engine waits until a step is worth its while.
            let work = |all| shards.iter().fold(false, |busy, (_, engine)| engine.index(STEP, all) || busy);
            if work(false) {
                self.busy_at = began;
                self.rest(began.elapsed());
            } else if self.busy_at.elapsed() < QUIET || !work(true) {
                thread::sleep(IDLE);
            }
            // Saving takes longer than a step, so it is due only now and then.
            if self.looked_at.elapsed() >= SAVE_EVERY {
                self.save(SAVE_PART);
                self.looked_at = Instant::now();
            }
        }
        self.save(0);
    }

    /// Rests after work that took `worked`, for as long as the thread's share asks for.
    fn rest(&self, worked: Duration) {
        let pause = worked.mul_f64(1.0 / self.share - 1.0);
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }

    /// The machines of this thread's shards.
    fn shards(&self) -> Vec<(ShardId, Arc<Engine>)> {
        let (number, threads) = self.place;
        let shards = self.groups.shards().into_iter();
        shards
            .filter(|(shard, _)| shard.0 as usize % threads == number)
            .map(|(shard, group)| (shard, group.machine()))
            .collect()
    }

    /// Saves the graphs of which more than `part` hundredths are new, and erases the files of graphs that are gone.
    fn save(&mut self, part: u64) {
        for (shard, engine) in self.shards() {
            // What is remembered of graphs that are gone is forgotten.
            let (files, graphs) = (GraphFiles::new(&self.dir, shard), engine.graphs());
            let names: Vec<GraphName> = graphs.iter().map(|graph| graph.name.clone()).collect();
            self.saved.retain(|(of, name), _| *of != shard || names.contains(name));
            let mut outcome = Ok(());
            for Graph { name, vectors, changes } in graphs {
                let key = (shard, name.clone());
                // An engine that was opened anew after a snapshot counts its changes from 0 again.
                let saved = self.saved.get(&key).copied().filter(|saved| *saved <= changes).unwrap_or(0);
                if changes - saved <= vectors * part / 100 {
                    continue;
                }
                // The collection may have been dropped meanwhile: then there are no bytes.
                if let Some(bytes) = engine.graph(&name) {
                    match files.save(&name, &bytes) {
                        Ok(()) => drop(self.saved.insert(key, changes)),
                        Err(error) => outcome = Err(error),
                    }
                }
            }
            // After a failed save the erasing is left to the next look.
            if let Err(error) = outcome.and_then(|()| files.keep_only(&names)) {
                tracing::warn!(%shard, %error, "graphs could not be saved; a restart builds anew what is missing");
            }
        }
    }
}
