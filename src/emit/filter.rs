//! Decides whether a subscription wants an entity, by the JSON path that is its filter.
//!
//! An entity passes if the first value that the path returns for it is not `false` or `null`. This works for both kinds
//! of path: a comparison, which returns true or false, and a path that selects parts of the entity. This is the only
//! place where the rule is written down: SQL calls `hydra._filter_passes`.
//!
//! A path runs as the user who emits, on what will be sent, and with fixed settings, as the time zone can decide what it
//! finds. If the path fails or does not end, or there is no entity because it is too large to be sent, the event passes:
//! the receiver can ignore an event that it did not want, but an event that is not sent is lost.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};
use wire::ids::SubscriptionId;

use super::entity::RawJsonb;
use super::spending::Spending;
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::subtransaction::{Failure, in_subtransaction};
use crate::backend::time_limit;

/// A `jsonpath` as Postgres stores it, aligned as Postgres expects it. It is never printed and read again: Postgres
/// leaves out parentheses when it prints some paths.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter(Vec<u64>);

/// An entity to which filters are applied. Its text is parsed when the first filter needs it.
pub struct Subject<'a> {
    text: Option<&'a str>,
    value: OnceCell<Option<pg_sys::Datum>>,
    spending: Spending,
}

impl<'a> Subject<'a> {
    /// Makes a subject from the text of an entity; `None` if there is no entity.
    pub fn from_text(text: Option<&'a str>) -> Self {
        Self { text, value: OnceCell::new(), spending: Spending::new(LIMIT_OF_ALL) }
    }

    fn from_jsonb(entity: &RawJsonb) -> Self {
        Self { text: None, value: OnceCell::from(Some(entity.datum())), spending: Spending::new(LIMIT_OF_ALL) }
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
    /// Returns whether an event passes the filter of a subscription. If the filter takes too long, the event passes, and
    /// so do further events of this session for some time.
    pub fn passes_for(&self, subscription: SubscriptionId, subject: &Subject<'_>) -> bool {
        if self.is_spared(subscription) || subject.spending.is_over() {
            return true;
        }
        let verdict = subject.spending.measured(subscription, self, || self.verdict(LIMIT, subject));
        verdict.unwrap_or_else(|failure| {
            if failure.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED {
                self.spare_after(subscription, &failure, "this session sends it all events of its event types");
            }
            true
        })
    }

    /// Returns whether an entity, given as text, passes, or why the path failed. An entity that cannot be `jsonb` passes.
    pub fn judges(&self, entity: &str) -> Result<bool, Failure> {
        self.verdict(LIMIT, &Subject::from_text(Some(entity)))
    }

    /// Returns whether the entity passes, or why the path failed.
    fn verdict(&self, limit: Duration, subject: &Subject<'_>) -> Result<bool, Failure> {
        let Some(entity) = subject.value() else { return Ok(true) };
        let finds = || in_subtransaction(|| self.finds(entity));
        // A path that does not end takes more and more memory. So the memory is freed at once.
        let mut memory = PgMemoryContexts::new("hydra_webhooks filter");
        // SAFETY: nothing that is allocated in the context is used after it.
        with_fixed_settings(|| unsafe { memory.switch_to(|_| time_limit::limited(limit, finds)) })
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
fn _filter_passes(filter: Option<Filter>, entity: Option<RawJsonb>) -> bool {
    let Some(filter) = filter else { return true };
    let subject = entity.as_ref().map_or_else(|| Subject::from_text(Some("null")), Subject::from_jsonb);
    filter.verdict(LIMIT, &subject).unwrap_or(true)
}

/// The same for an entity as text, which need not be one that `jsonb` can hold. Without an entity, the event passes.
#[pg_extern(stable, cost = 1000)]
fn _filter_passes_text(filter: Option<Filter>, entity: Option<&str>) -> bool {
    let Some(filter) = filter else { return true };
    filter.verdict(LIMIT, &Subject::from_text(entity)).unwrap_or(true)
}

/// How long a filter may take for one event. It usually takes some microseconds, and some milliseconds for a large
/// entity.
const LIMIT: Duration = Duration::from_secs(1);

/// How long the filters of all subscriptions may take for one event.
const LIMIT_OF_ALL: Duration = Duration::from_secs(2);

/// How long a filter, and all filters in one transaction, may take for events of the extension, for which the dispatcher waits.
const LIMIT_OF_OWN_EVENTS: Duration = Duration::from_millis(100);

/// A filter that failed is not tried again for this long, so that it costs little time and few messages.
const SPARED: Duration = Duration::from_secs(600);

thread_local! {
    /// Filters that took too long, or failed on events of the extension: the paths and when they failed, by subscription.
    static FAILED: RefCell<HashMap<SubscriptionId, (Filter, Instant)>> = RefCell::default();
    /// When the transaction began in which events of the extension were last emitted, and what their filters have taken.
    static OF_OWN_EVENTS: RefCell<(pg_sys::TimestampTz, Rc<Spending>)> = RefCell::new((0, Rc::new(Spending::new(LIMIT_OF_OWN_EVENTS))));
}

fn spending_of_own_events() -> Rc<Spending> {
    // SAFETY: reads a variable of this process.
    let began = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() };
    OF_OWN_EVENTS.with_borrow_mut(|(at, spending)| {
        if *at != began {
            *at = began;
            *spending = Rc::new(Spending::new(LIMIT_OF_OWN_EVENTS));
        }
        spending.clone()
    })
}

impl Filter {
    fn is_spared(&self, subscription: SubscriptionId) -> bool {
        let is_spared = |(failed, at): &(Filter, Instant)| failed == self && at.elapsed() < SPARED;
        FAILED.with_borrow(|failed| failed.get(&subscription).is_some_and(is_spared))
    }

    /// Does not try the filter again for some time.
    pub fn spare(&self, subscription: SubscriptionId) {
        FAILED.with_borrow_mut(|failed| failed.insert(subscription, (self.clone(), Instant::now())));
    }

    /// The same after a failure. Reports what happens meanwhile.
    fn spare_after(&self, subscription: SubscriptionId, failure: &Failure, meanwhile: &str) {
        self.spare(subscription);
        ereport!(
            PgLogLevel::WARNING,
            failure.code,
            format!("the filter of subscription {subscription} failed or took too long; it gets the event"),
            format!("For ten minutes {meanwhile}. Change its filter with hydra.webhook_update().")
        );
    }
}

/// Returns whether an event of the extension itself passes the filter of a subscription. If the filter fails or takes
/// too long, the event passes, and the reason is logged.
#[pg_extern(stable, cost = 1000)]
fn _own_event_passes(subscription: i64, filter: Option<Filter>, entity: RawJsonb) -> bool {
    let (subscription, Some(filter)) = (SubscriptionId(subscription), filter) else { return true };
    let spending = spending_of_own_events();
    if filter.is_spared(subscription) || spending.is_over() {
        return true;
    }
    let verdict = || filter.verdict(LIMIT_OF_OWN_EVENTS, &Subject::from_jsonb(&entity));
    spending.measured(subscription, &filter, verdict).unwrap_or_else(|failure| {
        filter.spare_after(subscription, &failure, "it gets all events of its types named webhook.*");
        true
    })
}

impl FromDatum for Filter {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a jsonpath that is not null, copied to the length that it states.
        (!is_null).then(|| unsafe {
            let path = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
            let bytes = pgrx::varsize_any(path);
            let mut words = vec![0; bytes.div_ceil(size_of::<u64>())];
            std::ptr::copy_nonoverlapping(path.cast::<u8>(), words.as_mut_ptr().cast(), bytes);
            Self(words)
        })
    }
}

impl IntoDatum for Filter {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: room for as many bytes as are copied.
        unsafe {
            let bytes = size_of_val(self.0.as_slice());
            let path = pg_sys::palloc(bytes);
            std::ptr::copy_nonoverlapping(self.0.as_ptr().cast::<u8>(), path.cast(), bytes);
            Some(path.into())
        }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONPATHOID
    }
}

// SAFETY: takes the argument through FromDatum, as the types of pgrx do.
unsafe impl<'fcx> ArgAbi<'fcx> for Filter {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller says that the argument is of this type.
        unsafe { arg.unbox_arg_using_from_datum().expect("an argument that is not null") }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: the caller says that the argument is of this type.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: its SQL type is jsonpath, and no function returns it.
unsafe impl SqlTranslatable for Filter {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Filter);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonpath"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("jsonpath")));
}
