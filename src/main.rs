//! The `quiver` binary: hands the command line to [`quiver::cli`] and its verdict to the shell.

fn main() -> std::process::ExitCode {
    quiver::cli::main()
}
