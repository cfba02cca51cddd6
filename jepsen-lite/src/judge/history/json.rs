//! The same values as JSON, without loss.
//!
//! What JSON has is written as it is; a keyword is the string `":name"`, and a string that begins with `:` or `\` gets a
//! `\` in front. A map whose keys are all keywords is an object under their names; what else JSON lacks is an object with
//! one `$` key: `{"$set": […]}`, `{"$list": […]}`, `{"$map": [[k, v], …]}`, `{"$symbol": …}`, `{"$char": …}`,
//! `{"$number": …}`, `{"$float": "##NaN"}`, `{"$tag": [name, value]}`. JSON from elsewhere reads as one expects.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::edn::{Edn, parse};

/// The value as JSON.
pub fn to_json(value: &Edn) -> Value {
    let array = |items: &[Edn]| Value::Array(items.iter().map(to_json).collect());
    match value {
        Edn::Nil => Value::Null,
        Edn::Bool(value) => json!(value),
        Edn::Int(number) => json!(number),
        Edn::Float(number) if number.is_finite() => json!(number),
        Edn::Float(_) => json!({"$float": value.to_string()}),
        Edn::Number(text) => json!({"$number": text}),
        Edn::Char(letter) => json!({"$char": letter}),
        Edn::Symbol(name) => json!({"$symbol": name}),
        Edn::Keyword(name) => json!(format!(":{name}")),
        Edn::Str(text) if text.starts_with([':', '\\']) => json!(format!("\\{text}")),
        Edn::Str(text) => json!(text),
        Edn::Vector(items) => array(items),
        Edn::List(items) => json!({"$list": array(items)}),
        Edn::Set(items) => json!({"$set": array(items)}),
        Edn::Tagged(tag, value) => json!({"$tag": [tag, to_json(value)]}),
        Edn::Map(pairs) => map_to_json(pairs),
    }
}

fn map_to_json(pairs: &[(Edn, Edn)]) -> Value {
    let plain = |(key, value): &(Edn, Edn)| match key {
        Edn::Keyword(name) if !name.starts_with('$') => Some((name.clone(), to_json(value))),
        _ => None,
    };
    match pairs.iter().map(plain).collect::<Option<Map<_, _>>>() {
        Some(object) => Value::Object(object),
        None => {
            json!({"$map": pairs.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect::<Vec<_>>()})
        }
    }
}

/// The value that this JSON stands for.
pub fn from_json(value: &Value) -> Result<Edn> {
    Ok(match value {
        Value::Null => Edn::Nil,
        Value::Bool(value) => Edn::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Edn::Int(number),
            (None, Some(number)) => Edn::Number(number.to_string()),
            (None, None) => Edn::Float(number.as_f64().context("a number that is no double")?),
        },
        Value::String(text) => string(text),
        Value::Array(items) => Edn::Vector(all(items)?),
        Value::Object(object) => from_object(object)?,
    })
}

fn string(text: &str) -> Edn {
    match (text.strip_prefix(':'), text.strip_prefix('\\')) {
        (Some(name), _) if !name.is_empty() => Edn::keyword(name),
        (_, Some(rest)) => Edn::Str(rest.to_owned()),
        _ => Edn::Str(text.to_owned()),
    }
}

fn all(items: &[Value]) -> Result<Vec<Edn>> {
    items.iter().map(from_json).collect()
}

fn from_object(object: &Map<String, Value>) -> Result<Edn> {
    let mut entries = object.iter();
    if let (Some((key, value)), None) = (entries.next(), entries.next())
        && key.starts_with('$')
    {
        return special(key, value).with_context(|| format!("`{key}`"));
    }
    let pairs = object.iter().map(|(name, value)| Ok((Edn::keyword(name), from_json(value)?)));
    Edn::map(pairs.collect::<Result<_>>()?).context("an object with the same key twice")
}

fn special(key: &str, value: &Value) -> Result<Edn> {
    let text = || value.as_str().map(str::to_owned).context("needs a string");
    let items = || value.as_array().context("needs an array");
    Ok(match key {
        "$float" => parse::one(&text()?)?,
        "$number" => Edn::Number(text()?),
        "$char" => Edn::Char(text()?),
        "$symbol" => Edn::Symbol(text()?),
        "$list" => Edn::List(all(items()?)?),
        "$set" => Edn::set(all(items()?)?).context("the same value twice")?,
        "$tag" => {
            let [Value::String(tag), value] = items()?.as_slice() else { bail!("needs a name and a value") };
            Edn::Tagged(tag.clone(), Box::new(from_json(value)?))
        }
        "$map" => {
            let pair = |pair: &Value| -> Result<(Edn, Edn)> {
                let pair = pair.as_array().filter(|pair| pair.len() == 2).context("needs pairs")?;
                Ok((from_json(&pair[0])?, from_json(&pair[1])?))
            };
            let pairs = items()?.iter().map(pair).collect::<Result<_>>()?;
            Edn::map(pairs).context("the same key twice")?
        }
        _ => bail!("is no kind of value"),
    })
}
