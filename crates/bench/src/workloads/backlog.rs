//! Adds hundreds of thousands of deliveries to the retry queue.

use crate::bed::Bed;

/// Adds `deliveries` rows that are due now, for the subscription with this id.
pub fn add(bed: &mut Bed, subscription: i64, deliveries: usize) {
    bed.run(&format!(
        "INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, emitted_at,
                                     preset, body, state, due_at)
         SELECT gen_random_uuid(), {subscription}, -n, 0, hydra._installation(), 'ticket.created', 'ticket', now(), 'hydra', repeat('x', 300), 'pending', now()
         FROM generate_series(1, {deliveries}) AS n"
    ));
    bed.settle();
}
