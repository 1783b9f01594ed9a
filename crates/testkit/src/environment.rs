//! What the environment asks for: numbers that make a short test a long one, and seeds that repeat a random one.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// For example of events.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// How often a test repeats its main part.
pub fn rounds(by_default: u64) -> u64 {
    number("HYDRA_ROUNDS").unwrap_or(by_default)
}

/// Random numbers. The seed is printed, and `HYDRA_SEED` repeats them.
pub fn chance() -> StdRng {
    let seed = number("HYDRA_SEED").unwrap_or_else(rand::random);
    println!("HYDRA_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
