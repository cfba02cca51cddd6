//! Why consensus in this process has ended, in words for people. openraft's own texts name its types and log ids.
//!
//! Comes in: openraft's last error. Goes out: a clause without a full stop. Only this file looks at those texts.

use std::error::Error as _;

use openraft::errors::Fatal;

use crate::consensus::types::RaftTypes;

/// The prefix that openraft gives to an error of the disk.
const WRAPPED: &str = "std::io::error::Error: ";

/// Returns what ended consensus, as a clause.
pub(crate) fn explain_end(error: &Fatal<RaftTypes>) -> String {
    match error {
        Fatal::StorageError(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            let found = source.strip_prefix(WRAPPED).unwrap_or(&source);
            format!("its data could not be read or written: {found}")
        }
        Fatal::Panicked => "it met a bug in itself; the node's log says more".to_owned(),
        Fatal::Stopped => "it was closed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use openraft::{ErrorSubject, ErrorVerb, StorageError};

    use super::*;

    #[test]
    fn no_type_and_no_log_id_is_told() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let log_id = crate::consensus::types::LogId::new_term_index(1, 2);
        let error = StorageError::from_io_error(ErrorSubject::Apply(log_id), ErrorVerb::Write, full);
        let error = Fatal::StorageError(error);
        assert_eq!(explain_end(&error), "its data could not be read or written: no storage space");
    }
}
