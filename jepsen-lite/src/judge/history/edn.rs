//! Values as Jepsen writes them: the data of EDN, and their text.
//!
//! What comes in and goes out is one value; [`parse`] reads it back. Maps and sets have no order in EDN, so both are kept
//! sorted by the text of their keys: two equal values have one text. Knows nothing of histories.

pub mod parse;

use std::fmt;

/// A value of EDN.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Edn {
    /// `nil`.
    #[default]
    Nil,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A number that neither `i64` nor `f64` holds as it is written: `12345678901234567890N`, `1.5M`, `1/3`.
    Number(String),
    /// A double.
    Float(f64),
    /// `\a`; the text without the backslash.
    Char(String),
    /// A string.
    Str(String),
    /// `:name`, without the colon.
    Keyword(String),
    /// A bare word.
    Symbol(String),
    /// `(…)`.
    List(Vec<Edn>),
    /// `[…]`.
    Vector(Vec<Edn>),
    /// `#{…}`, sorted by text.
    Set(Vec<Edn>),
    /// `{…}`, sorted by the keys' text.
    Map(Vec<(Edn, Edn)>),
    /// `#tag value`.
    Tagged(String, Box<Edn>),
}

impl Edn {
    /// A map of these pairs, in its one order. `None` when a key comes twice.
    pub fn map(mut pairs: Vec<(Edn, Edn)>) -> Option<Edn> {
        pairs.sort_by_cached_key(|(key, _)| key.to_string());
        let unique = pairs.windows(2).all(|pair| pair[0].0 != pair[1].0);
        unique.then_some(Edn::Map(pairs))
    }

    /// A set of these values, in its one order. `None` when a value comes twice.
    pub fn set(mut items: Vec<Edn>) -> Option<Edn> {
        items.sort_by_cached_key(Edn::to_string);
        let unique = items.windows(2).all(|pair| pair[0] != pair[1]);
        unique.then_some(Edn::Set(items))
    }

    /// A keyword.
    pub fn keyword(name: &str) -> Edn {
        Edn::Keyword(name.to_owned())
    }

    /// The value of a map under a keyword of this name.
    pub fn get(&self, name: &str) -> Option<&Edn> {
        let Edn::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| matches!(key, Edn::Keyword(word) if word == name)).map(|(_, value)| value)
    }

    /// The items of a vector, list or set.
    pub fn items(&self) -> Option<&[Edn]> {
        match self {
            Edn::List(items) | Edn::Vector(items) | Edn::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The name of a keyword, symbol or string. JSON from elsewhere knows no keywords.
    pub fn name(&self) -> Option<&str> {
        match self {
            Edn::Keyword(name) | Edn::Symbol(name) | Edn::Str(name) => Some(name),
            _ => None,
        }
    }

    /// The whole number it is.
    pub fn int(&self) -> Option<i64> {
        if let Edn::Int(number) = self { Some(*number) } else { None }
    }

    /// The number it is, as a double.
    pub fn float(&self) -> Option<f64> {
        match self {
            Edn::Int(number) => Some(*number as f64),
            Edn::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether it is `nil`.
    pub fn is_nil(&self) -> bool {
        *self == Edn::Nil
    }
}

fn write_float(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    if number.is_nan() {
        f.write_str("##NaN")
    } else if number.is_infinite() {
        f.write_str(if number > 0.0 { "##Inf" } else { "##-Inf" })
    } else {
        // `{:?}` gives the shortest text that reads back as the same double, always with a point or an exponent.
        write!(f, "{number:?}")
    }
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            letter => write!(f, "{letter}")?,
        }
    }
    f.write_str("\"")
}

fn write_items(f: &mut fmt::Formatter<'_>, open: &str, items: &[Edn], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (position, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if position == 0 { "" } else { " " })?;
    }
    f.write_str(close)
}

impl fmt::Display for Edn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edn::Nil => f.write_str("nil"),
            Edn::Bool(value) => write!(f, "{value}"),
            Edn::Int(number) => write!(f, "{number}"),
            Edn::Number(text) | Edn::Symbol(text) => f.write_str(text),
            Edn::Float(number) => write_float(f, *number),
            Edn::Char(letter) => write!(f, "\\{letter}"),
            Edn::Str(text) => write_string(f, text),
            Edn::Keyword(name) => write!(f, ":{name}"),
            Edn::List(items) => write_items(f, "(", items, ")"),
            Edn::Vector(items) => write_items(f, "[", items, "]"),
            Edn::Set(items) => write_items(f, "#{", items, "}"),
            Edn::Map(pairs) => {
                f.write_str("{")?;
                for (position, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} {value}", if position == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Edn::Tagged(tag, value) => write!(f, "#{tag} {value}"),
        }
    }
}
