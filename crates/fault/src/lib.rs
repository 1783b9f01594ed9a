//! Places where a test build fails on request, to show that nothing is lost by it.
//!
//! With the feature `faults`, a file `hydra_fault` in the data directory says what is to happen. With `panic read` the
//! process panics the next time that it comes to `point("read")`. With `abort read` it aborts. With `always` as a third
//! word it does so each time. In any other build a point does nothing.

/// A place that may fail.
#[cfg(not(feature = "faults"))]
pub fn point(_name: &str) {}

#[cfg(feature = "faults")]
pub fn point(name: &str) {
    // Server processes live in the data directory.
    const FILE: &str = "hydra_fault";
    let Ok(wish) = std::fs::read_to_string(FILE) else { return };
    let mut words = wish.split_whitespace();
    let (kind, place, always) = (words.next(), words.next(), words.next() == Some("always"));
    // If several threads come here at a time, the one that removes the file fails.
    if place != Some(name) || !(always || std::fs::remove_file(FILE).is_ok()) {
        return;
    }
    match kind {
        Some("abort") => std::process::abort(),
        _ => panic!("fault at {name}, requested by a test"),
    }
}
