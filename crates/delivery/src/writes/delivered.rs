//! Deliveries that have succeeded and are kept with their bodies, for subscriptions with `keep_bodies`.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Key, Writes};
use crate::work::Work;

/// A row of `hydra.delivered`.
#[derive(Debug)]
pub struct Delivered {
    pub work: Arc<Work>,
    pub status: u16,
    pub excerpt: String,
    pub response_ms: i32,
    pub at: SystemTime,
    pub kept_until: SystemTime,
}

impl Delivered {
    fn key(&self) -> Key {
        (self.work.event, self.work.delivery)
    }

    /// The number of attempts that were made, with the one that succeeded.
    pub fn attempts(&self) -> u32 {
        self.work.attempts + 1
    }

    /// About the size of its row in bytes.
    pub fn size(&self) -> usize {
        self.work.size() + self.excerpt.len()
    }
}

impl Writes {
    /// Keeps a delivery that has succeeded.
    pub fn keep(&mut self, delivered: Delivered) {
        self.delivered_bytes += delivered.size();
        if let Some(former) = self.delivered.insert(delivered.key(), delivered) {
            self.delivered_bytes -= former.size();
        }
    }

    /// Takes some out, in the order of events: not more rows than this, and not more bytes unless it is one row.
    pub(super) fn take_delivered(&mut self, rows: usize, mut bytes: usize) -> Vec<Delivered> {
        let mut taken = Vec::new();
        while let Some(next) = self.delivered.first_entry().filter(|_| taken.len() < rows) {
            let size = next.get().size();
            if size > bytes && !taken.is_empty() {
                break;
            }
            bytes = bytes.saturating_sub(size);
            self.delivered_bytes -= size;
            taken.push(next.remove());
        }
        taken
    }
}
