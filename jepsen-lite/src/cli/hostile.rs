//! `hostile`: attacks on real processes, and what they cost.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::hostile::apart;
use crate::hostile::measure::{self, AttackPlan};

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(super) struct HostileArgs {
    /// The `quiver` binary; figures are those of a release build.
    #[arg(long, env = "QUIVER_BINARY", default_value = "target/release/quiver")]
    binary: PathBuf,
    /// Attacks whose names contain one of these; all without it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How long each attack lasts.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long after it the memory is looked at again.
    #[arg(long, default_value_t = 60)]
    after: u64,
}

/// Prints a table; the exit code is 0 if all attacks came to their end.
pub(super) fn run(args: &HostileArgs) -> Result<u8> {
    ensure!(args.binary.is_file(), "{} is no file; name a binary with --binary", args.binary.display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (time, after) = (Duration::from_secs(args.seconds), Duration::from_secs(args.after));
    let plan = AttackPlan { binary: args.binary.clone(), only: args.only.clone(), time, after };
    runtime.block_on(measure::run(&plan)).map(|()| 0)
}

/// Who attacks what.
#[derive(Clone, Debug, Args)]
pub(super) struct AttackersArgs {
    /// The name of the attack.
    #[arg(long)]
    name: String,
    /// The port.
    #[arg(long)]
    address: SocketAddr,
    /// Connections at a time.
    #[arg(long)]
    crowd: usize,
}

/// Attacks until standard input ends.
pub(super) fn attackers(args: &AttackersArgs) -> Result<u8> {
    ensure!(args.address.ip().is_loopback(), "only processes of this machine are attacked");
    apart::attack(&args.name, args.address, args.crowd).map(|()| 0)
}
