//! One path of a receiver: its secrets, its answers, and the requests that it has received.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::answer::{Answer, Ready};
use super::request::Request;
use super::signature::Secret;

pub(super) struct Endpoint {
    pub path: String,
    pub secrets: RwLock<Vec<Secret>>,
    pub state: Mutex<State>,
    pub arrival: Condvar,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
}

pub(super) struct State {
    pub first: VecDeque<(usize, Arc<Ready>)>,
    pub then: Arc<Ready>,
    pub received: usize,
    pub requests: Vec<Arc<Request>>,
    /// The number of threads that wait for a request. A notification is a system call, so it is made only if threads
    /// wait.
    pub waiting: usize,
}

impl Endpoint {
    pub fn new(path: &str) -> Endpoint {
        let state = State {
            first: VecDeque::new(),
            then: Ready::new(Answer::ok()),
            received: 0,
            requests: Vec::new(),
            waiting: 0,
        };
        Endpoint {
            path: path.into(),
            secrets: RwLock::default(),
            state: Mutex::new(state),
            arrival: Condvar::new(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    pub fn begin(&self) {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    pub fn finish(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    pub fn next_answer(&mut self) -> Arc<Ready> {
        while let Some((left, answer)) = self.first.front_mut() {
            if *left > 0 {
                *left -= 1;
                return answer.clone();
            }
            self.first.pop_front();
        }
        self.then.clone()
    }
}
