//! Removes inbound events, runs of flows and messages of mail that are older than `hydra_webhooks.inbound_retention`.

use std::thread::LocalKey;
use std::time::SystemTime;

use pgrx::prelude::*;

use super::own_transaction;
use crate::backend::complaints::Complaints;
use crate::store::{Statement, columns, to_timestamp};
use crate::{settings, tables};

/// The maximum number of rows of a table that are removed in one transaction. A message of mail can be large.
const AT_ONCE: i64 = 2000;
const MESSAGES_AT_ONCE: i64 = 100;

columns!(RemovedColumns { removed });

/// What became of the removal of old rows.
#[derive(Default)]
pub struct Forgotten {
    /// Whether there may be more.
    pub more: bool,
    pub has_failed: bool,
}

/// Removes some old rows. An error is logged, and keeps only rows of its kind.
pub fn forget(complaints: &mut Complaints) -> Forgotten {
    thread_local! {
        static EVENTS: Statement = const { Statement::new(include_str!("../../sql/queries/forget_inbound_events.sql")) };
        static RUNS: Statement = const { Statement::new(include_str!("../../sql/queries/forget_flow_runs.sql")) };
        static MAIL: Statement = const { Statement::new(include_str!("../../sql/queries/forget_mail.sql")) };
    }
    let before = SystemTime::now().checked_sub(settings::inbound_retention()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut forgotten = Forgotten::default();
    let mut forget = |step, statement: &'static LocalKey<Statement>, at_once: i64| {
        let args = [to_timestamp(before).into(), at_once.into()];
        let removed = own_transaction(step, || {
            tables::as_owner(|| {
                Spi::connect_mut(|client| statement.with(|statement| count(statement.write(client, &args))))
            })
        });
        match removed {
            Ok(removed) => forgotten.more |= removed == at_once,
            Err(failure) => {
                complaints.warn(&failure);
                forgotten.has_failed = true;
            }
        }
    };
    forget(c"remove old inbound events", &EVENTS, AT_ONCE);
    forget(c"remove old runs of flows", &RUNS, AT_ONCE);
    forget(c"remove old mail", &MAIL, MESSAGES_AT_ONCE);
    forgotten
}

fn count(mut rows: crate::store::Rows<'_>) -> i64 {
    let columns = RemovedColumns::of(&rows);
    rows.next().map_or(0, |row| row.value(columns.removed))
}
