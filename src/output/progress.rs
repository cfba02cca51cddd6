//! The progress of a long piece of work: a bar with rate and time left on a terminal, a line now and then elsewhere.
//!
//! In: points done, and the fraction of the whole if it is known. Out: stderr, so that stdout stays free for results.

use super::table::thousands;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Steps of the bar. It shows a fraction, because the number of points in a file may be unknown before its end.
const STEPS: u64 = 1_000;
/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows how far a load of points has come.
pub(crate) struct LoadProgress {
    bar: Option<ProgressBar>,
    label: String,
    started: Instant,
    /// The fraction at the first call. The work of an earlier run must not count for the time left.
    begun_at: Option<f64>,
    last_line: Instant,
}

impl LoadProgress {
    /// Starts the clock, and the bar if stderr is a terminal. `label` stands before every line.
    pub(crate) fn start(label: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}").expect("the template is well-formed");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(label.to_owned());
            bar
        });
        let now = Instant::now();
        Self { bar, label: label.into(), started: now, begun_at: None, last_line: now }
    }

    /// Shows that `points` points were done in this run, and which fraction of the whole is done.
    pub(crate) fn show(&mut self, points: u64, fraction: Option<f64>) {
        self.begun_at = self.begun_at.or(fraction);
        if let Some(bar) = &self.bar {
            bar.set_position((fraction.unwrap_or(0.0) * STEPS as f64) as u64);
            bar.set_message(self.describe(points, fraction));
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{}: {}", self.label, self.describe(points, fraction));
        }
    }

    /// Removes the bar, so that what is printed next stands alone.
    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn describe(&self, points: u64, fraction: Option<f64>) -> String {
        let elapsed = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = thousands((points as f64 / elapsed) as u64);
        let sofar = format!("{} points, {rate}/s", thousands(points));
        match (fraction, self.begun_at) {
            // The time left follows from the part that this run has done.
            (Some(fraction), Some(begun_at)) if fraction > begun_at => {
                let left = elapsed * (1.0 - fraction).max(0.0) / (fraction - begun_at);
                format!("{:.0} %, {sofar}, {} left", fraction * 100.0, duration(left))
            }
            _ => sofar,
        }
    }
}

/// A duration in words, rounded to seconds or minutes.
fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}
