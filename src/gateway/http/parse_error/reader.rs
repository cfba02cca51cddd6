//! A deserializer around another that says in plain words what is wrong, and where.
//!
//! It asks the one inside for whatever stands there, and compares that itself with what is wanted: so an error knows both,
//! and no message of a parser has to be understood.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::wanted::ExpectedValue;
use super::wrappers::{Context, ExplainingReader, Items, NamedMembers};
use super::wrong::ReadFailure;

impl<'c, 'de, D: Deserializer<'de>> ExplainingReader<'c, D> {
    fn ask<V: Visitor<'de>>(self, wanted: ExpectedValue, visitor: V) -> Result<V::Value, ReadFailure> {
        let Self { inner, context } = self;
        let visitor = ExpectationVisitor { visitor, wanted, context };
        let read = match wanted {
            ExpectedValue::Optional => inner.deserialize_option(visitor),
            _ => inner.deserialize_any(visitor),
        };
        read.map_err(|error| context.met(&error))
    }
}

/// Asks for what each method wants.
macro_rules! ask {
    ($($method:ident($($argument:ident: $type:ty),*) => $wanted:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, ReadFailure> {
            $(let _ = $argument;)*
            self.ask($wanted, visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ExplainingReader<'_, D> {
    type Error = ReadFailure;

    ask! {
        deserialize_any() => ExpectedValue::Anything;
        deserialize_ignored_any() => ExpectedValue::Anything;
        deserialize_bool() => ExpectedValue::Truth;
        deserialize_i8() => ExpectedValue::Whole(i8::MIN.into(), i8::MAX.into());
        deserialize_i16() => ExpectedValue::Whole(i16::MIN.into(), i16::MAX.into());
        deserialize_i32() => ExpectedValue::Whole(i32::MIN.into(), i32::MAX.into());
        deserialize_i64() => ExpectedValue::Whole(i64::MIN.into(), i64::MAX.into());
        deserialize_u8() => ExpectedValue::Whole(0, u8::MAX.into());
        deserialize_u16() => ExpectedValue::Whole(0, u16::MAX.into());
        deserialize_u32() => ExpectedValue::Whole(0, u32::MAX.into());
        deserialize_u64() => ExpectedValue::Whole(0, u64::MAX.into());
        deserialize_f32() => ExpectedValue::Number(f32::MAX.into());
        deserialize_f64() => ExpectedValue::Number(f64::MAX);
        deserialize_char() => ExpectedValue::Text;
        deserialize_str() => ExpectedValue::Text;
        deserialize_string() => ExpectedValue::Text;
        deserialize_bytes() => ExpectedValue::Text;
        deserialize_byte_buf() => ExpectedValue::Text;
        deserialize_identifier() => ExpectedValue::Text;
        deserialize_option() => ExpectedValue::Optional;
        deserialize_unit() => ExpectedValue::Nothing;
        deserialize_unit_struct(name: &'static str) => ExpectedValue::Nothing;
        deserialize_seq() => ExpectedValue::List;
        deserialize_tuple(length: usize) => ExpectedValue::List;
        deserialize_tuple_struct(name: &'static str, length: usize) => ExpectedValue::List;
        deserialize_map() => ExpectedValue::Object;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) => ExpectedValue::Object;
        deserialize_enum(name: &'static str, words: &'static [&'static str]) => ExpectedValue::Word;
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFailure> {
        visitor.visit_newtype_struct(self)
    }
}

/// A visitor that first compares what comes with what is wanted.
struct ExpectationVisitor<'c, V> {
    visitor: V,
    wanted: ExpectedValue,
    context: &'c Context,
}

impl<'c, V> ExpectationVisitor<'c, V> {
    /// Lets what is wrong wait.
    fn tell<T, E: Error>(context: &'c Context, judged: Result<T, ReadFailure>) -> Result<T, E> {
        judged.map_err(|wrong| context.wait(wrong))
    }

    fn refuse<T, E: Error>(&self, given: Unexpected<'_>) -> Result<T, E> {
        Err(self.context.wait(ReadFailure::given(&self.wanted.words(), given)))
    }
}

impl<'de, V: Visitor<'de>> ExpectationVisitor<'_, V> {
    /// A number, truth or null that came as a text.
    fn read_text<E: Error>(self, text: &str) -> Result<V::Value, E> {
        let given = Unexpected::Str(text);
        match self.wanted {
            ExpectedValue::Optional => {
                let text: StrDeserializer<'_, ReadFailure> = text.into_deserializer();
                let read = self.visitor.visit_some(ExplainingReader::new(text, self.context));
                Self::tell(self.context, read)
            }
            ExpectedValue::Truth => match text.parse() {
                Ok(value) => self.visit_bool(value),
                Err(_) => self.refuse(given),
            },
            // A whole number may be as large as a u64, or below zero.
            ExpectedValue::Whole(..) => match (text.parse(), text.parse()) {
                (Ok(number), _) => self.visit_u64(number),
                (_, Ok(number)) => self.visit_i64(number),
                _ => self.refuse(given),
            },
            ExpectedValue::Number(_) => match text.parse() {
                Ok(number) => self.visit_f64(number),
                Err(_) => self.refuse(given),
            },
            _ => self.refuse(given),
        }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ExpectationVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(out)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Anything | ExpectedValue::Truth => Self::tell(self.context, self.visitor.visit_bool(value)),
            _ => self.refuse(Unexpected::Bool(value)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Whole(least, most) if !(least..=most).contains(&number.into()) => {
                self.refuse(Unexpected::Signed(number))
            }
            ExpectedValue::Anything | ExpectedValue::Whole(..) | ExpectedValue::Number(_) => {
                Self::tell(self.context, self.visitor.visit_i64(number))
            }
            _ => self.refuse(Unexpected::Signed(number)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Whole(least, most) if !(least..=most).contains(&number.into()) => {
                self.refuse(Unexpected::Unsigned(number))
            }
            ExpectedValue::Anything | ExpectedValue::Whole(..) | ExpectedValue::Number(_) => {
                Self::tell(self.context, self.visitor.visit_u64(number))
            }
            _ => self.refuse(Unexpected::Unsigned(number)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Number(most) if number.abs() > most => {
                let given = format!("{number:e}, which is out of range,");
                self.refuse(Unexpected::Other(&given))
            }
            ExpectedValue::Anything | ExpectedValue::Number(_) => {
                Self::tell(self.context, self.visitor.visit_f64(number))
            }
            _ => self.refuse(Unexpected::Float(number)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Anything | ExpectedValue::Text => Self::tell(self.context, self.visitor.visit_str(text)),
            ExpectedValue::Word => {
                let word: StrDeserializer<'_, ReadFailure> = text.into_deserializer();
                Self::tell(self.context, self.visitor.visit_enum(word))
            }
            // Where all values come as texts, as in a query string, this text may stand for a number.
            _ if self.context.only_texts => self.read_text(text),
            _ => self.refuse(Unexpected::Str(text)),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        match self.wanted {
            ExpectedValue::Anything | ExpectedValue::Nothing => Self::tell(self.context, self.visitor.visit_unit()),
            ExpectedValue::Optional => self.visit_none(),
            _ => self.refuse(Unexpected::Unit),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        Self::tell(self.context, self.visitor.visit_none())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        Self::tell(self.context, self.visitor.visit_some(ExplainingReader::new(deserializer, self.context)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        match self.wanted {
            ExpectedValue::Anything | ExpectedValue::List => {
                Self::tell(self.context, self.visitor.visit_seq(Items::new(inner, self.context)))
            }
            _ => self.refuse(Unexpected::Seq),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        match self.wanted {
            ExpectedValue::Anything | ExpectedValue::Object => {
                Self::tell(self.context, self.visitor.visit_map(NamedMembers::new(inner, self.context)))
            }
            _ => self.refuse(Unexpected::Map),
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for ExplainingReader<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let read = self.inner.deserialize(ExplainingReader::new(deserializer, self.context));
        read.map_err(|wrong| self.context.wait(wrong))
    }
}
