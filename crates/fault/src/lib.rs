//! Fault points: places where a test build fails on request, so that tests can show that nothing is lost.
//!
//! With the feature `faults`, the file `hydra_fault` in the data directory says what is to happen. If it contains
//! `panic read`, the process panics when it next reaches `point("read")`. If it contains `abort read`, the process
//! aborts. With `always` as a third word this happens each time. Without the feature, `point` does nothing.

/// A fault point. In this build it does nothing.
#[cfg(not(feature = "faults"))]
pub fn point(_name: &str) {}

/// A fault point. It fails if the file asks for that.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    // The data directory is the working directory of all server processes.
    const FILE: &str = "hydra_fault";
    let Ok(wish) = std::fs::read_to_string(FILE) else { return };
    let mut words = wish.split_whitespace();
    let (kind, place, always) = (words.next(), words.next(), words.next() == Some("always"));
    // If several threads reach this place at the same time, only the one that removes the file fails.
    if place != Some(name) || !(always || std::fs::remove_file(FILE).is_ok()) {
        return;
    }
    match kind {
        Some("abort") => std::process::abort(),
        _ => panic!("fault at {name}, requested by a test"),
    }
}
