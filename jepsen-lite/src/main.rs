//! The command `jepsen-lite`: judges histories, makes failing ones small, and shows them.

use std::process::ExitCode;

fn main() -> ExitCode {
    jepsen_lite::cli::main()
}
