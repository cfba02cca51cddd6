//! About how many rows a condition leaves, before any rows are brought together: which one to meet first.

use super::field::{Field, Posting};
use super::key::IndexKey;
use super::narrow::{Clause, Inside, Narrower, clauses, within};
use crate::engine::filter::{Condition, Filter, Scalar, Test};

/// Values of a range that are counted; of a longer one it is taken that every indexed row may be in it.
const VALUES_COUNTED: usize = 256;

impl Narrower<'_> {
    /// About how many rows a clause leaves; `None` if the indexes cannot tell.
    pub(super) fn estimate(&self, clause: Clause<'_>, inside: Inside<'_>) -> Option<u64> {
        let each = |conditions: &[Condition]| -> Vec<Option<u64>> {
            conditions.iter().map(|condition| self.rows_of(condition, inside)).collect()
        };
        match clause {
            Clause::Holds(condition) => self.rows_of(condition, inside),
            Clause::Fails(condition) => Some(self.rows.live.len().saturating_sub(self.rows_of(condition, inside)?)),
            // One condition of unknown size makes that of the union unknown.
            Clause::Any(conditions) => each(conditions).into_iter().sum(),
            // Conditions of unknown size are left out, so the clause may leave more rows than this.
            Clause::Least(clause) => Some(each(&clause.conditions).into_iter().flatten().sum()),
        }
    }

    fn rows_of(&self, condition: &Condition, inside: Inside<'_>) -> Option<u64> {
        match condition {
            Condition::Field(path, test) => self.rows_passing(self.field(path, inside)?, test),
            Condition::IsNull(path) => Some(self.field(path, inside)?.null.len()),
            Condition::IsEmpty(path) => Some(self.rows.live.len() - self.field(path, inside)?.filled.len()),
            Condition::HasId(ids) => Some(ids.len() as u64),
            Condition::Nested(path, filter) => self.rows_of_filter(filter, Some(&within(path, inside))),
            Condition::Filter(filter) => self.rows_of_filter(filter, inside),
        }
    }

    fn rows_of_filter(&self, filter: &Filter, inside: Inside<'_>) -> Option<u64> {
        let clauses = clauses(filter);
        if clauses.is_empty() && inside.is_none() {
            return Some(self.rows.live.len());
        }
        clauses.into_iter().filter_map(|clause| self.estimate(clause, inside)).min()
    }

    fn rows_passing(&self, field: &Field, test: &Test) -> Option<u64> {
        let of = |wanted: &Scalar| {
            let key = IndexKey::of_scalar(field.kind, wanted)?;
            Some(field.posting(&key).map_or(0, Posting::len))
        };
        // An estimate only decides which clause comes first, so it may be rough.
        match test {
            Test::Value(wanted) => of(wanted),
            Test::Any(list) => {
                let mut wanted = list.iter().take_while(|_| !self.meter.spend(1));
                wanted.by_ref().map(of).sum()
            }
            Test::Except(_) => Some(field.indexed.len() + field.other.len()),
            Test::Range(range) => {
                // Few values are counted. Of many, all indexed rows are taken.
                let mut postings = field.postings(IndexKey::range(field.kind, range)?);
                let counted = postings.by_ref().take(VALUES_COUNTED).map(Posting::len).sum();
                Some(if postings.next().is_some() { field.indexed.len().max(counted) } else { counted })
            }
            Test::Count(_) => None,
        }
    }
}
