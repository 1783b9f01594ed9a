//! Removes what is older than it is kept for.

use std::time::SystemTime;

use pgrx::Spi;
use pgrx::spi::SpiClient;

use super::force_new_plans;
use super::row::columns;
use super::statement::Statement;
use super::types::to_timestamp;

/// The maximum number of old rows of a table that are removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 5000;

columns!(FoundColumns { found });

pub struct Retention {
    forget_attempts: Statement,
    forget_failed: Statement,
    forget_missed: Statement,
    forget_kept: Statement,
    forget_former_subscriptions: Statement,
    forget_counts: Statement,
    forget_attempt_counts: Statement,
    forget_delivered: Statement,
    find_ended_secrets: Statement,
    forget_secrets: Statement,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            forget_attempts: Statement::new(include_str!("../../sql/queries/forget_attempts.sql")),
            forget_failed: Statement::new(include_str!("../../sql/queries/forget_failed.sql")),
            forget_missed: Statement::new(include_str!("../../sql/queries/forget_missed.sql")),
            forget_kept: Statement::new(include_str!("../../sql/queries/forget_kept.sql")),
            forget_former_subscriptions: Statement::new(include_str!(
                "../../sql/queries/forget_former_subscriptions.sql"
            )),
            forget_counts: Statement::new(include_str!("../../sql/queries/forget_counts.sql")),
            forget_attempt_counts: Statement::new(include_str!("../../sql/queries/forget_attempt_counts.sql")),
            forget_delivered: Statement::new(include_str!("../../sql/queries/forget_delivered.sql")),
            find_ended_secrets: Statement::new(include_str!("../../sql/queries/find_ended_secrets.sql")),
            forget_secrets: Statement::new(include_str!("../../sql/queries/forget_secrets.sql")),
        }
    }
}

impl Retention {
    /// Removes some history, failed and missed deliveries, counts and names of deleted subscriptions that are older than
    /// `before`, deliveries that were kept until now, and the secrets that no longer sign. Returns whether there may be more.
    pub fn forget(&self, before: SystemTime) -> bool {
        force_new_plans();
        Spi::connect_mut(|client| {
            let mut forget = |statement: &Statement| {
                statement.write(client, &[to_timestamp(before).into(), FORGOTTEN_AT_ONCE.into()]).count() > 0
            };
            // Run all statements, even if the first removed something.
            let more = forget(&self.forget_attempts)
                | forget(&self.forget_failed)
                | forget(&self.forget_missed)
                | forget(&self.forget_kept)
                | forget(&self.forget_former_subscriptions)
                | forget(&self.forget_counts)
                | forget(&self.forget_attempt_counts);
            let more = more | (self.forget_delivered.write(client, &[FORGOTTEN_AT_ONCE.into()]).count() > 0);
            self.forget_secrets(client);
            more
        })
    }

    /// Usually there is nothing to delete, which a query finds out at less cost.
    fn forget_secrets(&self, client: &mut SpiClient<'_>) {
        let mut rows = self.find_ended_secrets.read(client, &[]);
        let columns = FoundColumns::of(&rows);
        if rows.next().is_some_and(|row| row.value(columns.found)) {
            self.forget_secrets.write(client, &[]);
        }
    }
}
