//! Keeps the account of an ingest: on the screen, in the checkpoint, in the list of rejects.
//!
//! In: the account as it grows, and rejected rows. Out: progress, a checkpoint file, a list of rejects, and a summary
//! at the end. Sends nothing.

use super::checkpoint::Checkpoint;
use crate::cli::exit::Exit;
use crate::client::load::{Account, Journal, Reject};
use crate::output::progress::LoadProgress;
use crate::output::table::thousands;
use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// Time between two saves of the checkpoint.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Most rejects shown on the screen. The file that `--rejects` names has all of them.
const REJECTS_SHOWN: u64 = 10;

/// Keeps the account of one run.
pub(crate) struct RunJournal {
    progress: LoadProgress,
    checkpoint: Option<Checkpoint>,
    rejects: Option<File>,
    account: Account,
    /// Rows done and rows rejected by earlier runs.
    before: (u64, u64),
    /// When the checkpoint was last saved.
    saved: Instant,
}

impl RunJournal {
    /// Begins a run with an empty account.
    pub(crate) fn new(checkpoint: Option<Checkpoint>, rejects: Option<File>) -> Self {
        let before = checkpoint.as_ref().map_or((0, 0), |checkpoint| (checkpoint.rows_done(), checkpoint.rejected()));
        let progress = LoadProgress::start("ingest");
        Self { progress, checkpoint, rejects, account: Account::default(), before, saved: Instant::now() }
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.saved = Instant::now();
        let (rows, rejected) = (self.account.rows_done.max(self.before.0), self.before.1 + self.account.rejected);
        self.checkpoint.as_mut().map_or(Ok(()), |checkpoint| checkpoint.save(rows, rejected))
    }

    /// Ends the run: saves the checkpoint if the run failed, removes it if all is done, and prints the summary.
    ///
    /// # Errors
    /// The checkpoint cannot be saved, or the run's own error with the way to go on.
    pub(crate) fn close(
        mut self,
        outcome: anyhow::Result<Account>,
        collection: &str,
        elapsed: Duration,
    ) -> anyhow::Result<Exit> {
        let saved = if outcome.is_err() { self.save() } else { Ok(()) };
        let Self { progress, checkpoint, account, before, .. } = self;
        progress.finish();
        // The summary comes before any error, so that a failed run also says what it did.
        let (points, rejected, retries) = (account.points, before.1 + account.rejected, account.retries);
        let rate = (points as f64 / elapsed.as_secs_f64().max(1e-3)) as u64;
        let repeated = match (account.repeated, account.repeated_at_least) {
            (0, _) => String::new(),
            (1, false) => ", 1 id more than once (its last row counts)".to_owned(),
            (ids, at_least) => {
                let at_least = if at_least { "at least " } else { "" };
                format!(", {at_least}{} ids more than once (of each the last row counts)", thousands(ids))
            }
        };
        println!(
            "{} points into `{collection}` in {:.1} s ({}/s), {} rejected, {} retries{repeated}",
            thousands(points),
            elapsed.as_secs_f64(),
            thousands(rate),
            thousands(rejected),
            thousands(retries)
        );
        // A checkpoint that could not be saved is the first error: a second run would begin too early.
        saved?;
        outcome.with_context(|| match &checkpoint {
            Some(_) => {
                format!("stopped after row {}; run it again to go on", thousands(account.rows_done.max(before.0)))
            }
            None => "stopped".into(),
        })?;
        if let Some(checkpoint) = checkpoint {
            checkpoint.remove();
        }
        Ok(if rejected > 0 { Exit::Failed } else { Exit::Ok })
    }
}

impl Journal for RunJournal {
    fn update(&mut self, account: &Account, rejects: &[Reject]) -> anyhow::Result<()> {
        // The file gets every reject; the screen only the first few.
        for (shown, reject) in (self.account.rejected..).zip(rejects) {
            if shown < REJECTS_SHOWN {
                self.progress.note(&format!("rejected row {}: {}", reject.row, reject.reason));
            }
            if let Some(file) = &mut self.rejects {
                writeln!(file, "{}", serde_json::to_string(reject)?).context("cannot write the list of rejects")?;
            }
        }
        // The checkpoint is saved now and then, and once more at a failed end.
        self.account = *account;
        self.progress.show(account.points, account.fraction);
        if self.saved.elapsed() >= SAVE_EVERY { self.save() } else { Ok(()) }
    }
}
