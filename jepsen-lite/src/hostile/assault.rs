//! A crowd of attackers that goes on until it is told to stop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Attack, Counters, Traffic};

/// Most wrong answers that are kept.
const MAX_TOLD: usize = 10;

/// An attack that is under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Assault {
    tasks: JoinSet<()>,
    tally: Arc<AttackTally>,
}

#[derive(Debug, Default)]
struct AttackTally {
    made: AtomicU64,
    counters: Counters,
    wrong: Mutex<WrongAnswers>,
}

/// What a node did not give that it owes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WrongAnswers {
    /// Moves that were answered wrongly.
    pub count: u64,
    /// What is to be told of the first of them.
    pub told: Vec<String>,
}

impl Assault {
    /// Begins with `crowd` connections at a time. Needs a runtime.
    pub fn start(attack: &Attack, address: SocketAddr, crowd: usize) -> Self {
        let (mut tasks, tally) = (JoinSet::new(), Arc::new(AttackTally::default()));
        for number in 0..crowd {
            let (moves, rest, tally) = (attack.moves.clone(), attack.rest, tally.clone());
            // Each begins with another move, so that all moves are made at all times.
            tasks.spawn(async move {
                for turn in number.. {
                    let made = moves[turn % moves.len()].make(address, &tally.counters).await;
                    tally.made.fetch_add(1, Ordering::Relaxed);
                    if let Err(wrong) = made {
                        // All wrong answers are counted, and the first few are kept.
                        let mut all = tally.wrong.lock().expect("nothing under the lock panics");
                        all.count += 1;
                        if all.told.len() < MAX_TOLD {
                            all.told.push(format!("{wrong:#}"));
                        }
                    }
                    tokio::time::sleep(rest).await;
                }
            });
        }
        Self { tasks, tally }
    }

    /// Moves that came to their end.
    pub fn made(&self) -> u64 {
        self.tally.made.load(Ordering::Relaxed)
    }

    /// Connections that were made, and bytes that went through them.
    pub fn traffic(&self) -> Traffic {
        self.tally.counters.so_far()
    }

    /// Waits until so many moves came to their end.
    ///
    /// # Errors
    /// Where they do not within `patience`.
    pub async fn progress(&self, moves: u64, patience: Duration) -> Result<()> {
        let start = Instant::now();
        while self.made() < moves {
            ensure!(start.elapsed() < patience, "only {} of {moves} moves came to their end", self.made());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it; what the node did not give that it owes.
    pub async fn stop(mut self) -> WrongAnswers {
        self.tasks.shutdown().await;
        std::mem::take(&mut *self.tally.wrong.lock().expect("nothing under the lock panics"))
    }
}
