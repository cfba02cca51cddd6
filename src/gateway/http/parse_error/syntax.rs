//! What serde_json says of a text that is no JSON, in plain words. It gives only text, so this is the one place that
//! looks at it; a message that is new there is told as it is.

/// What serde_json says, and what we say.
const SAID: [(&str, &str); 21] = [
    ("EOF while parsing a list", "it ends inside an array"),
    ("EOF while parsing an object", "it ends inside an object"),
    ("EOF while parsing a string", "it ends inside a text"),
    ("EOF while parsing a value", "it ends where a value is wanted"),
    ("expected `:`", "a `:` is wanted after a member's name"),
    ("expected `,` or `]`", "`,` or `]` is wanted"),
    ("expected `,` or `}`", "`,` or `}` is wanted"),
    ("expected ident", "only true, false and null stand without quotes"),
    ("expected value", "a value is wanted: an object, an array, a text in quotes, a number, true, false or null"),
    ("expected `\"`", "a `\"` is wanted"),
    ("invalid escape", "a `\\` in a text is followed by what means nothing"),
    ("invalid number", "a number is not written as JSON has it"),
    (OUT_OF_RANGE, "the number is out of range"),
    ("invalid unicode code point", "a text is no UTF-8"),
    (
        "control character (\\u0000-\\u001F) found while parsing a string",
        "a text has a line break or another control character in it, which is written as \\n or \\u000a",
    ),
    ("key must be a string", "a member's name stands in quotes"),
    ("lone leading surrogate in hex escape", "a text has one half of a pair of \\u escapes"),
    ("unexpected end of hex escape", "a \\u in a text is cut off"),
    ("trailing comma", "a `,` stands before the end"),
    ("trailing characters", "something follows its end"),
    (TOO_DEEP, "arrays and objects stand more than 127 deep in each other"),
];

const OUT_OF_RANGE: &str = "number out of range";
const TOO_DEEP: &str = "recursion limit exceeded";

/// The message in plain words, and without its place, which the details carry.
pub(super) fn plain(message: &str) -> String {
    let said = without_place(message);
    SAID.iter().find(|(theirs, _)| *theirs == said).map_or(said, |(_, ours)| *ours).to_owned()
}

/// Returns `true` if the text is good JSON all the same, and only asks for too much.
pub(super) fn is_json(message: &str) -> bool {
    [OUT_OF_RANGE, TOO_DEEP].contains(&without_place(message))
}

/// The message without its " at line 1 column 2".
fn without_place(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |end| &message[..end])
}
