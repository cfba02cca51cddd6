//! Exit codes: what each means, and the one place where an error is mapped to one.
//!
//! In: any error of a verb. The causes in its chain are searched for one that has a code. Out: that code, and the error
//! on stderr.

use crate::api::Committed;
use crate::client::{Failure, UnusableInput};
use crate::config::ConfigError;
use crate::node::NodeError;
use crate::output::stdout::ReaderGone;
use std::process::ExitCode;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Not done, or not wholly.
    Failed = 1,
    /// The command line or the settings cannot be used. Clap exits with this code, too.
    Usage = 2,
    /// Done. The cluster serves, but can lose less than it should.
    Degraded = 3,
    /// The thing named does not exist.
    NotFound = 4,
    /// It exists with other settings, or at another version.
    Conflict = 5,
    /// A write may or may not have happened.
    Unknown = 6,
    /// The cluster cannot serve now, or nobody answers.
    Unavailable = 7,
    /// Not done, because it would lose a majority or a last copy.
    Guarded = 9,
    /// A dry run found something to do.
    Changes = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command line that clap accepts and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The exit code that a failed request stands for.
fn exit_of(failure: &Failure) -> Exit {
    match failure {
        // What is unknown comes first: a script must not repeat such a write blindly.
        Failure::GaveUp { unknown: true, .. } => Exit::Unknown,
        Failure::GaveUp { last, .. } => exit_of(last),
        Failure::Refused { status, .. } if status.committed == Committed::Unknown => Exit::Unknown,
        Failure::Refused { status, .. } if status.code.starts_with("would_lose") => Exit::Guarded,
        Failure::Refused { http: 404, .. } => Exit::NotFound,
        Failure::Refused { http: 409 | 412, .. } => Exit::Conflict,
        Failure::Refused { http: 408 | 429 | 502 | 503 | 507, .. } => Exit::Unavailable,
        Failure::Refused { .. } => Exit::Failed,
        Failure::Unreachable { sent: true, .. } => Exit::Unknown,
        Failure::Unreachable { .. } | Failure::TwoClusters { .. } => Exit::Unavailable,
        Failure::Foreign { .. } => Exit::Failed,
    }
}

/// The exit code of an error. The first cause in its chain that has a code decides.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    let known = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(exit_of(failure));
        }
        if let Some(NodeError::Formation(_) | NodeError::Name(_) | NodeError::NoOrigin { .. }) = cause.downcast_ref() {
            return Some(Exit::Usage);
        }
        (cause.is::<Usage>() || cause.is::<UnusableInput>() || cause.is::<ConfigError>()).then_some(Exit::Usage)
    };
    error.chain().find_map(known).unwrap_or(Exit::Failed)
}

/// Prints an error on stderr and returns its code. If the reader of stdout has left, that is no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<ReaderGone>() {
        return Exit::Ok.into();
    }
    eprintln!("error: {}", told(error));
    code_of(error).into()
}

/// An error with its causes, without those that its text already has.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.is_empty() {
        true => cause,
        false if text.contains(&cause) => text,
        false => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_told_once() {
        let used = || std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let port = || NodeError::Listen { address: ([127, 0, 0, 1], 1).into(), flag: "--listen", source: used() };
        let disk = || NodeError::Io { what: "open", path: "/a".into(), source: used() };
        let file = || ConfigError::Unreadable { path: "/a".into(), source: used() };
        for error in [anyhow::Error::new(port()), disk().into(), file().into(), anyhow::Error::new(used()).context("b")]
        {
            let text = told(&error.context("the verb"));
            assert_eq!(text.matches(&used().to_string()).count(), 1, "{text}");
            assert!(text.starts_with("the verb: "), "{text}");
        }
    }

    #[test]
    fn context_does_not_hide_the_code() {
        let usage = anyhow::Error::new(Usage("x".into())).context("y");
        assert_eq!(code_of(&usage), Exit::Usage);
        assert_eq!(code_of(&anyhow::anyhow!("z")), Exit::Failed);
        let nobody = Failure::Unreachable { tried: "http://a (refused)".into(), late: false, sent: false };
        assert_eq!(code_of(&Err::<(), _>(nobody).context("w").unwrap_err()), Exit::Unavailable);
    }
}
