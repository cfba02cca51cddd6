//! What a member of a request has to be, as its type asks for it.

/// What a type asks for.
#[derive(Clone, Copy)]
pub(super) enum ExpectedValue {
    Anything,
    Optional,
    Truth,
    /// From the first to the second.
    Whole(i128, i128),
    /// As large as the type can hold.
    Number(f64),
    Text,
    Word,
    List,
    Object,
    Nothing,
}

impl ExpectedValue {
    /// In words for people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Whole(0, most) if most == i128::from(u64::MAX) => "a whole number, 0 or more,".to_owned(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(_) => "a number".to_owned(),
            Self::Truth => "true or false".to_owned(),
            Self::Text | Self::Word => "a text".to_owned(),
            Self::List => "an array".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::Nothing => "null".to_owned(),
            Self::Anything | Self::Optional => "a value".to_owned(),
        }
    }
}
