//! The tour's searches: they are shown with their texts and their evidence at every level, and compared with exact
//! answers.
//!
//! In: the sample's queries with their exact answers. Out: lines on stdout, or an error where recall is too low.

use super::{COLLECTION, Example};
use crate::api::{Consistency, Hit, PayloadText, PointId, Search, SearchParams, Searched, WithPayload, WithVector};
use crate::client::{Client, Failure};
use crate::output::answers::{evidence, plain_text};
use crate::output::table::Table;
use anyhow::ensure;

/// Queries shown with their texts.
const SHOWN: usize = 3;
/// Results shown of each.
const SHOWN_RESULTS: usize = 3;
/// Most characters of a result's text.
const GIST: usize = 96;
/// Scores that differ by less than this are equal, because the bundled scores are rounded to five digits.
const TIE: f32 = 2e-5;

/// The request for the ten points nearest to an example.
pub(super) fn question(example: &Example, level: Consistency) -> Search {
    Search {
        collection: COLLECTION.into(),
        vector: Some(example.vector.clone()),
        id: None,
        using: None,
        limit: 10,
        offset: 0,
        filter: None,
        score_threshold: None,
        with_payload: WithPayload::Fields(vec!["lemmas".into(), "gloss".into()]),
        with_vector: WithVector::All(false),
        params: SearchParams::default(),
        consistency: Some(level.into()),
        after: None,
        max_staleness_ms: None,
        timeout_ms: None,
        allow_partial: false,
        explain: false,
    }
}

/// Searches for one example.
pub(super) async fn ask(client: &Client, example: &Example, level: Consistency) -> Result<Searched, Failure> {
    client.ask("/search", &question(example, level)).await
}

/// Searches for all examples at QUORUM, one after the other.
pub(super) async fn ask_all(client: &Client, examples: &[Example]) -> anyhow::Result<Vec<Searched>> {
    let mut answers = Vec::new();
    for example in examples {
        answers.push(ask(client, example, Consistency::Quorum).await?);
    }
    Ok(answers)
}

/// Shows a few examples with the texts of their results, at each level with its evidence.
pub(super) async fn show(client: &Client, examples: &[Example]) -> anyhow::Result<()> {
    for (number, example) in examples.iter().take(SHOWN).enumerate() {
        println!("  \"{}\" ({})", example.text, example.kind);
        let mut answers = Vec::new();
        for level in [Consistency::One, Consistency::Quorum, Consistency::All] {
            answers.push(ask(client, example, level).await?);
        }
        for hit in answers[1].results.iter().take(SHOWN_RESULTS) {
            println!("    {:.3}  {}", hit.score, gist(hit));
        }
        for answer in &answers {
            // The answer at QUORUM is the one that the others are compared with.
            let same = if ids(answer) == ids(&answers[1]) { "same ten" } else { "not the same ten" };
            let level = answer.consistency.to_string().to_uppercase();
            println!("    {level:<6} {:5.1} ms  {same}, {}", answer.took_ms, evidence(&answer.shards));
        }
        if number == 0 {
            println!("\n    The evidence in full: node, role, term and log index of the state that was read.");
            print!("{}", in_full(&answers).render(4));
        }
        println!();
    }
    println!(
        "  ONE reads any replica and may be stale; QUORUM reads leaders under their lease; ALL asks a majority each time."
    );
    Ok(())
}

/// The lemmas and the gloss of a result, cut to [`GIST`] characters.
fn gist(hit: &Hit) -> String {
    let payload = hit.payload.as_ref().map(PayloadText::members).unwrap_or_default();
    let member = |name| payload.get(name).map(plain_text).unwrap_or_default();
    let whole = format!("{}: {}", member("lemmas"), member("gloss"));
    match whole.char_indices().nth(GIST) {
        Some((end, _)) => format!("{}…", whole[..end].trim_end()),
        None => whole,
    }
}

/// The evidence as a table: one row for each shard, one column for each level.
fn in_full(answers: &[Searched]) -> Table {
    let mut table = Table::new(["shard", "ONE", "QUORUM", "ALL"]);
    for row in &answers[1].shards {
        let cell = |answer: &Searched| {
            let row = answer.shards.iter().find(|other| other.shard == row.shard);
            row.map_or_else(String::new, |row| {
                format!("{} {}, term {}, index {}", row.served_by, row.role, row.term, row.index)
            })
        };
        table.row([row.shard.to_string(), cell(&answers[0]), cell(&answers[1]), cell(&answers[2])]);
    }
    table
}

/// The ids of an answer, best first.
pub(super) fn ids(answer: &Searched) -> Vec<PointId> {
    answer.results.iter().map(|hit| hit.id).collect()
}

/// Prints recall@10, and fails if it is not 1.
pub(super) fn judge(examples: &[Example], answers: &[Searched]) -> anyhow::Result<()> {
    let recall = recall(examples, answers);
    let mut times: Vec<f64> = answers.iter().map(|answer| answer.took_ms).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "  recall@10 = {recall:.3}, median {:.1} ms a search at QUORUM over {} shards.",
        times[times.len() / 2],
        answers[0].shards.len()
    );
    ensure!(recall > 0.999, "recall@10 of an exact search must be 1, and is {recall:.4}");
    Ok(())
}

/// The part of the exact top ten that was found, from 0 to 1. A result with the score of the tenth counts as found.
pub(crate) fn recall(examples: &[Example], answers: &[Searched]) -> f64 {
    let right = |(example, answer): (&Example, &Searched)| {
        let tenth = example.scores.last().copied().unwrap_or(f32::INFINITY);
        let belongs =
            |hit: &&Hit| matches!(hit.id, PointId::Num(id) if example.top10.contains(&id)) || hit.score >= tenth - TIE;
        answer.results.iter().take(10).filter(belongs).count()
    };
    let right: usize = examples.iter().zip(answers).map(right).sum();
    let wanted: usize = examples.iter().map(|example| example.top10.len()).sum();
    right as f64 / wanted.max(1) as f64
}
