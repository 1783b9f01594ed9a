//! Decides whether a subscription wants an entity, by the JSON path that is its filter.
//!
//! An entity passes if the first value that the path returns for it is not `false` or `null`. This works for both kinds
//! of path: a comparison, which returns true or false, and a path that selects parts of the entity. This is the only
//! place where the rule is written down: SQL calls `hydra._filter_passes`.
//!
//! A path runs as the user who emits, on what will be sent. If the path fails, or there is no entity because it is too
//! large to be sent, the event passes: the receiver can ignore an event that it did not want, but an event that is not
//! sent is lost.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::time::{Duration, Instant};

use pgrx::FromDatum;
use pgrx::prelude::*;

use super::entity::RawJsonb;
use crate::backend::subtransaction::{Failure, in_subtransaction};
use crate::backend::time_limit;

/// A `jsonpath`, aligned as Postgres expects it.
pub struct Filter(Vec<u64>);

/// An entity to which filters are applied. Its text is parsed when the first filter needs it.
pub struct Subject<'a> {
    text: Option<&'a str>,
    value: OnceCell<Option<pg_sys::Datum>>,
}

impl<'a> Subject<'a> {
    /// Makes a subject from the text of an entity; `None` if there is no entity.
    pub fn from_text(text: Option<&'a str>) -> Self {
        Self { text, value: OnceCell::new() }
    }

    fn from_jsonb(entity: &RawJsonb) -> Self {
        Self { text: None, value: OnceCell::from(Some(entity.datum())) }
    }

    /// Returns the entity as `jsonb`. Returns `None` also for text that is JSON but cannot be `jsonb`, such as
    /// `\u0000`.
    fn value(&self) -> Option<pg_sys::Datum> {
        *self.value.get_or_init(|| {
            let text = CString::new(self.text?).ok()?;
            // SAFETY: the function takes a C string.
            let parse =
                || unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text.as_ptr().into())]) };
            in_subtransaction(parse).ok().flatten()
        })
    }
}

impl Filter {
    /// Parses the text of a stored path.
    pub fn parse(path: &str) -> Self {
        let path = CString::new(path).expect("text has no NUL");
        // SAFETY: the function takes a C string; its result is copied to the length that it states.
        unsafe {
            let parsed = pgrx::direct_function_call_as_datum(pg_sys::jsonpath_in, &[Some(path.as_ptr().into())]);
            let parsed = parsed.expect("a path is not null").cast_mut_ptr::<pg_sys::varlena>();
            let bytes = pgrx::varsize_any(parsed);
            let mut words = vec![0; bytes.div_ceil(size_of::<u64>())];
            std::ptr::copy_nonoverlapping(parsed.cast::<u8>(), words.as_mut_ptr().cast(), bytes);
            pg_sys::pfree(parsed.cast());
            Self(words)
        }
    }

    /// Returns whether the entity passes.
    pub fn passes(&self, subject: &Subject<'_>) -> bool {
        self.verdict(subject).unwrap_or(true)
    }

    /// Returns whether the entity passes, or why the path failed.
    fn verdict(&self, subject: &Subject<'_>) -> Result<bool, Failure> {
        subject.value().map_or(Ok(true), |entity| in_subtransaction(|| self.finds(entity)))
    }

    fn finds(&self, entity: pg_sys::Datum) -> bool {
        // SAFETY: the function takes a jsonb, a jsonpath, a jsonb with variables, and whether to suppress errors where
        // the path does not fit the entity; its result is a jsonb.
        unsafe {
            let no_variables = pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(c"{}".as_ptr().into())]);
            let path = Some(pg_sys::Datum::from(self.0.as_ptr()));
            let arguments = [Some(entity), path, no_variables, Some(true.into())];
            let found = pgrx::direct_function_call_as_datum(pg_sys::jsonb_path_query_first_tz, &arguments);
            let found = found.and_then(|found| RawJsonb::from_polymorphic_datum(found, false, pg_sys::JSONBOID));
            found.is_some_and(|found| !matches!(found.short_text().as_deref(), Some("false" | "null")))
        }
    }
}

/// Returns whether an entity passes the filter of a subscription. If the filter is null, every entity passes.
#[pg_extern(stable, cost = 1000)]
fn _filter_passes(filter: Option<&str>, entity: Option<RawJsonb>) -> bool {
    let Some(filter) = filter.map(Filter::parse) else { return true };
    let subject = entity.as_ref().map_or_else(|| Subject::from_text(Some("null")), Subject::from_jsonb);
    filter.passes(&subject)
}

/// A filter that failed is not tried again for this long, so that it costs little time and few messages.
const SPARED: Duration = Duration::from_secs(600);

thread_local! {
    /// Filters that have failed on events of the extension: their texts and when they failed, by subscription.
    static FAILED: RefCell<HashMap<i64, (String, Instant)>> = RefCell::default();
}

/// Returns whether an event of the extension itself passes the filter of a subscription. The caller may limit the time
/// that this takes. If the filter fails or takes too long, the event passes, and the reason is logged.
#[pg_extern(stable, cost = 1000)]
fn _own_event_passes(subscription: i64, filter: Option<&str>, entity: RawJsonb) -> bool {
    let Some(text) = filter else { return true };
    let is_spared = |(failed, at): &(String, Instant)| failed == text && at.elapsed() < SPARED;
    if FAILED.with_borrow(|failed| failed.get(&subscription).is_some_and(is_spared)) {
        return true;
    }
    let verdict = time_limit::limited(|| {
        let filter = in_subtransaction(|| Filter::parse(text))?;
        filter.verdict(&Subject::from_jsonb(&entity))
    });
    verdict.unwrap_or_else(|failure| {
        FAILED.with_borrow_mut(|failed| failed.insert(subscription, (text.to_owned(), Instant::now())));
        ereport!(
            PgLogLevel::WARNING,
            failure.code,
            format!("the filter of subscription {subscription} failed or took too long; it gets the event"),
            "The subscription gets all events of its types named webhook.* for ten minutes. Change its filter with hydra.webhook_update()."
        );
        true
    })
}
