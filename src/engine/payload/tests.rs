//! Payload texts, checked and read.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn all(text: &str) -> Value {
    json!(parse_payload(text, |_| true).unwrap())
}

#[test]
fn members_that_are_not_wanted_are_left_out() {
    let text = r#"{"a":1,"b\"":{"c":[1,2,{}]},"d":null}"#;
    assert_eq!(all(text), json!({"a": 1, "b\"": {"c": [1, 2, {}]}, "d": null}));
    assert_eq!(json!(parse_payload(text, |key| key == "b\"").unwrap()), json!({"b\"": {"c": [1, 2, {}]}}));
    assert_eq!(all("{}"), json!({}));
}

#[test]
fn numbers_survive_the_binary_form() {
    let payload = json!({"a": 0.1, "b": 1e300, "c": u64::MAX, "d": -1, "e": 2.2250738585072014e-308, "f": 1.0});
    let payload = Payload::from(payload.as_object().unwrap());
    let bytes = postcard::to_stdvec(&payload).unwrap();
    assert_eq!(postcard::from_bytes::<Payload>(&bytes).unwrap(), payload);
    assert_eq!(all(payload.text()), json!(payload));
}

#[test]
fn a_text_is_as_deep_as_its_innermost_array_or_object() {
    for (text, depth) in [("{}", 1), (r#"{"a":1,"b":"[[["}"#, 1), (r#"{"a":[{},[[]]]}"#, 4), (r#"{"a":{"b":1e3}}"#, 2)]
    {
        assert_eq!(Payload::from_text(text).depth().unwrap(), depth, "{text}");
    }
}

#[test]
fn what_is_no_object_is_found() {
    for bad in
        ["", "[]", "1", "{", "{}{}", r#"{"a":}"#, r#"{"a":1e999}"#, r#"{"a":"\ud800"}"#, r#"{a:1}"#, "{\"a\":\"\n\"}"]
    {
        let payload = Payload::from_text(bad);
        assert!(payload.depth().is_err(), "{bad}");
        assert!(payload.members().is_err(), "{bad}");
    }
}

#[test]
fn no_key_has_a_meaning() {
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number", "$__toml_private_datetime"] {
        for value in [json!("x"), json!("[1,2]"), json!("1"), json!(7), json!({"y": 2})] {
            let inner = json!({key: value});
            for payload in [inner.clone(), json!({"a": inner}), json!({"a": [inner, {key: value, "z": 1}]})] {
                let text = payload.to_string();
                assert_eq!(all(&text), payload, "{text}");
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), payload, "{text}");
            }
        }
    }
}

/// Texts that are payloads, and texts that nearly are.
fn texts() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("null"),
        Just("true"),
        Just("1e999"),
        Just("-0"),
        Just("1.0"),
        Just("18446744073709551616"),
        Just(r#""a""#),
        Just(r#""\ud800""#),
        Just(r#""\ud83d\ude00""#),
        Just(r#""$serde_json::private::RawValue""#),
        Just(r#""$serde_json::private::Number""#),
        Just("{}"),
        Just("[]"),
        Just(r#"{"a":"#),
        Just("\u{0}"),
        Just(" ")
    ];
    let soup = prop::collection::vec(word, 0..12).prop_map(|words| format!("{{{}}}", words.concat()));
    let deep = (0usize..200, any::<bool>()).prop_map(|(depth, list)| {
        let (open, close) = if list { ("[", "]") } else { ("{\"a\":", "}") };
        format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth))
    });
    prop_oneof![6 => soup, 2 => deep, 1 => any::<String>()]
}

proptest! {
    #[test]
    fn what_the_check_passes_every_reader_reads(text in texts()) {
        let checked = Payload::from_text(text.as_str()).depth();
        let read = parse_payload(&text, |_| true);
        prop_assert_eq!(checked.is_ok(), read.is_ok());
        if let Ok(read) = read {
            prop_assert_eq!(&read, &serde_json::from_str::<Map<String, Value>>(&text).unwrap());
            for key in read.keys() {
                let one = parse_payload(&text, |wanted| wanted == key).unwrap();
                prop_assert_eq!(one.get(key), read.get(key));
                prop_assert_eq!(one.len(), 1);
            }
            let back = Payload::from(&read);
            prop_assert_eq!(back.members().unwrap(), read);
        }
    }
}
