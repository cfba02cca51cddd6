//! The picture: a lane for each process, a bar for each operation, bands for faults, and a lane for leaders.
//!
//! Times are drawn to scale where the history has them, else the order of events. An operation of unknown outcome is open
//! to the right. Of a long history the part around the violation is drawn, or its beginning, and that is said.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;

use super::{escape, plain};
use crate::judge::history::ops::{HistoryOperation, pair};
use crate::judge::history::{History, HistoryEvent, HistoryProcess, Type};

/// How many operations a picture holds.
const BARS: usize = 3_000;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 60.0;
const ROW: f64 = 40.0;

struct TimeScale {
    from: f64,
    per_unit: f64,
    width: f64,
}

impl TimeScale {
    fn x(&self, at: f64) -> f64 {
        LEFT + (at - self.from) * self.per_unit
    }
}

struct Picture<'a> {
    history: &'a History,
    ops: Vec<&'a HistoryOperation>,
    /// Whether the history's times are its order.
    timed: bool,
    scale: TimeScale,
    lanes: BTreeMap<&'a HistoryProcess, usize>,
}

/// The picture of a history, with the events of its violation marked.
///
/// # Errors
/// A history that is not well formed.
pub fn draw(history: &History, marked: &[usize]) -> Result<String> {
    let paired = pair(history)?;
    let timed = paired.by_lines.is_empty();
    let is_marked = |op: &HistoryOperation| {
        marked.contains(&op.events.0) || op.events.1.is_some_and(|event| marked.contains(&event))
    };
    // A long history is drawn as far as to its last marked operation, and no more than so many before it.
    let last = paired.ops.iter().rposition(&is_marked).map_or(BARS, |last| last + 1).max(BARS.min(paired.ops.len()));
    let ops: Vec<&HistoryOperation> = paired.ops.iter().take(last).skip(last.saturating_sub(BARS)).collect();
    let left_out = paired.ops.len() - ops.len();
    let picture = Picture::new(history, ops, timed);
    let mut svg = String::new();
    if left_out > 0 {
        writeln!(svg, "<p class=\"dim\">{left_out} of {} operations are not drawn.</p>", paired.ops.len())?;
    }
    // Bands of faults lie under the bars of operations.
    let height = ROW * (picture.lanes.len() as f64 + 2.0);
    writeln!(
        svg,
        "<div class=\"chart\"><svg width=\"{:.0}\" height=\"{height:.0}\" role=\"img\">",
        picture.scale.width
    )?;
    picture.faults(&mut svg, height)?;
    picture.lanes(&mut svg)?;
    for op in &picture.ops {
        picture.bar(&mut svg, op, is_marked(op))?;
    }
    picture.axis(&mut svg, height)?;
    svg += "</svg></div>\n";
    Ok(svg)
}

impl<'a> Picture<'a> {
    fn new(history: &'a History, ops: Vec<&'a HistoryOperation>, timed: bool) -> Self {
        let at = |place: u64, time: Option<i64>| if timed { time.unwrap_or(0) as f64 } else { place as f64 };
        let from = ops.iter().map(|op| at(op.call, op.called_at)).fold(f64::INFINITY, f64::min);
        let from = if from.is_finite() { from } else { 0.0 };
        let ends = ops.iter().map(|op| {
            at(if op.events.1.is_some() { op.ret.min(op.call + 1_000_000) } else { op.call }, op.returned_at)
        });
        let to = ops.iter().map(|op| at(op.call, op.called_at)).chain(ends).fold(from + 1.0, f64::max);
        let to = if timed { to } else { ops.iter().map(|op| op.call as f64 + 2.0).fold(to.min(1e9), f64::max) };
        let lanes = ops.iter().map(|op| &op.process).collect::<std::collections::BTreeSet<_>>();
        // Wide enough that most bars can be seen, and no wider than a browser bears.
        let width = (ops.len() as f64 * 26.0 / lanes.len().max(1) as f64 * 1.5).clamp(1100.0, 20_000.0);
        let scale = TimeScale { from, per_unit: (width - LEFT - RIGHT) / (to - from), width };
        let lanes = lanes.into_iter().enumerate().map(|(lane, process)| (process, lane)).collect();
        Self { history, ops, timed, scale, lanes }
    }

    fn events_of(&self, process: &str) -> Vec<(f64, &'a HistoryEvent)> {
        let named = |event: &HistoryEvent| matches!(&event.process, HistoryProcess::Named(name) if name == process);
        let at = |(position, event): (usize, &'a HistoryEvent)| {
            let at = if self.timed { event.time? as f64 } else { position as f64 + 1.0 };
            Some((self.scale.x(at), event))
        };
        self.history.events.iter().enumerate().filter(|(_, event)| named(event)).filter_map(at).collect()
    }

    /// A band from each thing that a nemesis did to the next that undoes.
    fn faults(&self, svg: &mut String, height: f64) -> Result<()> {
        let mut open: Option<(f64, String)> = None;
        // One band for the time that a fault lasted, as far as it is within the picture.
        let mut band = |from: f64, to: f64, what: &str| {
            if to < LEFT || from > self.scale.width {
                return Ok(());
            }
            let (from, to) = (from.max(LEFT), to.min(self.scale.width));
            writeln!(
                svg,
                "<g><rect class=\"fault\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{height:.0}\"/><text class=\"dim\" x=\"{:.1}\" y=\"12\">{}</text></g>",
                (to - from).max(1.0),
                from + 3.0,
                escape(what)
            )
        };
        // An event either begins a fault or undoes the one before. A second beginning makes the first no shorter.
        for (x, event) in self.events_of("nemesis").into_iter().filter(|(_, event)| event.kind != Type::Invoke) {
            let undoes = ["stop", "heal", "restart", "resume", "end"].iter().any(|word| event.f.starts_with(word));
            let value = if event.value.is_nil() { String::new() } else { format!(" {}", plain(&event.value)) };
            match (undoes, open.take()) {
                (true, Some((from, what))) => band(from, x, &what)?,
                (true, None) => {}
                (false, before) => open = Some(before.unwrap_or((x, format!("{}{value}", event.f)))),
            }
        }
        // One that nobody undid lasts to the end.
        if let Some((from, what)) = open {
            band(from, self.scale.width, &what)?;
        }
        Ok(())
    }

    fn y(&self, lane: usize) -> f64 {
        ROW * (lane as f64 + 1.0)
    }

    fn lanes(&self, svg: &mut String) -> Result<()> {
        for (process, lane) in &self.lanes {
            let y = self.y(*lane) - 8.0 + ROW / 2.0;
            writeln!(
                svg,
                "<line class=\"lane\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                self.scale.width
            )?;
            writeln!(
                svg,
                "<text class=\"dim\" x=\"8\" y=\"{:.1}\">process {}</text>",
                y + 4.0,
                escape(&process.to_string())
            )?;
        }
        self.leaders(svg)
    }

    /// Who led when the picture begins, and each change within it. What has no room before the next is in its title alone.
    fn leaders(&self, svg: &mut String) -> Result<()> {
        let all = self.events_of("leader");
        let before = all.iter().rposition(|(x, _)| *x <= LEFT).unwrap_or(0);
        let shown: Vec<(f64, &HistoryEvent)> = all
            .into_iter()
            .skip(before)
            .map(|(x, event)| (x.max(LEFT), event))
            .filter(|(x, _)| *x < self.scale.width)
            .collect();
        let y = self.y(self.lanes.len());
        if !shown.is_empty() {
            writeln!(svg, "<text class=\"dim\" x=\"8\" y=\"{:.1}\">leader</text>", y + 11.0)?;
        }
        for (place, (x, event)) in shown.iter().enumerate() {
            let next = shown.get(place + 1).map_or(self.scale.width, |(next, _)| *next);
            let told = plain(&event.value);
            // About six and a half units a letter.
            let letters = ((next - x - 10.0).max(0.0) / 6.5) as usize;
            let label: String = match told.chars().count() <= letters {
                true => told.clone(),
                false if letters > 12 => told.chars().take(letters - 1).chain(['…']).collect(),
                false => String::new(),
            };
            writeln!(
                svg,
                "<g><title>{}</title><rect class=\"lead\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"3\" height=\"14\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
                escape(&told),
                x + 6.0,
                y + 11.0,
                escape(&label)
            )?;
        }
        Ok(())
    }

    fn bar(&self, svg: &mut String, op: &HistoryOperation, bad: bool) -> Result<()> {
        let at = |place: u64, time: Option<i64>| if self.timed { time.unwrap_or(0) as f64 } else { place as f64 };
        let from = self.scale.x(at(op.call, op.called_at));
        let open = op.outcome == Type::Info;
        let to = if open { self.scale.width - 4.0 } else { self.scale.x(at(op.ret, op.returned_at)) };
        let width = (to - from).max(3.0);
        let y = self.y(self.lanes.get(&op.process).copied().unwrap_or(0)) - 2.0;
        let class = format!("{}{}", op.outcome.name(), if bad { " bad" } else { "" });
        let what = format!("{} {}", op.f, op.output);
        let more: String = op.extra.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
        let lasted = match (op.called_at, op.returned_at) {
            (Some(called), Some(returned)) => format!("\n{:.3} ms", (returned - called) as f64 / 1e6),
            _ => String::new(),
        };
        let title = format!(
            "process {}: {} {} → {} {}{lasted}{more}",
            op.process,
            op.f,
            op.input,
            op.outcome.name(),
            op.output
        );
        // About seven units a letter; what does not fit is in the title.
        let fits = what.chars().count() as f64 * 7.0 < width;
        let label = if fits {
            format!("<text class=\"on\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", from + 4.0, y + 14.0, escape(&what))
        } else {
            String::new()
        };
        // What shows the violation is named in any case, below its bar.
        let below = if bad && !fits {
            format!("<text x=\"{from:.1}\" y=\"{:.1}\">{}</text>", y + 30.0, escape(&what))
        } else {
            String::new()
        };
        writeln!(
            svg,
            "<g class=\"{class}\"><title>{}</title><rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" rx=\"2\"/>{label}{below}</g>",
            escape(&title)
        )?;
        Ok(())
    }

    fn axis(&self, svg: &mut String, height: f64) -> Result<()> {
        let span = (self.scale.width - LEFT - RIGHT) / self.scale.per_unit;
        for tick in 0..=8 {
            let at = self.scale.from + span * f64::from(tick) / 8.0;
            let text = if self.timed { format!("{:.3} s", at / 1e9) } else { format!("event {at:.0}") };
            writeln!(svg, "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", self.scale.x(at), height - 6.0)?;
        }
        Ok(())
    }
}
