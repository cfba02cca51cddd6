//! Shell completions and man pages, made from the command tree itself.
//!
//! In: the command tree. Out: text on stdout, or a directory of pages. Knows no verb by name.

use std::path::PathBuf;

use anyhow::Context;
use clap::Command;

use super::exit::Exit;
use crate::output::stdout;

/// Arguments of `quiver completions`.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Arguments of `quiver man`.
#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Directory to write the pages to; made where absent.
    dir: PathBuf,
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut tree: Command) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut tree, "quiver", &mut text);
    stdout::print(String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}

/// Writes one man page for each verb.
pub(crate) fn man(args: &ManArgs, tree: Command) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    clap_mangen::generate_to(tree, &args.dir).with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(Exit::Ok)
}
