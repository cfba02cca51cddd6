//! What is kept of a run: the history, the report, the verdict in words, and the nodes' logs where it failed.

use std::path::Path;

use anyhow::{Context, Result};

use super::RunOutcome;
use crate::judge::check::{CheckLimits, HistoryVerdict};
use crate::judge::report;
use crate::judge::report::Page;
use crate::judge::shrink;

impl RunOutcome {
    /// Writes `history.edn`, `report.html`, `verdict.txt` and, of a run that is not ok, the nodes' logs into `out`.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn keep(&self, out: &Path) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
        let write = |name: &str, text: String| {
            let path = out.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        // First: among them is the history, as far as it could be written as it came.
        for log in self.logs.iter().flat_map(std::fs::read_dir).flatten().flatten() {
            let (from, to) = (log.path(), out.join(log.file_name()));
            std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
        write("history.edn", self.history.to_edn())?;
        write("verdict.txt", format!("{}\n{}\n", self.replay, self.verdict.describe(&self.history)?))?;
        let small = match self.verdict {
            HistoryVerdict::Illegal(_) => shrink::shrink(&self.history, self.model, CheckLimits::default())?,
            _ => None,
        };
        let (title, replay) = (&self.replay, &self.replay);
        let page = Page { title, history: &self.history, verdict: &self.verdict, small: small.as_ref(), replay };
        write("report.html", report::page(&page)?)
    }
}
