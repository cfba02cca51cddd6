//! A reader of the JSON schemas that the document of the API has: whether a value fits, values that fit, and where in a value
//! unknown members are refused. A keyword that it does not know is a failure, so that nothing of a schema goes unheeded.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What a schema may say, beside what only people read.
const KEYWORDS: [&str; 20] = [
    "$ref",
    "type",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "allOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "pattern",
    "format",
    "minProperties",
    "maxProperties",
    "uniqueItems",
];
const FOR_PEOPLE: [&str; 5] = ["title", "description", "default", "x-limit", "x-any-case"];

/// The schemas of a document.
#[derive(Clone, Copy)]
pub struct Schemas<'d>(pub &'d Value);

impl<'d> Schemas<'d> {
    /// The schema itself, where it only refers to it.
    pub fn resolve(self, schema: &'d Value) -> &'d Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        self.resolve(self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }

    /// What is wrong with a value; `None` where it fits.
    pub fn fault(self, schema: &'d Value, value: &Value) -> Option<String> {
        let schema = self.resolve(schema);
        let said = match schema {
            Value::Bool(fits) => return (!fits).then(|| "nothing fits here".to_owned()),
            _ => schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema")),
        };
        said.iter().find_map(|(keyword, wanted)| self.broken(said, keyword, wanted, value))
    }

    fn broken(self, said: &'d Map<String, Value>, keyword: &str, wanted: &'d Value, value: &Value) -> Option<String> {
        let fits = |schema| self.fault(schema, value).is_none();
        let of = || wanted.as_array().unwrap_or_else(|| panic!("`{keyword}` is a list"));
        let within = |count: Option<usize>, most: bool| {
            let bound = wanted.as_u64().unwrap_or_else(|| panic!("`{keyword}` is a number")) as usize;
            count.is_none_or(|count| if most { count <= bound } else { count >= bound })
        };
        let items = value.as_array();
        let members = value.as_object();
        let holds = match keyword {
            "type" => kinds(wanted).any(|kind| is_of_kind(kind, value)),
            "enum" => {
                of().iter().any(|word| word == value || said.contains_key("x-any-case") && same_word(word, value))
            }
            "const" => wanted == value,
            "oneOf" => of().iter().filter(|schema| fits(schema)).count() == 1,
            "anyOf" => of().iter().any(fits),
            "allOf" => of().iter().all(fits),
            "minItems" => within(items.map(Vec::len), false),
            "maxItems" => within(items.map(Vec::len), true),
            "minProperties" => within(members.map(Map::len), false),
            "maxProperties" => within(members.map(Map::len), true),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().expect("a number")),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().expect("a number")),
            "format" if wanted == "uuid" => value.as_str().is_none_or(|text| text.parse::<uuid::Uuid>().is_ok()),
            "required" => {
                let lacking = |members: &Map<String, Value>| {
                    of().iter().find(|name| !members.contains_key(name.as_str().expect("a name"))).cloned()
                };
                return members.and_then(lacking).map(|name| format!("{name} is missing"));
            }
            "items" => {
                let wrong = |(place, item)| Some(format!("[{place}]: {}", self.fault(wanted, item)?));
                return items.and_then(|items| items.iter().enumerate().find_map(wrong));
            }
            "properties" => {
                let wrong = |(name, schema): (&String, _)| {
                    Some(format!("{name}: {}", self.fault(schema, members?.get(name)?)?))
                };
                return wanted.as_object().expect("schemas by name").iter().find_map(wrong);
            }
            "additionalProperties" => {
                let named = said.get("properties").and_then(Value::as_object);
                let more = members?.iter().filter(|(name, _)| named.is_none_or(|named| !named.contains_key(*name)));
                let mut wrong = more.filter_map(|(name, item)| Some(format!("{name}: {}", self.fault(wanted, item)?)));
                return wrong.next();
            }
            "$ref" | "pattern" | "format" | "uniqueItems" => true,
            other => {
                assert!(FOR_PEOPLE.contains(&other), "`{other}` is no keyword that is known here");
                true
            }
        };
        (!holds).then(|| format!("{value} against {keyword} {wanted}"))
    }

    /// Fails where a schema, or one within it, has a keyword or a type that is not known.
    pub fn check(self, schema: &'d Value) {
        let Value::Object(said) = schema else { return assert!(schema.is_boolean(), "{schema} is no schema") };
        for (keyword, wanted) in said {
            assert!(
                KEYWORDS.contains(&keyword.as_str()) || FOR_PEOPLE.contains(&keyword.as_str()),
                "`{keyword}` is no keyword that is known here"
            );
            match keyword.as_str() {
                "oneOf" | "anyOf" | "allOf" => {
                    wanted.as_array().expect("schemas").iter().for_each(|one| self.check(one))
                }
                "properties" => wanted.as_object().expect("schemas").values().for_each(|one| self.check(one)),
                "items" | "additionalProperties" => self.check(wanted),
                "$ref" => drop(self.resolve(schema)),
                "default" => assert_eq!(self.fault(schema, wanted), None, "a default fits"),
                "type" => {
                    let known = ["null", "boolean", "integer", "number", "string", "array", "object"];
                    assert!(kinds(wanted).all(|kind| known.contains(&kind)), "{wanted}");
                }
                _ => {}
            }
        }
    }

    /// Values that fit; with `whole`, objects with each of their members.
    pub fn values(self, schema: &'d Value, whole: bool) -> BoxedStrategy<Value> {
        let schema = self.resolve(schema);
        let forms = ["oneOf", "anyOf"].iter().find_map(|form| schema.get(form)?.as_array());
        if let Some(forms) = forms {
            let forms: Vec<_> = forms.iter().map(|form| self.values(form, whole)).collect();
            return prop::strategy::Union::new(forms).boxed();
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let (words, any_case) = (words.clone(), schema.get("x-any-case").is_some());
            let word = (prop::sample::select(words), any::<bool>());
            return word.prop_map(move |(word, loud)| if loud && any_case { upper(&word) } else { word }).boxed();
        }
        if let Some(value) = schema.get("const") {
            return Just(value.clone()).boxed();
        }
        let Some(kind) = schema.get("type") else { return Just(json!({"anything": [1, null]})).boxed() };
        let kinds: Vec<_> = kinds(kind).map(|kind| self.values_of_kind(kind, schema, whole)).collect();
        prop::strategy::Union::new(kinds).boxed()
    }

    fn values_of_kind(self, kind: &str, schema: &'d Value, whole: bool) -> BoxedStrategy<Value> {
        let number = |name: &str| schema.get(name).and_then(Value::as_u64);
        match kind {
            "null" => Just(Value::Null).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "integer" => {
                let (least, most) = (number("minimum").unwrap_or(0), number("maximum"));
                let near = least..=most.unwrap_or(u64::MAX).min(least.saturating_add(1_000));
                prop_oneof![near, Just(most.unwrap_or(least))].prop_map(Value::from).boxed()
            }
            "number" => (-1_000.0_f32..1_000.0).prop_map(Value::from).boxed(),
            "string" if schema.get("format").is_some_and(|format| format == "uuid") => {
                any::<u128>().prop_map(|bits| json!(uuid::Uuid::from_u128(bits))).boxed()
            }
            "string" => {
                let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or("[a-z]{1,8}");
                let texts = prop::string::string_regex(pattern.trim_matches(['^', '$']));
                texts.unwrap_or_else(|error| panic!("{pattern}: {error}")).prop_map(Value::from).boxed()
            }
            "array" => {
                let least = number("minItems").unwrap_or(0) as usize;
                let items = schema.get("items").map_or(Just(Value::Null).boxed(), |items| self.values(items, whole));
                prop::collection::vec(items, least..least + 3).prop_map(Value::from).boxed()
            }
            "object" => self.objects(schema, whole),
            other => panic!("`{other}` is no type"),
        }
    }

    fn objects(self, schema: &'d Value, whole: bool) -> BoxedStrategy<Value> {
        let required: Vec<&Value> = schema.get("required").and_then(Value::as_array).into_iter().flatten().collect();
        let named = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let named: Vec<_> = named
            .map(|(name, member)| {
                let must_be = whole || required.iter().any(|wanted| *wanted == name);
                let member = self.values(member, whole);
                let member = if must_be { member.prop_map(Some).boxed() } else { prop::option::of(member).boxed() };
                member.prop_map({
                    let name = name.clone();
                    move |value| value.map(|value| (name.clone(), value))
                })
            })
            .collect();
        let least = schema.get("minProperties").and_then(Value::as_u64).unwrap_or(0) as usize;
        let others = match schema.get("additionalProperties") {
            Some(others @ Value::Object(_)) => {
                prop::collection::btree_map("[a-z]{1,8}", self.values(others, whole), least..least + 3).boxed()
            }
            _ => Just(Default::default()).boxed(),
        };
        (named, others)
            .prop_map(|(named, others)| named.into_iter().flatten().chain(others).collect::<Map<_, _>>().into())
            .boxed()
    }

    /// The objects within a value that take no unknown member, as pointers into it.
    pub fn strict(self, schema: &'d Value, value: &Value, place: String, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        let forms = ["oneOf", "anyOf"].iter().find_map(|form| schema.get(form)?.as_array());
        if let Some(form) = forms.and_then(|forms| forms.iter().find(|form| self.fault(form, value).is_none())) {
            return self.strict(form, value, place, found);
        }
        match value {
            Value::Array(items) => {
                let Some(wanted) = schema.get("items") else { return };
                for (number, item) in items.iter().enumerate() {
                    self.strict(wanted, item, format!("{place}/{number}"), found);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let wanted = schema.get("properties").and_then(|named| named.get(name));
                    if let Some(wanted) = wanted.or_else(|| schema.get("additionalProperties")) {
                        self.strict(wanted, member, format!("{place}/{name}"), found);
                    }
                }
                if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
                    found.push(place);
                }
            }
            _ => {}
        }
    }
}

fn kinds(wanted: &Value) -> impl Iterator<Item = &str> {
    let several = wanted.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(wanted));
    several.iter().map(|kind| kind.as_str().expect("a type's name"))
}

fn is_of_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

fn same_word(word: &Value, value: &Value) -> bool {
    word.as_str().zip(value.as_str()).is_some_and(|(word, value)| word.eq_ignore_ascii_case(value))
}

fn upper(word: &Value) -> Value {
    word.as_str().map_or(Value::Null, |word| word.to_uppercase().into())
}
