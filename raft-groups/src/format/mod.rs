//! The bytes of what consensus says and stores: forms of our own for openraft's types, which never pass under its
//! serde.
//!
//! openraft is an alpha, and postcard has no names of fields: a member that a new version of it adds would change
//! every message and record without a line of ours. So its serde is not even compiled in; each of its types has a
//! *form* here, and [`AsForm`] encodes and decodes it. A form's encoding never changes. What must change gets a new
//! form beside it, under the version byte of the message ([`crate::network::wire`]) or record
//! ([`crate::storage::record`]) that it is in. A message or record may end in a tail that this release does not know:
//! it is skipped.
//!
//! The forms of version 1 have the layout that openraft 0.10.0-alpha.37 gave its own types, so directories that were
//! written under that need no second decoder.

mod messages;
mod types;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type that is encoded as another, which never changes.
pub trait Formed: Sized {
    /// What is encoded.
    type Form: Serialize + DeserializeOwned;

    /// Its form. What is large in it is shared, not copied.
    fn form(&self) -> Self::Form;

    /// The value of a form.
    ///
    /// # Errors
    /// What is wrong with it: a form that was decoded may still say nothing.
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

/// Encodes what it holds as its form. As an attribute of a field: `#[serde(with = "AsForm")]`.
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
    /// Where the bytes are no form, or the form says nothing.
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
