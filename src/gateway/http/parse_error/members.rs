//! What stands in arrays and objects, read with a note of where that is: each error on its way out is told its step.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::wrappers::{ExplainingReader, Items, NamedMembers};
use super::wrong::{ReadFailure, short};

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = ReadFailure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadFailure> {
        let read = self.inner.next_element_seed(ExplainingReader::new(seed, self.context));
        let read = read.map_err(|error| self.context.met(&error).inside(format!("[{}]", self.next)));
        self.next += 1;
        read
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for NamedMembers<'_, A> {
    type Error = ReadFailure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadFailure> {
        self.name.clear();
        let seed = NotedName { seed: ExplainingReader::new(seed, self.context), name: &mut self.name };
        let read = self.inner.next_key_seed(seed);
        read.map_err(|error| {
            let wrong = self.context.met(&error);
            if self.name.is_empty() { wrong } else { wrong.inside(short(&self.name)) }
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadFailure> {
        let read = self.inner.next_value_seed(ExplainingReader::new(seed, self.context));
        read.map_err(|error| self.context.met(&error).inside(short(&self.name)))
    }
}

/// A member's name, noted on its way to whoever reads it.
struct NotedName<'n, S> {
    seed: S,
    name: &'n mut String,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NotedName<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        struct Note<'n>(&'n mut String);
        impl Visitor<'_> for Note<'_> {
            type Value = ();

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a member's name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
                self.0.push_str(name);
                Ok(())
            }
        }
        // The name is noted first, and then given on to whoever reads it.
        deserializer.deserialize_str(Note(self.name))?;
        let name: StrDeserializer<'_, D::Error> = self.name.as_str().into_deserializer();
        self.seed.deserialize(name)
    }
}
