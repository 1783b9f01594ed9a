//! Keeps deliveries that have succeeded.

use delivery::work::Work;
use delivery::writes::Delivered;
use pgrx::spi::SpiClient;

use super::delivery_columns::DeliveryColumns;
use super::statement::Statement;
use super::types::to_timestamp;

pub struct KeptDeliveries {
    insert: Statement,
}

impl Default for KeptDeliveries {
    fn default() -> Self {
        Self { insert: Statement::new(include_str!("../../sql/queries/insert_delivered.sql")) }
    }
}

impl KeptDeliveries {
    pub fn insert(&self, client: &mut SpiClient<'_>, delivered: &[Delivered]) {
        if delivered.is_empty() {
            return;
        }
        let works: Vec<&Work> = delivered.iter().map(|kept| &*kept.work).collect();
        let DeliveryColumns { arrays: mut args, bodies } = DeliveryColumns::of(&works);
        let rows = || delivered.iter();
        args.extend([
            bodies,
            rows().map(|kept| kept.attempts() as i32).collect::<Vec<_>>().into(),
            rows().map(|kept| i32::from(kept.status)).collect::<Vec<_>>().into(),
            rows().map(|kept| kept.excerpt.as_str()).collect::<Vec<_>>().into(),
            rows().map(|kept| kept.response_ms).collect::<Vec<_>>().into(),
            rows().map(|kept| to_timestamp(kept.at)).collect::<Vec<_>>().into(),
            rows().map(|kept| to_timestamp(kept.kept_until)).collect::<Vec<_>>().into(),
        ]);
        self.insert.write(client, &args);
    }
}
