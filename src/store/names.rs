//! Stores texts that many rows share, such as the name of an event type, only once in memory.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Default)]
pub struct Names(RefCell<HashSet<Arc<str>>>);

/// When this many texts are stored, all are dropped.
const MANY: usize = 10_000;

impl Names {
    /// Returns the stored copy of a text, and stores one if there is none.
    pub fn get(&self, name: &str) -> Arc<str> {
        let mut names = self.0.borrow_mut();
        if let Some(known) = names.get(name) {
            return Arc::clone(known);
        }
        if names.len() >= MANY {
            names.clear();
        }
        let new: Arc<str> = name.into();
        names.insert(Arc::clone(&new));
        new
    }
}
