//! Reading EDN.
//!
//! What comes in is text; what goes out are its top-level values, or an error with the line where it stops making sense.
//! Comments, commas and `#_` discards are skipped. A value nested deeper than [`DEPTH`] is an error and no overflow.

use anyhow::{Context, Result, bail, ensure};

use super::Edn;

/// How deep values may nest.
pub const DEPTH: usize = 128;

/// All top-level values of `text`.
pub fn all(text: &str) -> Result<Vec<Edn>> {
    let mut reader = EdnParser { text, at: 0, depth: 0 };
    let mut values = Vec::new();
    while reader.skip_blank()? {
        let value = reader.value().with_context(|| {
            let line = text[..reader.at.min(text.len())].lines().count().max(1);
            format!("line {line}")
        })?;
        values.push(value);
    }
    Ok(values)
}

/// The one value that `text` is.
pub fn one(text: &str) -> Result<Edn> {
    let mut values = all(text)?;
    ensure!(values.len() == 1, "one value was expected, {} found", values.len());
    Ok(values.remove(0))
}

struct EdnParser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl EdnParser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    /// Skips what means nothing; whether anything is left.
    fn skip_blank(&mut self) -> Result<bool> {
        loop {
            match self.peek() {
                Some(letter) if letter.is_whitespace() || letter == ',' => {
                    self.next();
                }
                Some(';') => while self.next().is_some_and(|letter| letter != '\n') {},
                Some('#') if self.text[self.at..].starts_with("#_") => {
                    self.at += 2;
                    ensure!(self.skip_blank()?, "`#_` with nothing to discard");
                    self.value()?;
                }
                rest => return Ok(rest.is_some()),
            }
        }
    }

    fn value(&mut self) -> Result<Edn> {
        ensure!(self.depth < DEPTH, "nested deeper than {DEPTH}");
        self.depth += 1;
        let value = self.value_inside();
        self.depth -= 1;
        value
    }

    fn value_inside(&mut self) -> Result<Edn> {
        match self.peek().context("the text ends where a value was expected")? {
            '(' => Ok(Edn::List(self.items(1, ')')?)),
            '[' => Ok(Edn::Vector(self.items(1, ']')?)),
            '{' => self.map(),
            '"' => self.string(),
            '\\' => self.letter(),
            '#' => self.dispatch(),
            ')' | ']' | '}' => bail!("a bracket is closed that was not opened"),
            _ => atom(self.read_word()),
        }
    }

    fn items(&mut self, skip: usize, close: char) -> Result<Vec<Edn>> {
        self.at += skip;
        let mut items = Vec::new();
        loop {
            ensure!(self.skip_blank()?, "the text ends before `{close}`");
            if self.peek() == Some(close) {
                self.next();
                return Ok(items);
            }
            items.push(self.value()?);
        }
    }

    fn map(&mut self) -> Result<Edn> {
        let items = self.items(1, '}')?;
        ensure!(items.len() % 2 == 0, "a map with a key that has no value");
        let mut items = items.into_iter();
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Edn::map(pairs).context("a map with the same key twice")
    }

    fn dispatch(&mut self) -> Result<Edn> {
        if self.text[self.at..].starts_with("#{") {
            return Edn::set(self.items(2, '}')?).context("a set with the same value twice");
        }
        if self.text[self.at..].starts_with("##") {
            self.at += 2;
            return match self.read_word() {
                "NaN" => Ok(Edn::Float(f64::NAN)),
                "Inf" => Ok(Edn::Float(f64::INFINITY)),
                "-Inf" => Ok(Edn::Float(f64::NEG_INFINITY)),
                other => bail!("`##{other}` is no number"),
            };
        }
        self.at += 1;
        let tag = self.read_word().to_owned();
        ensure!(!tag.is_empty(), "`#` without a tag");
        ensure!(self.skip_blank()?, "`#{tag}` without a value");
        Ok(Edn::Tagged(tag, Box::new(self.value()?)))
    }

    /// Letters up to the next blank or bracket.
    fn read_word(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let ends = |letter: char| letter.is_whitespace() || ",()[]{}\";".contains(letter);
        let length = rest.find(ends).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn letter(&mut self) -> Result<Edn> {
        self.next();
        let first = self.next().context("`\\` at the end of the text")?;
        let rest = self.read_word();
        Ok(Edn::Char(format!("{first}{rest}")))
    }

    fn string(&mut self) -> Result<Edn> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next().context("the text ends inside a string")? {
                '"' => return Ok(Edn::Str(text)),
                '\\' => text.push(self.escape()?),
                letter => text.push(letter),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        Ok(match self.next().context("the text ends inside a string")? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            letter @ ('"' | '\\') => letter,
            'u' => {
                let digits = self.text.get(self.at..self.at + 4).context("`\\u` without four digits")?;
                let code = u32::from_str_radix(digits, 16).context("`\\u` without four digits")?;
                self.at += 4;
                char::from_u32(code).context("`\\u` with half of a surrogate pair")?
            }
            other => bail!("`\\{other}` is no escape"),
        })
    }
}

fn atom(word: &str) -> Result<Edn> {
    // A sign alone begins a symbol.
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return number(word);
    }
    Ok(match word {
        "" => bail!("a letter that begins no value"),
        "nil" => Edn::Nil,
        "true" => Edn::Bool(true),
        "false" => Edn::Bool(false),
        _ => match word.strip_prefix(':') {
            Some("") => bail!("a keyword without a name"),
            Some(name) => Edn::keyword(name),
            None => Edn::Symbol(word.to_owned()),
        },
    })
}

fn number(word: &str) -> Result<Edn> {
    if let Ok(number) = word.parse() {
        return Ok(Edn::Int(number));
    }
    let plain = word.trim_start_matches(['-', '+']);
    let allowed = |letter: char| letter.is_ascii_digit() || ".eE+-/NM".contains(letter);
    ensure!(plain.chars().all(allowed), "`{word}` is no number");
    // What neither 64 bits nor a double hold as it is written is kept as text.
    let exact =
        plain.ends_with(['N', 'M']) || plain.contains('/') || plain.chars().all(|letter| letter.is_ascii_digit());
    if exact {
        return Ok(Edn::Number(word.to_owned()));
    }
    let number: f64 = word.parse().with_context(|| format!("`{word}` is no number"))?;
    ensure!(number.is_finite(), "`{word}` is too large for a double");
    Ok(Edn::Float(number))
}
