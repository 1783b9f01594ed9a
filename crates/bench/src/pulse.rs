//! How fast the machine is at each moment.
//!
//! The speed of a virtual machine varies: because of other work of its host, a system call can take a third longer, for
//! seconds or for minutes. Everything that commits or sends is then slower too. So a thread measures the *pulse*: fifty
//! times a second, it measures the time of some system calls. Figures with the same pulse can be compared.

use std::hint::black_box;
use std::os::unix::process::parent_id;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(20);
const CALLS: usize = 300;

static BEATS: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// Starts the thread that measures the pulse until the program ends.
pub fn start() {
    thread::spawn(|| {
        loop {
            thread::sleep(EVERY);
            let beat = beat();
            BEATS.lock().expect("nobody panics").push(beat);
        }
    });
}

fn beat() -> Duration {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(parent_id());
    }
    start.elapsed()
}

/// A figure, and the pulse while it was measured.
pub struct Measured {
    pub figure: f64,
    pulse: f64,
}

impl Measured {
    pub fn by(action: impl FnOnce() -> f64) -> Self {
        let before = BEATS.lock().expect("nobody panics").len();
        let figure = action();
        Self { figure, pulse: mean(BEATS.lock().expect("nobody panics")[before..].to_vec()) }
    }

    /// Returns by how much the pulse of two figures differs: 0.1 for ten per cent.
    pub fn apart(&self, other: &Self) -> f64 {
        (self.pulse / other.pulse).ln().abs()
    }
}

/// Returns the mean without the slowest tenth, in which another thread ran during a beat.
fn mean(mut beats: Vec<Duration>) -> f64 {
    beats.sort();
    beats.truncate(beats.len() - beats.len() / 10);
    let sum: Duration = beats.iter().sum();
    sum.as_secs_f64() / beats.len() as f64
}
