//! Texts that many rows share, such as the name of an event type. Each is kept once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Default)]
pub struct Names(RefCell<HashSet<Arc<str>>>);

/// When there are more names than this, all are forgotten.
const MANY: usize = 10_000;

impl Names {
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
