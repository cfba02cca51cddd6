//! Hit by hit: what is shown was there, its score is right, and enough of what was there is shown. Pure.

use super::{AnsweredSearch, PointHistory, RECALL_FLOOR, Write, same};
use crate::judge::check::{HistoryVerdict, circumstances, events_of, gap};
use crate::judge::history::ops::HistoryOperation;

struct SearchChecker<'a> {
    ops: &'a [HistoryOperation],
    points: &'a PointHistory,
    /// The writes of each point, by call.
    of: Vec<Vec<&'a Write>>,
}

/// Judges every hit, and the mean recall of the approximate searches.
pub fn check(ops: &[HistoryOperation], points: &PointHistory) -> HistoryVerdict {
    let mut of = vec![Vec::new(); points.names.len()];
    for write in &points.writes {
        of[write.point].push(write);
    }
    let judge = SearchChecker { ops, points, of };
    points.searches.iter().find_map(|asked| judge.hits(asked)).unwrap_or_else(|| judge.recall())
}

impl SearchChecker<'_> {
    fn describe(&self, asked: &AnsweredSearch) -> String {
        let op = &self.ops[asked.source];
        format!("a search by process {}{}", op.process, circumstances(op))
    }

    fn illegal(&self, class: &str, asked: &AnsweredSearch, what: String, writes: &[&Write]) -> Option<HistoryVerdict> {
        let shown = writes.iter().map(|write| &self.ops[write.source]).chain([&self.ops[asked.source]]);
        Some(HistoryVerdict::illegal(class, format!("{} {what}", self.describe(asked)), events_of(shown)))
    }

    fn hits(&self, asked: &AnsweredSearch) -> Option<HistoryVerdict> {
        if asked.hits.len() > asked.limit {
            let what = format!("shows {} hits where {} were asked for", asked.hits.len(), asked.limit);
            return self.illegal("too many hits", asked, what, &[]);
        }
        // No more than were asked for, the best first.
        let nearness = |score| asked.distance.nearness(score);
        let sorted = asked.hits.windows(2).all(|pair| nearness(pair[0].1) >= nearness(pair[1].1));
        if !sorted {
            return self.illegal("unsorted", asked, "shows hits that are not sorted by score".to_owned(), &[]);
        }
        // Each hit is a point that somebody wrote, shown once, with a score that it can have.
        for (position, (point, score)) in asked.hits.iter().enumerate() {
            let Some(point) = *point else {
                return self.illegal(
                    "phantom",
                    asked,
                    format!("shows at rank {position} a point that nobody wrote"),
                    &[],
                );
            };
            if asked.hits[..position].iter().any(|(other, _)| *other == Some(point)) {
                return self.illegal(
                    "duplicate",
                    asked,
                    format!("shows point {} twice", self.points.names[point]),
                    &[],
                );
            }
            if let Some(verdict) = self.hit(asked, point, *score) {
                return Some(verdict);
            }
        }
        None
    }

    /// The hit is of a write that could be seen during the search.
    fn hit(&self, asked: &AnsweredSearch, point: usize, score: f64) -> Option<HistoryVerdict> {
        let name = &self.points.names[point];
        // The writes that could have this score, of those that had begun when the search ended.
        let of = |write: &&&Write| {
            let vector = write.vector.as_ref();
            vector.is_some_and(|vector| same(asked.distance.score(vector, &asked.query), score))
        };
        let scored: Vec<&&Write> = self.of[point].iter().filter(of).collect();
        let begun: Vec<&&Write> = scored.iter().copied().filter(|write| write.call < asked.ret).collect();
        if begun.is_empty() {
            let what = format!("shows point {name} with score {score}, which no vector written to it has");
            return self.illegal("wrong score", asked, what, &[]);
        }
        // One of them may still have been there when the search began, or no more is promised.
        if asked.stale || begun.iter().any(|write| self.newer(write, asked.call).is_none()) {
            return None;
        }
        // All are overwritten or deleted: the last of them and what replaced it are told.
        let old = begun.last()?;
        let newer = self.newer(old, asked.call)?;
        let how = if newer.vector.is_some() { "overwritten" } else { "deleted" };
        let ago = gap(self.ops[newer.source].returned_at, self.ops[asked.source].called_at);
        let what =
            format!("shows point {name} as it was before it was {how}, which was acknowledged {ago}before it began");
        let class = if newer.vector.is_some() { "stale hit" } else { "deleted hit" };
        self.illegal(class, asked, what, &[old, newer])
    }

    /// A write of the same point that came after this one and was acknowledged before `moment`.
    fn newer(&self, write: &Write, moment: u64) -> Option<&Write> {
        self.of[write.point]
            .iter()
            .copied()
            .filter(|other| other.call > write.ret && other.ret < moment)
            .max_by_key(|other| other.ret)
    }

    /// The points that are there, the same, through the whole search.
    fn surely_live(&self, asked: &AnsweredSearch) -> Vec<f64> {
        let live = |writes: &Vec<&Write>| {
            let last = writes.iter().filter(|write| write.ret < asked.call).max_by_key(|write| write.call)?;
            let disturbed = writes.iter().any(|write| {
                let same_write = write.source == last.source;
                !same_write && write.ret > last.call && write.call < asked.ret
            });
            let vector = last.vector.as_ref().filter(|_| !disturbed)?;
            Some(asked.distance.score(vector, &asked.query))
        };
        self.of.iter().filter_map(live).collect()
    }

    /// Of the surely live points that belong in the answer, how many are in it, on the mean.
    fn recall(&self) -> HistoryVerdict {
        let (mut sum, mut count, mut worst) = (0.0, 0, None::<(f64, &AnsweredSearch)>);
        for asked in self.points.searches.iter().filter(|asked| !asked.exact && !asked.stale) {
            let mut live = self.surely_live(asked);
            live.sort_by(|one, other| asked.distance.nearness(*other).total_cmp(&asked.distance.nearness(*one)));
            live.truncate(asked.limit);
            let Some(last) = live.last() else { continue };
            let near =
                |score: f64| asked.distance.nearness(score) >= asked.distance.nearness(*last) || same(score, *last);
            // What is not surely live may take the place of what is.
            let found = asked.hits.iter().filter(|(_, score)| near(*score)).count().min(live.len());
            let recall = found as f64 / live.len() as f64;
            (sum, count) = (sum + recall, count + 1);
            if worst.is_none_or(|(worst, _)| recall < worst) {
                worst = Some((recall, asked));
            }
        }
        let mean = sum / f64::from(count.max(1));
        match worst {
            Some((worst, asked)) if mean < RECALL_FLOOR => {
                let what = format!(
                    "has a recall of {worst:.2}, and the mean of {count} approximate searches is {mean:.3}, below {RECALL_FLOOR}"
                );
                self.illegal("recall", asked, what, &[]).unwrap_or(HistoryVerdict::Ok)
            }
            _ => HistoryVerdict::Ok,
        }
    }
}
