//! The one way to stdout: a reader that leaves ends a verb without a word, and a full device is an error.
//!
//! In: text. Out: the text, or an error that says whether anyone still reads.

use std::io::{self, Write as _};

/// Whoever read the output has left; nothing more is to be said.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output has left")]
pub(crate) struct ReaderGone;

/// Prints `text` as it is.
///
/// # Errors
/// [`ReaderGone`], or why it could not be written.
pub(crate) fn print(text: impl AsRef<str>) -> anyhow::Result<()> {
    written(io::stdout().lock().write_all(text.as_ref().as_bytes()))
}

/// Prints `text` and ends the line.
///
/// # Errors
/// As [`print()`].
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    print(format!("{}\n", text.as_ref()))
}

/// Sends on what is still held back.
///
/// # Errors
/// As [`print()`].
pub(crate) fn flush() -> anyhow::Result<()> {
    written(io::stdout().lock().flush())
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        result => result.map_err(|error| anyhow::Error::new(error).context("cannot write the answer to stdout")),
    }
}
