//! Removes what is older than it is kept for.

use std::ffi::CStr;
use std::time::SystemTime;

use pgrx::Spi;
use pgrx::datum::DatumWithOid;

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
    /// Removes some of the rows that are older than `before`, of deliveries that were kept until now, and of secrets that no longer
    /// sign. Each kind is removed by a function, which is passed to `run` with what it is called in messages, and which returns whether
    /// it has removed something: an error of one kind does not keep the others.
    pub fn forget(&self, before: SystemTime, mut run: impl FnMut(&'static CStr, &dyn Fn() -> bool)) {
        let older =
            |statement: &Statement| removes(statement, &[to_timestamp(before).into(), FORGOTTEN_AT_ONCE.into()]);
        run(c"remove old history", &|| older(&self.forget_attempts));
        run(c"remove old failed deliveries", &|| older(&self.forget_failed));
        run(c"remove old missed events", &|| older(&self.forget_missed));
        run(c"remove old kept events", &|| older(&self.forget_kept));
        run(c"remove names of deleted subscriptions", &|| older(&self.forget_former_subscriptions));
        run(c"remove old counts of deliveries", &|| older(&self.forget_counts));
        run(c"remove old counts of attempts", &|| older(&self.forget_attempt_counts));
        run(c"remove kept deliveries", &|| removes(&self.forget_delivered, &[FORGOTTEN_AT_ONCE.into()]));
        run(c"remove ended signing secrets", &|| self.forget_secrets());
    }

    /// Usually there is nothing to delete, which a query finds out at less cost. All are deleted at once.
    fn forget_secrets(&self) -> bool {
        Spi::connect_mut(|client| {
            let mut rows = self.find_ended_secrets.read(client, &[]);
            let columns = FoundColumns::of(&rows);
            if rows.next().is_some_and(|row| row.value(columns.found)) {
                self.forget_secrets.write(client, &[]);
            }
            false
        })
    }
}

/// Runs a statement that deletes rows, and returns whether there were any.
fn removes(statement: &Statement, arguments: &[DatumWithOid<'_>]) -> bool {
    force_new_plans();
    Spi::connect_mut(|client| statement.write(client, arguments).count() > 0)
}
