//! JSON numbers for tests, and a second reading of how they compare.

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers around everything where their forms differ.
pub fn numbers() -> impl Strategy<Value = Value> {
    let edges = [0, 1, 1 << 53, i128::from(i64::MAX), i128::from(u64::MAX), i128::from(i64::MIN), -(1 << 53)];
    // Next to the edges, where one form holds a number and another rounds it.
    let near = (prop::sample::select(edges.to_vec()), -3i128..4).prop_map(|(edge, by)| edge + by);
    let integer = |integer: i128| match (i64::try_from(integer), u64::try_from(integer)) {
        (Ok(integer), _) => json!(integer),
        (_, Ok(natural)) => json!(natural),
        _ => json!(integer as f64),
    };
    prop_oneof![
        near.clone().prop_map(integer),
        near.prop_map(|number| json!(number as f64)),
        (-4i32..5).prop_map(|half| json!(f64::from(half) / 2.0)),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
        Just(json!(-0.0)),
    ]
}

/// How two JSON numbers compare, by way of integers where both are some.
pub fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    let whole = |value: &Value| {
        let float = value.as_f64()?;
        let small = float.fract() == 0.0 && float.abs() < 1e30;
        value.as_number()?.as_i128().or_else(|| small.then_some(float as i128))
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        // A fraction is below 2^53, and what is rounded is beyond.
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}
