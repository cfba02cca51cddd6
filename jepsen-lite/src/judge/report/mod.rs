//! One self-contained page of a judged history: the verdict and its cause, the smallest failing part first, then all of it.
//!
//! Comes out as HTML with inline SVG, without a script and without anything from a network; light and dark by the
//! reader's own setting, and printable. Drawing is [`lanes`]; judging is not done here.

mod lanes;

use std::fmt::Write;

use anyhow::Result;

use crate::judge::check::HistoryVerdict;
use crate::judge::history::edn::Edn;
use crate::judge::history::ops::pair;
use crate::judge::history::{History, Type};

/// What a page tells.
#[derive(Debug)]
pub struct Page<'a> {
    /// What was run or read.
    pub title: &'a str,
    /// All that happened.
    pub history: &'a History,
    /// What the judge says of it.
    pub verdict: &'a HistoryVerdict,
    /// The smallest failing part and its verdict, where it fails.
    pub small: Option<&'a (History, HistoryVerdict)>,
    /// The command that does it again.
    pub replay: &'a str,
}

/// Text as it may stand in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A value as people write it: a text without its quotes.
fn plain(value: &Edn) -> String {
    value.name().map_or_else(|| value.to_string(), str::to_owned)
}

fn verdict(verdict: &HistoryVerdict) -> (&'static str, String) {
    match verdict {
        HistoryVerdict::Ok => ("ok", "nothing that clients saw breaks what was promised".to_owned()),
        HistoryVerdict::Unknown(why) => ("unknown", why.clone()),
        HistoryVerdict::Illegal(violation) => ("illegal", format!("{} ({})", violation.cause, violation.class)),
    }
}

fn marked(verdict: &HistoryVerdict) -> &[usize] {
    if let HistoryVerdict::Illegal(violation) = verdict { &violation.events } else { &[] }
}

fn counts(history: &History) -> Result<String> {
    let ops = pair(history)?.ops;
    let count = |kind: Type| ops.iter().filter(|op| op.outcome == kind).count();
    let (ok, fail, info) = (count(Type::Ok), count(Type::Fail), count(Type::Info));
    Ok(format!("{} operations: {ok} ok, {fail} failed, {info} of unknown outcome", ops.len()))
}

const LEGEND: &str = "<p class=\"legend dim\"><span><i style=\"background:var(--ok)\"></i>ok</span>\
    <span><i style=\"background:var(--fail)\"></i>failed</span><span><i style=\"background:var(--info)\"></i>unknown, may happen later</span>\
    <span><i style=\"background:var(--bad)\"></i>shows the violation</span><span><i style=\"background:var(--fault)\"></i>fault</span></p>\n";

/// The page.
///
/// # Errors
/// A history that is not well formed.
pub fn page(page: &Page<'_>) -> Result<String> {
    let (word, cause) = verdict(page.verdict);
    let mut html = String::new();
    let title = escape(page.title);
    // The head: the verdict, its cause and what the colours mean.
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{word}: {title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p class=\"dim\">{}</p>\n\
         <p class=\"verdict {word}\"><b>{word}</b>{}</p>\n{LEGEND}",
        include_str!("style.css"),
        counts(page.history)?,
        escape(&cause),
    )?;
    // A small part that fails is drawn first, and then the whole is folded away.
    match page.small {
        Some((small, verdict)) => {
            let (_, cause) = self::verdict(verdict);
            write!(html, "<h2>The smallest part that fails</h2>\n<p>{}</p>\n", escape(&cause))?;
            html += &lanes::draw(small, marked(verdict))?;
            html += "<details>\n<summary>The whole history</summary>\n";
            html += &lanes::draw(page.history, marked(page.verdict))?;
            html += "</details>\n";
        }
        None => {
            html += "<h2>The history</h2>\n";
            html += &lanes::draw(page.history, marked(page.verdict))?;
        }
    }
    // What the run says of itself, and how it is done again.
    if !page.history.header.is_empty() {
        html += "<h2>The run</h2>\n<dl>\n";
        for (name, value) in &page.history.header {
            writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&plain(value)))?;
        }
        html += "</dl>\n";
    }
    write!(
        html,
        "<footer><p class=\"dim\">Again:</p>\n<p><code>{}</code></p></footer>\n</body>\n</html>\n",
        escape(page.replay)
    )?;
    Ok(html)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::check::{CheckLimits, ConsistencyModel, check};
    use crate::judge::shrink::shrink;

    const HISTORY: &str = r#"{:header {:seed 7, :nemesis "kill"}}
{:process 0, :type :invoke, :f :write, :value [1 5], :time 1000000}
{:process 0, :type :ok, :f :write, :value [1 5], :time 2000000}
{:process :nemesis, :type :info, :f :kill, :value "node1", :time 2500000}
{:process :leader, :type :info, :f :leader, :value "node2 in term 4", :time 2700000}
{:process 1, :type :invoke, :f :write, :value [1 7], :time 3000000}
{:process 2, :type :invoke, :f :write, :value [2 "<&>"], :time 3000000}
{:process 1, :type :ok, :f :write, :value [1 7], :time 4000000}
{:process 2, :type :info, :f :write, :value [2 "<&>"], :time 5000000, :error "timeout"}
{:process :nemesis, :type :info, :f :restart, :value "node1", :time 9000000}
{:process 0, :type :invoke, :f :read, :value [1 nil], :time 44000000, :level :all}
{:process 0, :type :ok, :f :read, :value [1 5], :time 45000000}
"#;

    /// A page as it was when a person last looked at it. `JEPSEN_LITE_BLESS=1` writes it anew.
    #[test]
    fn the_page_is_as_it_was_looked_at() {
        let history = History::parse(HISTORY).unwrap();
        let verdict = check(&history, ConsistencyModel::Register, CheckLimits::default()).unwrap();
        let small = shrink(&history, ConsistencyModel::Register, CheckLimits::default()).unwrap();
        let replay = "jepsen-lite check h.edn --model register";
        let made = Page { title: "h.edn", history: &history, verdict: &verdict, small: small.as_ref(), replay };
        let made = page(&made).unwrap();
        assert!(made.contains("read 5 at ALL although 7 was acknowledged 40 ms before it began"));
        assert!(!made.contains("<&>"), "what is not escaped is markup");
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/judge/report/golden.html");
        if std::env::var_os("JEPSEN_LITE_BLESS").is_some() {
            std::fs::write(golden, &made).unwrap();
        }
        assert!(made == std::fs::read_to_string(golden).unwrap(), "the page differs from {golden}");
    }

    #[test]
    fn a_passing_run_and_an_empty_history_have_a_page_too() {
        let empty = History::default();
        let made = page(&Page { title: "t", history: &empty, verdict: &HistoryVerdict::Ok, small: None, replay: "r" })
            .unwrap();
        assert!(made.contains("class=\"verdict ok\"") && !made.contains("smallest part"));
    }
}
