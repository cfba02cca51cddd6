//! Watches an operation: with a bar on a terminal, with a line now and then elsewhere.
//!
//! In: the name of an operation. Out: its progress on stderr until it ends, and its end on stdout. Changes nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::print::{self, Format, bytes};
use crate::api::OperationRow;
use crate::cli::exit::Exit;
use crate::client::Client;
use crate::client::path;

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// How long no node may answer. That is long enough for an election, or a restart of the asked node.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches until the operation has ended. Returns [`Exit::Ok`] if it is done, and [`Exit::Failed`] if it ended
/// otherwise.
pub(super) async fn until_ended(client: &Client, operation: &str, format: Format) -> anyhow::Result<Exit> {
    let path = path(["quiver", "v1", "operations", operation])?;
    let (mut view, mut heard) = (View::new(), Instant::now());
    loop {
        match client.get::<OperationRow>(&path).await {
            // Each answer starts the patience anew.
            Ok(row) if row.state == "running" => {
                heard = Instant::now();
                view.show(&row);
            }
            Ok(row) => {
                view.finish();
                print::one(&row, format, sentence)?;
                return Ok(if row.state == "done" { Exit::Ok } else { Exit::Failed });
            }
            Err(failure) if failure.retryable() && heard.elapsed() < PATIENCE => {}
            Err(failure) => {
                view.finish();
                return Err(failure.into());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An operation as one line of text.
pub(super) fn sentence(row: &OperationRow) -> String {
    let reason = row.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} {} {}: {}{reason}", row.operation_id, row.kind, row.subject, row.state)
}

/// How progress is shown.
struct View {
    /// `None` where stderr is no terminal.
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Option<Instant>,
    /// The most replicas that were left at any look: the plan may grow.
    most: usize,
}

impl View {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}").expect("the template is well-formed");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self { bar, started: Instant::now(), last_line: None, most: 0 }
    }

    fn show(&mut self, row: &OperationRow) {
        self.most = self.most.max(row.replicas_left);
        let done = self.most - row.replicas_left;
        let mut text = format!("{done} of {} replicas, {} left to copy", self.most, bytes(row.bytes_left));
        // The time left is guessed from the replicas that are done, once there is one.
        if done > 0 {
            let left = self.started.elapsed().as_secs_f64() / done as f64 * row.replicas_left as f64;
            text += &format!(", about {left:.0} s left");
        }
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{} {} {}", row.operation_id, row.kind, row.subject));
            bar.set_length(self.most.max(1) as u64);
            bar.set_position(done as u64);
            bar.set_message(text);
        } else if self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            eprintln!("{}: {text}", sentence(row));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
