//! What can be said of a filter before it meets a point: that every point passes it, or none. Pure.

use super::{Bounds, Condition, Filter, MinShould, Test};

impl Filter {
    /// Returns `true` if every point passes, whatever its id and payload: the filter is empty, or as good as empty.
    pub fn passes_every_point(&self) -> bool {
        self.certain() == Some(true)
    }

    /// What every point gets; `None` where it depends on the point.
    fn certain(&self) -> Option<bool> {
        let should = if self.should.is_empty() { Some(true) } else { any(&self.should) };
        let least = self.min_should.as_ref().map_or(Some(true), enough);
        all([all(self.must.iter().map(Condition::certain)), not(any(&self.must_not)), should, least].into_iter())
    }
}

impl Condition {
    fn certain(&self) -> Option<bool> {
        match self {
            Self::Filter(filter) => filter.certain(),
            Self::HasId(ids) if ids.is_empty() => Some(false),
            Self::Field(_, Test::Any(values)) if values.is_empty() => Some(false),
            Self::Field(_, Test::Count(Bounds { gt: None, gte: None | Some(0), lt: None, lte: None })) => Some(true),
            Self::Nested(_, filter) if filter.certain() == Some(false) => Some(false),
            Self::Field(..) | Self::HasId(_) | Self::IsEmpty(_) | Self::IsNull(_) | Self::Nested(..) => None,
        }
    }
}

fn enough(clause: &MinShould) -> Option<bool> {
    let count = |wanted| clause.conditions.iter().filter(|condition| condition.certain() == wanted).count();
    let (passed, open) = (count(Some(true)), count(None));
    match passed >= clause.min_count {
        true => Some(true),
        false => (passed + open < clause.min_count).then_some(false),
    }
}

fn all(certain: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    if certain.clone().any(|one| one == Some(false)) {
        return Some(false);
    }
    certain.clone().all(|one| one == Some(true)).then_some(true)
}

fn any(conditions: &[Condition]) -> Option<bool> {
    not(all(conditions.iter().map(|condition| not(condition.certain()))))
}

fn not(certain: Option<bool>) -> Option<bool> {
    certain.map(|certain| !certain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_every_point_passes_is_known_from_what_depends() {
        for every in [
            json!({}),
            json!({"must": [], "should": [], "must_not": null}),
            json!({"must": [{}]}),
            json!({"must": {"should": []}}),
            json!({"should": [{"key": "a", "match": {"value": 1}}, {}]}),
            json!({"must_not": [{"key": "a", "match": {"any": []}}, {"has_id": []}]}),
            json!({"min_should": {"conditions": [{"key": "a", "match": {"value": 1}}], "min_count": 0}}),
            json!({"must": [{"key": "a", "values_count": {"gte": 0}}]}),
        ] {
            assert!(Filter::parse(&every).unwrap().passes_every_point(), "{every}");
        }
        for some in [
            json!({"must": [{"key": "a", "match": {"value": 1}}, {}]}),
            json!({"must": [{"has_id": []}]}),
            json!({"must_not": [{}]}),
            json!({"should": [{"key": "a", "match": {"any": []}}]}),
            json!({"must": [{"key": "a", "values_count": {"gte": 1}}]}),
            json!({"must": [{"key": "a", "match": {"except": []}}]}),
            json!({"min_should": {"conditions": [{}], "min_count": 2}}),
        ] {
            assert!(!Filter::parse(&some).unwrap().passes_every_point(), "{some}");
        }
    }
}
