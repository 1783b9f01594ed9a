//! Environment variables of tests: numbers that make a short test longer, and seeds that repeat a random test.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// Returns the number in a variable, for example a number of events. `None` if the variable is not set.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Returns how often a test repeats its main part.
pub fn rounds(by_default: u64) -> u64 {
    number("HYDRA_ROUNDS").unwrap_or(by_default)
}

/// Returns a source of random numbers, and prints its seed. With `HYDRA_SEED` set to this seed, the numbers are the
/// same.
pub fn chance() -> StdRng {
    let seed = number("HYDRA_SEED").unwrap_or_else(rand::random);
    println!("HYDRA_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
