//! Keeps event types, and the subscriptions that want their events, in the memory of a session.
//!
//! They are read once and kept until there are changes, see [`changes`]. An emit first receives pending invalidation
//! messages. Reading uses the latest snapshot, never the older one of the transaction: otherwise an event of a long
//! transaction could miss a subscription that was created before the event was emitted.

use std::cell::RefCell;
use std::ffi::CStr;
use std::rc::Rc;

use foldhash::HashMap;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use super::as_made::is_as_made;
use super::wanted::{EventType, StoredChoice};
use crate::backend::refuse::refuse;
use crate::changes;
use crate::store::{Row, Rows, columns};
use crate::tables::Tables;

const LOAD_EVENT_TYPES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_event_types.sql"), "\0"));
const LOAD_CHOICES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_choices.sql"), "\0"));

const fn c_str(text: &str) -> &CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a statement has no NUL"),
    }
}

/// The maximum length of the name of an event type, as `hydra._is_event_type_name` checks it.
const MAX_NAME_BYTES: usize = 100;

/// The event types that can be emitted, and where events are stored.
pub struct EventTypes {
    pub tables: Tables,
    /// Whether `hydra.event` is as the extension made it. An invalidation of that relation empties the cache.
    pub event_is_as_made: bool,
    by_name: HashMap<String, Rc<EventType>>,
}

columns!(EventTypeColumns { event_type, entity_type, id_key });
columns!(ChoiceColumns { subscription_id, tenant_id, filter, event_types });

thread_local! {
    static CACHE: RefCell<Option<Rc<EventTypes>>> = const { RefCell::new(None) };
}

impl EventTypes {
    /// Returns the event type of this name; fails if there is none that can be emitted.
    pub fn get(&self, name: Option<&str>) -> Rc<EventType> {
        let Some(name) = name else {
            refuse(
                PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
                "event must not be null",
                "Every event has a type.",
                "SELECT name FROM hydra.webhook_event_types lists them.",
            );
        };
        self.by_name.get(name).cloned().unwrap_or_else(|| refuse_event_type(name))
    }
}

fn refuse_event_type(name: &str) -> ! {
    if name.len() > MAX_NAME_BYTES {
        let length = name.len();
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "event type is not registered",
            &format!("The name has {length} bytes; the name of an event type has at most {MAX_NAME_BYTES}."),
            "SELECT name FROM hydra.webhook_event_types lists the event types.",
        );
    }
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
        &format!("SELECT hydra.webhook_register_event_type({}, '<description>');", pgrx::spi::quote_literal(name)),
    )
}

/// Returns true if it is known, without reading any table, that no subscription wants this event. This is the usual
/// case: then the emit ends without touching or locking a table.
pub fn nobody_wants(event: &str) -> bool {
    // SAFETY: receives what other sessions have changed.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    let unwanted = |cached: &Rc<EventTypes>| cached.by_name.get(event).is_some_and(|known| !known.is_wanted());
    !changes::are_noted() && CACHE.with_borrow(|cached| cached.as_ref().is_some_and(unwanted))
}

/// Returns the event types as they are now. Locks `hydra.event` as an insert does.
pub fn event_types() -> Rc<EventTypes> {
    changes::listen();
    loop {
        let cached = CACHE.with_borrow(Clone::clone);
        let event = cached.as_ref().map_or_else(|| Tables::find().event, |cached| cached.tables.event);
        // SAFETY: takes the lock that the insert will need; then receives what other sessions have changed.
        unsafe {
            pg_sys::LockRelationOid(event, pg_sys::RowExclusiveLock as i32);
            pg_sys::AcceptInvalidationMessages();
        }
        if let Some(cached) = cached
            && !changes::are_noted()
        {
            return cached;
        }
        changes::take();
        CACHE.set(None);
        // Which relations to listen to is known only after loading. Until then, a change of any relation counts.
        changes::listen_to(&[]);
        let loaded = load(Tables::find());
        changes::listen_to(&[loaded.tables.subscription, loaded.tables.event]);
        CACHE.set(Some(Rc::new(loaded)));
    }
}

fn load(tables: Tables) -> EventTypes {
    let event_types = tables.as_owner(|| Spi::connect(|_client| read_event_types()));
    let shared = event_types.into_iter().map(|(name, event_type)| (name, Rc::new(event_type)));
    EventTypes { tables, event_is_as_made: is_as_made(tables.event), by_name: shared.collect() }
}

/// Reads the event types and the subscriptions. To be called inside SPI. Uses the latest snapshot: statements that only
/// read take the active snapshot.
fn read_event_types() -> HashMap<String, EventType> {
    // SAFETY: the snapshot is popped again, and SPI keeps its results until it is disconnected.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let rows = read(LOAD_EVENT_TYPES);
        let columns = EventTypeColumns::of(&rows);
        let mut event_types = rows.map(|row| (row.value(columns.event_type), event_type(&row, &columns))).collect();
        let rows = read(LOAD_CHOICES);
        let columns = ChoiceColumns::of(&rows);
        rows.for_each(|row| choice(&row, &columns).add_to(&mut event_types));
        pg_sys::PopActiveSnapshot();
        event_types
    }
}

/// Runs a statement that only reads.
///
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

fn event_type(row: &Row<'_>, columns: &EventTypeColumns) -> EventType {
    EventType::new(row.value(columns.event_type), row.value(columns.entity_type), row.value(columns.id_key))
}

fn choice<'row>(row: &Row<'row>, columns: &ChoiceColumns) -> StoredChoice<'row> {
    StoredChoice {
        subscription: SubscriptionId(row.value(columns.subscription_id)),
        tenant: row.maybe_text(columns.tenant_id),
        filter: row.maybe(columns.filter).map(Rc::new),
        event_types: row.text(columns.event_types),
    }
}
