//! Deliveries that wait in the retry queue, put there by the hundred thousand.

use crate::bed::Bed;

/// Makes so many that are due now, for the subscription of this id.
pub fn add(bed: &mut Bed, subscription: i64, deliveries: usize) {
    bed.run(&format!(
        "INSERT INTO hydra.delivery (id, subscription_id, event_id, event_type, emitted_at, preset, body, state, due_at)
         SELECT gen_random_uuid(), {subscription}, -n, 'ticket.created', now(), 'hydra', repeat('x', 300), 'pending', now()
         FROM generate_series(1, {deliveries}) AS n"
    ));
    bed.settle();
}
