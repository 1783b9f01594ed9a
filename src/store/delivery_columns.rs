//! The columns that `hydra.delivery` and `hydra.delivered` have in common, as arguments of the statements that insert rows.

use std::collections::HashMap;

use delivery::work::Work;
use pgrx::Uuid;
use pgrx::datum::DatumWithOid;
use wire::event::Operation;

use super::types::to_timestamp;

/// Arguments for some deliveries. A body that several of them share is passed once.
pub struct DeliveryColumns {
    /// An array for each column, in the order of the tables, and the places of the bodies as the last one.
    pub arrays: Vec<DatumWithOid<'static>>,
    pub bodies: DatumWithOid<'static>,
}

impl DeliveryColumns {
    pub fn of(works: &[&Work]) -> Self {
        let (mut bodies, mut places) = (Vec::<&str>::new(), HashMap::new());
        let mut body_places = Vec::new();
        for work in works {
            let place = *places.entry(work.body.as_ptr()).or_insert_with(|| {
                bodies.push(&work.body);
                bodies.len() as i32
            });
            body_places.push(place);
        }
        let works = || works.iter();
        let arrays = vec![
            works().map(|work| Uuid::from_bytes(work.delivery.0)).collect::<Vec<_>>().into(),
            works().map(|work| work.subscription.0).collect::<Vec<_>>().into(),
            works().map(|work| work.event.id.0).collect::<Vec<_>>().into(),
            works().map(|work| work.event.random).collect::<Vec<_>>().into(),
            works().map(|work| Uuid::from_bytes(work.event.installation.0)).collect::<Vec<_>>().into(),
            works().map(|work| &*work.event_type).collect::<Vec<_>>().into(),
            works().map(|work| &*work.entity_type).collect::<Vec<_>>().into(),
            works().map(|work| work.entity_id.as_deref()).collect::<Vec<_>>().into(),
            works().map(|work| work.tenant_id.as_deref()).collect::<Vec<_>>().into(),
            works().map(|work| work.operation.map(Operation::as_str)).collect::<Vec<_>>().into(),
            works().map(|work| work.hops).collect::<Vec<_>>().into(),
            works().map(|work| to_timestamp(work.emitted_at)).collect::<Vec<_>>().into(),
            works().map(|work| work.preset.as_str()).collect::<Vec<_>>().into(),
            body_places.into(),
        ];
        Self { arrays, bodies: bodies.into() }
    }
}
