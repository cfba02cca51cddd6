//! What a check found, in words.

use std::fmt;

use serde_json::Value;

use super::{Fate, LedgerOperation, WriteKind};

/// How a key contradicts the record.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// An acknowledged write is gone: the key is absent, or shows what was there before it.
    Lost {
        /// The acknowledged write.
        write: LedgerOperation,
        /// The write that is shown instead.
        shown: Option<LedgerOperation>,
    },
    /// A point is there that an acknowledged delete removed.
    Resurrected {
        /// The acknowledged delete.
        delete: LedgerOperation,
        /// The write that is shown.
        shown: LedgerOperation,
    },
    /// A point is there that nobody had written to this key by then.
    Invented {
        /// Its payload.
        payload: Value,
    },
    /// A write is there that the store had declared as certainly not applied.
    Refused {
        /// The refused write.
        write: LedgerOperation,
    },
    /// Vector and payload do not belong together.
    HalfWritten {
        /// The write it claims to be.
        write: u64,
        /// The part that differs.
        part: String,
    },
    /// The version is not the one the write was acknowledged with: it was applied again, or the answer was wrong.
    OtherVersion {
        /// The write.
        write: LedgerOperation,
        /// The version shown.
        shown: u64,
    },
}

/// A contradiction, at a key, in a read.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The id of the point.
    pub key: u64,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// When the read began and ended.
    pub window: (u64, u64),
}

impl fmt::Display for LedgerOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WriteKind::Put(write) => write!(f, "write {write}")?,
            WriteKind::Delete => write!(f, "a delete")?,
        }
        let fate = match self.fate {
            Fate::Ok(Some(version)) => format!("acknowledged as version {version}"),
            Fate::Ok(None) => "acknowledged".to_owned(),
            Fate::Fail => format!("refused: {}", self.note),
            Fate::Unknown | Fate::Pending => format!("of unknown fate: {}", self.note),
        };
        let finished = self.finished.map_or("never".to_owned(), |finished| finished.to_string());
        write!(f, " ({fate}; asked at {}, answered at {finished})", self.invoked)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}, read between {} and {}: ", self.key, self.window.0, self.window.1)?;
        match &self.trouble {
            Trouble::Lost { write, shown: None } => write!(f, "LOST {write}; the key is absent"),
            Trouble::Lost { write, shown: Some(shown) } => write!(f, "LOST {write}; shown is {shown}"),
            Trouble::Resurrected { delete, shown } => {
                write!(f, "RESURRECTED: {shown} is shown after {delete}")
            }
            Trouble::Invented { payload } => write!(f, "INVENTED: nobody wrote {payload} there"),
            Trouble::Refused { write } => write!(f, "REFUSED YET APPLIED: {write}"),
            Trouble::HalfWritten { write, part } => write!(f, "HALF-WRITTEN write {write}: {part}"),
            Trouble::OtherVersion { write, shown } => {
                write!(f, "OTHER VERSION: {write} is shown with version {shown}")
            }
        }
    }
}

/// The outcome of a complete check.
#[derive(Clone, Debug)]
pub struct LedgerReport {
    /// Acknowledged operations.
    pub acknowledged: usize,
    /// Operations that were certainly not applied.
    pub refused: usize,
    /// Operations whose fate nobody knows.
    pub unknown: usize,
    /// Keys judged.
    pub keys: usize,
    /// Every contradiction, by key.
    pub problems: Vec<Problem>,
}

impl LedgerReport {
    /// Whether everything can be explained, and there was something to explain: a run without acknowledged writes shows
    /// nothing.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.acknowledged > 0
    }

    /// How many acknowledged operations are certainly gone (at most one a key is counted).
    pub fn lost(&self) -> usize {
        let gone = |problem: &&Problem| matches!(problem.trouble, Trouble::Lost { .. } | Trouble::Resurrected { .. });
        self.problems.iter().filter(gone).count()
    }
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, refused, unknown, keys, problems } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {refused} refused, {unknown} unknown over {keys} keys: {} problems",
            problems.len()
        )?;
        for problem in problems.iter().take(20) {
            write!(f, "\n  {problem}")?;
        }
        if problems.len() > 20 {
            write!(f, "\n  and {} more", problems.len() - 20)?;
        }
        Ok(())
    }
}
