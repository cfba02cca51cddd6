//! Draws the index alone: recall@10 against searches per second of processor time, as SVG text. Pure.
//!
//! In: rungs of a ladder. Out: a picture in the reader's light or dark colours.

use std::fmt::Write;

/// One breadth, and the recall and rate that it gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rung {
    /// The breadth.
    pub(crate) ef: usize,
    /// Recall@10.
    pub(crate) recall: f64,
    /// Searches per second of processor time.
    pub(crate) rate: f64,
}

/// Size of the picture, and its margins: left, top, right, bottom.
const SIZE: (f64, f64) = (640.0, 360.0);
const MARGINS: (f64, f64, f64, f64) = (64.0, 40.0, 24.0, 48.0);
/// The recall at the left edge, at the right edge, and between two lines.
const RECALL: (f64, f64, f64) = (0.90, 1.0, 0.02);
/// Most horizontal lines.
const LINES: f64 = 6.0;

/// The width that the name of a rung takes.
const NAME_WIDTH: f64 = 48.0;

/// The style. An image in a page asks for the reader's colours itself.
const STYLE: &str = "svg{color:#1f2328;font:12px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{color:#e6edf3}}\
text{fill:currentColor}.line{stroke:currentColor;stroke-opacity:.15}\
.curve{fill:none;stroke:#3b82f6;stroke-width:2}.rung{fill:#3b82f6}";

/// Draws the rungs of a ladder. `what` says which vectors they are of.
pub(crate) fn draw(curve: &[Rung], what: &str) -> String {
    // The scale ends at a round number above the highest rate in sight.
    let shown: Vec<&Rung> = curve.iter().filter(|rung| rung.recall >= RECALL.0).collect();
    let highest = shown.iter().map(|rung| rung.rate).fold(1.0, f64::max);
    let step = step(highest);
    let top = (highest / step).ceil() * step;
    let (width, height) = (SIZE.0 - MARGINS.0 - MARGINS.2, SIZE.1 - MARGINS.1 - MARGINS.3);
    let x = |recall: f64| MARGINS.0 + (recall - RECALL.0) / (RECALL.1 - RECALL.0) * width;
    let y = |rate: f64| MARGINS.1 + (1.0 - rate / top) * height;
    let (right, bottom) = (SIZE.0 - MARGINS.2, SIZE.1 - MARGINS.3);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\">\n<style>{STYLE}</style>\n",
        SIZE.0, SIZE.1
    );
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(text(MARGINS.0, 20.0, "start", &format!("Searches per CPU-second, index alone, {}", escaped(what))));
    // Lines and labels come before the curve, so that it lies above them.
    for number in 0..=((top / step) as u32) {
        let rate = f64::from(number) * step;
        line(format!("<path class=\"line\" d=\"M{} {:.1}H{right}\"/>", MARGINS.0, y(rate)));
        line(text(MARGINS.0 - 8.0, y(rate) + 4.0, "end", &format!("{rate}")));
    }
    for number in 0..=((RECALL.1 - RECALL.0) / RECALL.2).round() as u32 {
        let recall = RECALL.0 + f64::from(number) * RECALL.2;
        line(format!("<path class=\"line\" d=\"M{:.1} {}V{bottom}\"/>", x(recall), MARGINS.1));
        line(text(x(recall), bottom + 18.0, "middle", &format!("{recall:.2}")));
    }
    line(text(MARGINS.0 + width / 2.0, SIZE.1 - 8.0, "middle", "recall@10"));
    let mut path = String::new();
    for rung in &shown {
        // Writing to a string cannot fail.
        let _ = write!(path, " {:.1},{:.1}", x(rung.recall), y(rung.rate));
    }
    line(format!("<polyline class=\"curve\" points=\"{}\"/>", path.trim_start()));
    let mut named_at = f64::NEG_INFINITY;
    for rung in shown {
        let (x, y) = (x(rung.recall), y(rung.rate));
        line(format!("<circle class=\"rung\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"));
        // Where rungs are close, a name would cover the one before, so it is left out.
        if x - named_at >= NAME_WIDTH {
            line(text(x - 8.0, y + 14.0, "end", &format!("ef {}", rung.ef)));
            named_at = x;
        }
    }
    svg + "</svg>\n"
}

/// The smallest round step of which at most [`LINES`] reach `highest`.
fn step(highest: f64) -> f64 {
    let least = highest / LINES;
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|step| *step >= least).unwrap_or(least)
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rung_in_sight_is_drawn_within_the_picture() {
        let rung = |ef, recall, rate| Rung { ef, recall, rate };
        let curve = [rung(10, 0.5, 40_000.0), rung(28, 0.95, 15_300.0), rung(64, 0.98, 9_100.0), rung(512, 1.0, 900.0)];
        let svg = draw(&curve, "5 < 6");
        let heights: Vec<f64> =
            svg.split("cy=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        assert_eq!(heights.len(), 3);
        assert!(heights.is_sorted() && heights.iter().all(|y| (MARGINS.1..=SIZE.1 - MARGINS.3).contains(y)), "{svg}");
        assert!(
            svg.contains(">ef 28<") && !svg.contains(">ef 10<") && svg.contains("5 &lt; 6") && !svg.contains("NaN")
        );
        assert!(!draw(&[], "nothing").contains("NaN"));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([15_300.0, 900.0, 60_000.0].map(step), [5_000.0, 200.0, 10_000.0]);
    }
}
