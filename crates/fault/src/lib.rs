//! Places at which a test build breaks down when it is asked to, to show that nothing is lost by it.
//!
//! With the feature `faults`, a file `hydra_fault` in the data directory says what is to happen: `panic read` has the
//! process panic the next time that it comes to `point("read")`, `abort read` has it abort, and `always` as a third
//! word has it do so each time. In any other build a point is nothing at all.

/// A place where something may break down.
#[cfg(not(feature = "faults"))]
pub fn point(_name: &str) {}

#[cfg(feature = "faults")]
pub fn point(name: &str) {
    // Server processes live in the data directory.
    const FILE: &str = "hydra_fault";
    let Ok(wish) = std::fs::read_to_string(FILE) else { return };
    let mut words = wish.split_whitespace();
    let (kind, place, always) = (words.next(), words.next(), words.next() == Some("always"));
    // Of several threads that come here at a time, one takes it away.
    if place != Some(name) || !(always || std::fs::remove_file(FILE).is_ok()) {
        return;
    }
    match kind {
        Some("abort") => std::process::abort(),
        _ => panic!("fault at {name}, as a test wants it"),
    }
}
