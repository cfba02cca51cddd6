//! What the gateway reads of a request, and what it says of what it cannot read.

mod inputs;
mod plain_words;
mod spellings;
