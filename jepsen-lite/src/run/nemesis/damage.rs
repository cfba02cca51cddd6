//! Damage to what a stopped node has stored: its log is cut short, or a bit of it flips.
//!
//! A node that notices mends itself from the others, or stays closed and is replaced through the membership interface.
//! Damage that hits nothing of value may go unnoticed; whether that was so is for the judge of the history to say.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::Rng;

use super::Nemesis;
use crate::judge::history::edn::Edn;

impl Nemesis<'_> {
    pub(super) async fn damage(&mut self, victim: usize) -> Result<()> {
        self.environment.cluster.kill(victim);
        let before = self.environment.cluster.nodes()[victim].log().len();
        // One of two kinds of damage is done to the log of a stopped node.
        let file = log_file(self.environment.cluster.nodes()[victim].data())?;
        let what = if self.rng.random() { self.cut_tail(&file)? } else { self.flip_a_bit(&file)? };
        self.recorder.note("disk", "damaged", Edn::Str(what));
        // It starts, or says what is damaged. To go on in silence is allowed where nothing of value was hit.
        self.environment.cluster.restart(victim)?;
        let healthy = self.environment.cluster.wait_healthy_node(victim).await;
        let said = self.environment.cluster.nodes()[victim].log()[before..].to_lowercase().contains("damage");
        let outcome = match (&healthy, said) {
            (Ok(()), true) => "noticed, and mended from the others",
            (Ok(()), false) => "not noticed",
            (Err(_), true) => "noticed, and to be replaced",
            (Err(_), false) => return healthy.context("a node that does not start, and names no damage"),
        };
        self.recorder.note("disk", "outcome", Edn::Str(outcome.to_owned()));
        // A node that stays down is replaced: a new one joins, and it leaves.
        if healthy.is_ok() {
            return Ok(());
        }
        self.environment.cluster.kill(victim);
        self.join().await?;
        self.leave(victim).await
    }

    fn cut_tail(&mut self, file: &Path) -> Result<String> {
        let end = end_of_data(file)?;
        let cut = end.saturating_sub(self.rng.random_range(1..4096));
        OpenOptions::new().write(true).open(file)?.set_len(cut)?;
        Ok(format!("{}: cut from {end} to {cut} bytes", file.display()))
    }

    fn flip_a_bit(&mut self, file: &Path) -> Result<String> {
        let at = self.rng.random_range(0..end_of_data(file)?.max(1));
        let bit = self.rng.random_range(0..8);
        let open = OpenOptions::new().read(true).write(true).open(file)?;
        let mut byte = [0];
        open.read_exact_at(&mut byte, at)?;
        open.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
        Ok(format!("{}: bit {bit} of byte {at} flipped", file.display()))
    }
}

/// The log store's one big file: the biggest in a directory called `log`.
fn log_file(data: &Path) -> Result<PathBuf> {
    let (mut open, mut biggest) = (vec![data.to_owned()], None);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if meta.is_dir() {
                open.push(path);
            } else if dir.file_name().is_some_and(|name| name == "log") {
                biggest = biggest.max(Some((meta.len(), path)));
            }
        }
    }
    biggest.map(|(_, path)| path).with_context(|| format!("no log store in {}", data.display()))
}

/// After the last byte that is not padding.
fn end_of_data(path: &Path) -> Result<u64> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1))
}
