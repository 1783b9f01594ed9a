//! Counts the bytes of bodies in memory. Deliveries of one event share a body, which is counted once.

use std::sync::Arc;

use foldhash::HashMap;

/// Smaller bodies are counted for each delivery, which costs less time.
const SMALL: usize = 1024;

#[derive(Debug, Default)]
pub struct Bodies {
    /// The number of deliveries that share a body, by the address of the body.
    shares: HashMap<usize, usize>,
    bytes: usize,
}

impl Bodies {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn add(&mut self, body: &Arc<str>) {
        let is_new = body.len() < SMALL || {
            let shares = self.shares.entry(address(body)).or_default();
            *shares += 1;
            *shares == 1
        };
        if is_new {
            self.bytes += body.len();
        }
    }

    /// Counts a body no longer that was counted.
    pub fn remove(&mut self, body: &Arc<str>) {
        let is_last = body.len() < SMALL || {
            let address = address(body);
            let shares = self.shares.get_mut(&address).expect("a body that was counted");
            *shares -= 1;
            *shares == 0 && self.shares.remove(&address).is_some()
        };
        if is_last {
            self.bytes -= body.len();
        }
    }
}

fn address(body: &Arc<str>) -> usize {
    Arc::as_ptr(body).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_is_counted_once_however_many_deliveries_share_it() {
        let (small, large): (Arc<str>, Arc<str>) = ("s".repeat(10).into(), "l".repeat(5000).into());
        let mut bodies = Bodies::default();
        for _ in 0..20 {
            bodies.add(&small);
            bodies.add(&large);
        }
        assert_eq!(bodies.bytes(), 20 * 10 + 5000);
        for left in (0..20).rev() {
            bodies.remove(&small);
            bodies.remove(&large);
            assert_eq!(bodies.bytes(), left * 10 + if left > 0 { 5000 } else { 0 });
        }
    }
}
