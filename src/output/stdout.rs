//! The one way to stdout. If its reader has left, the verb ends without a message. A full device is an error.
//!
//! In: text. Out: the text on stdout, or an error that says whether the reader has left.

use std::io::{self, Write as _};

/// The reader of the output has left, so nothing more is printed.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output has left")]
pub(crate) struct ReaderGone;

/// Prints `text` as it is.
///
/// # Errors
/// [`ReaderGone`], or why the text could not be written.
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

/// Writes out what stdout still holds back.
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
