//! What a backend knows of event types and of the subscriptions that want them.
//!
//! Read once and kept until somebody changes something. Every change invalidates the cached relation `subscription`,
//! in the way that Postgres tells backends of DDL: transactional, in order with commits, and undone by a rollback. An
//! emit takes such messages in before it looks, and reads what the latest snapshot sees, never its own transaction's
//! older one: otherwise an event of a long transaction could miss a subscription that was there before it.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use foldhash::HashMap;
use pgrx::prelude::*;

use super::filter::{Filter, Subject};
use crate::backend::refuse::refuse;
use crate::event::{is_pattern, names};
use crate::store::{Row, Rows};

/// The place of `id` in `hydra.event`.
const ID_COLUMN: pg_sys::AttrNumber = 2;

const LOAD_TYPES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_event_types.sql"), "\0"));
const LOAD_CHOICES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_choices.sql"), "\0"));

const fn c_str(text: &str) -> &CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a statement has no NUL"),
    }
}

pub struct Known {
    pub tables: Tables,
    types: HashMap<String, Rc<EventType>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    pub event: pg_sys::Oid,
    /// The sequence of its ids.
    pub event_ids: pg_sys::Oid,
    subscription: pg_sys::Oid,
    owner: pg_sys::Oid,
}

pub struct EventType {
    pub name: String,
    pub entity_type: String,
    pub id_key: String,
    /// Active subscriptions that want it.
    targets: Targets,
}

#[derive(Default)]
struct Targets {
    /// For any tenant.
    all: Vec<Target>,
    /// For one tenant each.
    of_tenant: HashMap<String, Vec<Target>>,
}

struct Target {
    subscription: i64,
    filter: Option<Filter>,
}

thread_local! {
    static CACHE: RefCell<Option<Rc<Known>>> = const { RefCell::new(None) };
    static FRESH: Cell<bool> = const { Cell::new(false) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

impl Targets {
    fn add(&mut self, tenant: Option<&str>, target: Target) {
        match tenant {
            None => self.all.push(target),
            Some(tenant) => match self.of_tenant.get_mut(tenant) {
                Some(targets) => targets.push(target),
                None => drop(self.of_tenant.insert(tenant.to_owned(), vec![target])),
            },
        }
    }
}

impl EventType {
    /// Subscriptions of the tenant, and those of no tenant, as far as they want this entity; its text, where there is one.
    pub fn targets_for(&self, tenant: Option<&str>, entity: Option<&str>) -> Vec<i64> {
        let own = tenant.and_then(|tenant| self.targets.of_tenant.get(tenant));
        let subject = Subject::new(entity);
        let wanting = self.targets.all.iter().chain(own.into_iter().flatten());
        let wanting = wanting.filter(|target| target.filter.as_ref().is_none_or(|filter| filter.lets_pass(&subject)));
        let mut targets: Vec<i64> = wanting.map(|target| target.subscription).collect();
        targets.sort_unstable();
        // One that names the event type in two ways.
        targets.dedup();
        targets
    }

    pub fn is_wanted(&self) -> bool {
        !self.targets.all.is_empty() || !self.targets.of_tenant.is_empty()
    }
}

impl Known {
    pub fn event_type(&self, name: Option<&str>) -> Rc<EventType> {
        let Some(name) = name else {
            refuse(
                PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
                "event must not be null",
                "Every event has a type.",
                "SELECT name FROM hydra.webhook_event_types lists them.",
            );
        };
        self.types.get(name).cloned().unwrap_or_else(|| refuse_event_type(name))
    }

    /// Runs our own statement as the owner of our tables.
    pub fn as_owner<R>(&self, statement: impl FnOnce() -> R) -> R {
        as_role(self.tables.owner, statement)
    }
}

fn refuse_event_type(name: &str) -> ! {
    if name.starts_with("webhook.") {
        refuse(
            PgSqlErrorCode::ERRCODE_RESERVED_NAME,
            format!("event type \"{name}\" is reserved"),
            "Events named webhook.* are the extension's own and cannot be emitted.",
            "hydra.webhook_send_test makes a test request.",
        );
    }
    refuse(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("event type \"{name}\" is not registered"),
        "Only registered event types can be emitted.",
        &format!("SELECT hydra.webhook_register_event_type({}, 'when it fires');", pgrx::spi::quote_literal(name)),
    )
}

/// Whether nobody wants this event, which most emits of most event types need to know and no more: no table is touched
/// then, so none is locked.
pub fn nobody_wants(event: &str) -> bool {
    // SAFETY: takes in what other backends have changed.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    let unwanted = |known: &Rc<Known>| known.types.get(event).is_some_and(|event_type| !event_type.is_wanted());
    FRESH.get() && CACHE.with_borrow(|known| known.as_ref().is_some_and(unwanted))
}

/// What is known now.
pub fn current() -> Rc<Known> {
    if !REGISTERED.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the backend lives.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::null()) };
    }
    loop {
        let known = CACHE.with_borrow(Clone::clone);
        let event = known.as_ref().map_or_else(|| find_tables().event, |known| known.tables.event);
        // SAFETY: takes the lock that the insert will need; then takes in what other backends have changed.
        unsafe {
            pg_sys::LockRelationOid(event, pg_sys::RowExclusiveLock as i32);
            pg_sys::AcceptInvalidationMessages();
        }
        if let Some(known) = known
            && FRESH.get()
        {
            return known;
        }
        FRESH.set(true);
        CACHE.set(None);
        let loaded = Rc::new(load(find_tables()));
        CACHE.set(Some(loaded));
    }
}

/// Runs `body` as the owner of our tables.
pub fn as_owner<R>(body: impl FnOnce() -> R) -> R {
    as_role(find_tables().owner, body)
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation_change(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let concerned = |known: &Rc<Known>| relation == known.tables.subscription || relation == known.tables.event;
    // While it is being read nothing is cached yet: then every change may concern it.
    if relation == pg_sys::InvalidOid || CACHE.with_borrow(|known| known.as_ref().is_none_or(concerned)) {
        FRESH.set(false);
    }
}

fn find_tables() -> Tables {
    // SAFETY: looks names up in the catalog; the relation is closed again.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"hydra".as_ptr(), false);
        let event = pg_sys::get_relname_relid(c"event".as_ptr(), schema);
        let relation = pg_sys::RelationIdGetRelation(event);
        if relation.is_null() {
            error!("table hydra.event does not exist");
        }
        let owner = (*(*relation).rd_rel).relowner;
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let event_ids = pg_sys::getIdentitySequence(event, ID_COLUMN, false);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        let event_ids = pg_sys::getIdentitySequence(relation, ID_COLUMN, false);
        pg_sys::RelationClose(relation);
        let subscription = pg_sys::get_relname_relid(c"subscription".as_ptr(), schema);
        Tables { event, event_ids, subscription, owner }
    }
}

fn load(tables: Tables) -> Known {
    let types = as_role(tables.owner, || Spi::connect(|_client| load_types()));
    let shared = types.into_iter().map(|(name, event_type)| (name, Rc::new(event_type)));
    Known { tables, types: shared.collect() }
}

/// Runs inside SPI. Under the latest snapshot, which SPI takes over for statements that only read.
fn load_types() -> HashMap<String, EventType> {
    // SAFETY: the snapshot is popped again, and SPI keeps its results until it is disconnected.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let mut types = read(LOAD_TYPES).map(|row| (row.value(1), event_type(&row))).collect();
        read(LOAD_CHOICES).for_each(|row| take_in(&mut types, &row));
        pg_sys::PopActiveSnapshot();
        types
    }
}

/// # Safety
/// SPI must stay connected for as long as these rows are in use.
unsafe fn read<'conn>(sql: &CStr) -> Rows<'conn> {
    // SAFETY: a C string; inside SPI.
    unsafe {
        let status = pg_sys::SPI_execute(sql.as_ptr(), true, 0);
        assert_eq!(status, pg_sys::SPI_OK_SELECT as i32, "SPI reads");
        Rows::of_last_statement()
    }
}

fn event_type(row: &Row<'_>) -> EventType {
    EventType { name: row.value(1), entity_type: row.value(2), id_key: row.value(3), targets: Targets::default() }
}

fn take_in(types: &mut HashMap<String, EventType>, row: &Row<'_>) {
    let (subscription, tenant, filter) = (row.value(1), row.maybe_text(2), row.maybe_text(3));
    let target = || Target { subscription, filter: filter.map(Filter::parse) };
    for wanted in row.text(4).split(' ') {
        if is_pattern(wanted) {
            let named = types.values_mut().filter(|event_type| names(wanted, &event_type.name));
            named.for_each(|event_type| event_type.targets.add(tenant, target()));
        } else if let Some(event_type) = types.get_mut(wanted) {
            event_type.targets.add(tenant, target());
        }
    }
}

/// Runs `body` as `role`. An error needs no care: aborting the (sub)transaction brings the caller's identity back.
fn as_role<R>(role: pg_sys::Oid, body: impl FnOnce() -> R) -> R {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the identity of this backend, put back as it was.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(role, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
        let result = body();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}
