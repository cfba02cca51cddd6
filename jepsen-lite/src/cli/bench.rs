//! How fast the judges are, against what they are promised to be. Exit code 1 where one is slower.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::judge::check::register::{Register, Registers};
use crate::judge::check::wgl::{LinearizationResult, search};
use crate::judge::check::{CheckLimits, elle, zones};
use crate::judge::history::ops::pair;
use crate::judge::synth;
use crate::judge::synth::Shape;

/// Each is measured this often, and the best is told: what disturbs can only slow down.
const ROUNDS: usize = 3;

fn measure(name: &str, promised: Duration, mut work: impl FnMut() -> Result<()>) -> Result<bool> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed());
    }
    let kept = best <= promised;
    println!("{name:<56} {best:>10.3?} of {promised:?}{}", if kept { "" } else { "  TOO SLOW" });
    Ok(kept)
}

/// Measures all; the exit code.
pub fn run() -> Result<u8> {
    let kept = [wgl()?, zones()?, appends()?];
    Ok(u8::from(kept.contains(&false)))
}

fn wgl() -> Result<bool> {
    let shape = Shape { seed: 1, clients: 10, operations: 10_000, keys: 1, unknown_one_in: 0 };
    let registers = Registers::new(&pair(&synth::registers(shape, false))?.ops, false)?;
    measure("wgl: 10,000 operations by 10 clients on one register", Duration::from_millis(500), || {
        for timed in registers.keys.values() {
            ensure!(
                matches!(search(&Register, timed, CheckLimits::default()), LinearizationResult::Order(_)),
                "a right history was refused"
            );
        }
        Ok(())
    })
}

fn zones() -> Result<bool> {
    let shape = Shape { seed: 2, clients: 30, operations: 1_000_000, keys: 8, unknown_one_in: 0 };
    let registers = Registers::new(&pair(&synth::registers(shape, false))?.ops, false)?;
    measure("zones: 1,000,000 operations by 30 clients on 8 registers", Duration::from_secs(2), || {
        for timed in registers.keys.values() {
            ensure!(zones::applies(timed) && zones::conflict(timed).is_none(), "a right history was refused");
        }
        Ok(())
    })
}

fn appends() -> Result<bool> {
    let shape = Shape { seed: 3, clients: 20, operations: 100_000, keys: 10, unknown_one_in: 0 };
    let ops = pair(&synth::appends(shape))?.ops;
    measure("append: 100,000 transactions by 20 clients", Duration::from_secs(5), || {
        let (txns, names) = elle::parse(&ops)?;
        ensure!(elle::anomalies(&txns, &names).is_empty(), "a right history was refused");
        Ok(())
    })
}
