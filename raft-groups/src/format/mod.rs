//! The bytes of what consensus sends and stores. openraft's types have forms of our own; openraft's serde never
//! encodes them.
//!
//! openraft is an alpha, and postcard writes no names of fields. A field that a new version of openraft adds would
//! change every message and record unnoticed. So openraft's serde is not compiled in. Each of its types has a *form*
//! here, and [`AsForm`] encodes and decodes it. The encoding of a form never changes. What must change gets a new
//! form beside the old one, under the version byte of its message ([`crate::network::wire`]) or record
//! ([`crate::storage::record`]). A message or record may end in bytes that this release does not know; they are
//! skipped.
//!
//! The forms of version 1 have the layout that openraft 0.10.0-alpha.37 gives its own types. So directories written
//! with that layout need no second decoder.

mod messages;
mod types;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type that is encoded as another type, its form, which never changes.
pub trait Formed: Sized {
    /// The type that is encoded.
    type Form: Serialize + DeserializeOwned;

    /// Returns the form of this value. Command bytes are shared, not copied.
    fn form(&self) -> Self::Form;

    /// Returns the value of a form.
    ///
    /// # Errors
    /// What is wrong with the form: bytes that decode may still mean nothing.
    fn of_form(form: Self::Form) -> Result<Self, &'static str>;
}

impl<T: Formed> Formed for Option<T> {
    type Form = Option<T::Form>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(Formed::form)
    }

    fn of_form(form: Self::Form) -> Result<Self, &'static str> {
        form.map(T::of_form).transpose()
    }
}

/// A wrapper that is encoded as the form of its value. As an attribute of a field: `#[serde(with = "AsForm")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsForm<T>(pub T);

impl<T: Formed> AsForm<T> {
    /// Encodes a field as its form.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.form().serialize(serializer)
    }

    /// Decodes a field from its form.
    ///
    /// # Errors
    /// Those of the deserializer, or one of its kind if the form means nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::of_form(T::Form::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<T: Formed> Serialize for AsForm<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(&self.0, serializer)
    }
}

impl<'de, T: Formed> Deserialize<'de> for AsForm<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer).map(AsForm)
    }
}

#[cfg(test)]
mod tests;
