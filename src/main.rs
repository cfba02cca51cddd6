//! The `quiver` binary: hands the command line to [`quiver::cli`] and its verdict to the shell.

/// A write passes through many buffers of some kilobytes that live for a moment. glibc's allocator gives much of that
/// memory back to the kernel at once and has it zeroed anew, which was a fifth of all processor time of an ingest;
/// mimalloc does so with whole huge pages, which was worse.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    quiver::cli::main()
}
