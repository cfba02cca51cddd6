//! The seed of a run: printed first, so that any failure can be asked for again.
//!
//! `QUIVER_SEED` overrides it. Real processes are not deterministic under a seed; what the seed fixes is what the
//! harness chooses: keys, victims, moments, damaged offsets.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::Rng;
use rand::rngs::StdRng;

/// The seed of this run, printed with the name of the test that asks for it.
pub fn seed(test: &str) -> u64 {
    let seed = from_env("QUIVER_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|elapsed| elapsed.as_nanos()).unwrap_or(1);
        mix(now as u64) >> 32
    });
    println!("{test}: QUIVER_SEED={seed}");
    seed
}

/// A number from the environment; how a run is made longer or shorter without touching the test.
pub fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): a good 64-bit hash of a counter, and pure.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random version-4 UUID from the run's own generator, to ask under.
pub fn request_id(rng: &mut StdRng) -> String {
    let bits = (rng.random::<u128>() & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
