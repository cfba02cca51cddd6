//! The one way to consent: what is hard to undo needs `--yes`, or a yes at a terminal. Without a terminal nobody can be
//! asked, and nothing is done.

use std::io::{IsTerminal as _, Write as _};

use super::exit::Usage;

/// Consent to a change, as the command line gives it.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consent {
    /// Do not ask for confirmation. Needed where there is no terminal, since nobody can be asked.
    #[arg(long, short)]
    yes: bool,
}

impl Consent {
    /// Returns `true` if a person must still be asked.
    ///
    /// # Errors
    /// [`Usage`] where a person must be asked and there is no terminal.
    pub(crate) fn is_open(self) -> Result<bool, Usage> {
        let can_be_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        match (self.yes, can_be_asked) {
            (true, _) => Ok(false),
            (false, true) => Ok(true),
            (false, false) => Err(Usage(
                "nothing was changed: there is no terminal to ask for confirmation at; give --yes".to_owned(),
            )),
        }
    }

    /// Makes sure that the answer to `question` is yes. Does not ask if `--yes` was given.
    ///
    /// # Errors
    /// [`Usage`] for every answer but a yes, and where nobody can be asked.
    pub(crate) fn make_sure(self, question: &str) -> anyhow::Result<()> {
        if self.is_open()? { ask(question) } else { Ok(()) }
    }
}

/// Asks on the terminal.
///
/// # Errors
/// [`Usage`] for every answer but a yes.
pub(crate) fn ask(question: &str) -> anyhow::Result<()> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let meant = matches!(answer.trim(), "y" | "Y" | "yes");
    if meant { Ok(()) } else { Err(Usage("nothing was changed".to_owned()).into()) }
}
