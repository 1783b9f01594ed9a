//! Counts the events of a watch that were kept, or sent without their entity, for the view `hydra.webhook_watches`.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::entity::Problem;
use super::watch::misfit::Misfit;
use crate::slots::watch_errors::{self, WatchErrors};
use crate::store;

/// What failed while the events of one call of a trigger were made.
#[derive(Default)]
pub struct Failed {
    count: usize,
    /// The message and the code of the latest.
    latest: Option<(String, String)>,
}

impl Failed {
    /// Notes an entity that cannot be sent.
    pub fn note(&mut self, problem: &Problem) {
        let code = format!("the entity {problem}");
        let message = match problem {
            Problem::TooLarge { .. } => code.clone(),
            Problem::NotRendered(failure) => format!("{code}: {}", failure.message),
        };
        self.add(message, code);
    }

    /// Notes an event that is kept.
    pub fn note_kept(&mut self, misfit: &Misfit) {
        let code = format!("the {} cannot be evaluated (SQLSTATE {})", misfit.part, misfit.failure.sqlstate());
        self.add(format!("{code}: {}", misfit.failure.message), code);
    }

    fn add(&mut self, message: String, code: String) {
        self.count += 1;
        self.latest = Some((message, code));
    }

    /// Counts them for the trigger.
    pub fn count_for(self, trigger: pg_sys::Oid, table: pg_sys::Oid) {
        if let Some((message, code)) = self.latest {
            watch_errors::count(trigger, table, self.count, &message, &code);
        }
    }
}

/// Returns the errors of the watch that is these triggers. A message may contain values of a row. Only those see it who may
/// see kept events, or may create triggers on the table.
#[pg_extern(volatile, strict)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _watch_errors(
    triggers: Vec<Option<pg_sys::Oid>>,
) -> TableIterator<
    'static,
    (
        name!(errors, Option<i64>),
        name!(last_error, Option<String>),
        name!(last_error_at, Option<TimestampWithTimeZone>),
    ),
> {
    let triggers: Vec<pg_sys::Oid> = triggers.into_iter().flatten().collect();
    let known = watch_errors::of(&triggers);
    let count = known.as_ref().map(|known| known.iter().map(|errors| errors.count).sum());
    let latest = known.and_then(|known| known.into_iter().max_by_key(WatchErrors::at));
    TableIterator::once((
        count,
        latest.map(|errors| if may_see(errors.table()) { errors.message() } else { errors.code() }),
        latest.map(|errors| store::to_timestamp(errors.at())),
    ))
}

/// Whether the user may see values of rows of this table.
fn may_see(table: pg_sys::Oid) -> bool {
    let allows = |relation: pg_sys::Oid, right: u32| {
        // SAFETY: looks a right up in a catalog.
        let result = unsafe { pg_sys::pg_class_aclcheck(relation, pg_sys::GetUserId(), right as pg_sys::AclMode) };
        result == pg_sys::AclResult::ACLCHECK_OK
    };
    // SAFETY: looks names up in a catalog.
    let kept = unsafe {
        pg_sys::get_relname_relid(c"webhook_kept".as_ptr(), pg_sys::get_namespace_oid(c"hydra".as_ptr(), false))
    };
    allows(kept, pg_sys::ACL_SELECT) || exists(table) && allows(table, pg_sys::ACL_TRIGGER)
}

fn exists(table: pg_sys::Oid) -> bool {
    // SAFETY: looks an OID up in a catalog.
    unsafe { pg_sys::get_rel_relkind(table) != 0 }
}
