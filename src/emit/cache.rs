//! Keeps event types, and the subscriptions that want their events, in the memory of a session.
//!
//! They are read once. An emit first receives what has changed, see [`changes`], and reads only that again. Reading uses
//! the latest snapshot, never the older one of the transaction: otherwise an event of a long transaction could miss a
//! subscription that was created before the event was emitted. What changes during the read was not there when the emit
//! began; the next emit reads it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::IntoDatum;
use pgrx::prelude::*;
use pgrx::spi::quote_literal;
use wire::event_type::nearest;
use wire::ids::{Installation, SubscriptionId};

use super::as_made::is_as_made;
use super::wanted::{Catalogue, Choice, EventType};
use crate::backend::refuse::refuse;
use crate::backend::setting;
use crate::changes::{self, Changes};
use crate::identity::Identity;
use crate::store::{Row, Rows, columns};
use crate::tables::{Tables, lock_to_read};

const LOAD_EVENT_TYPES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_event_types.sql"), "\0"));
const LOAD_IDENTITY: &CStr = c_str(concat!(include_str!("../../sql/queries/load_identity.sql"), "\0"));
const LOAD_CHOICES: &CStr = c_str(concat!(include_str!("../../sql/queries/load_choices.sql"), "\0"));

const LOAD_TRIGGERS: &CStr = c_str(concat!(include_str!("../../sql/queries/load_triggers.sql"), "\0"));

/// Reads the choices of the subscriptions `$1`.
const LOAD_SOME_CHOICES: &CStr =
    c_str(concat!(include_str!("../../sql/queries/load_choices.sql"), " AND s.id OPERATOR(pg_catalog.=) ANY ($1)\0"));

const fn c_str(text: &str) -> &CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a statement has no NUL"),
    }
}

/// The maximum length of the name of an event type, as `hydra._is_event_type_name` checks it.
const MAX_NAME_BYTES: usize = 100;

/// What the names of the event types of the extension begin with.
const RESERVED: &str = "webhook.";

const LIST: &str = "SELECT name FROM hydra.webhook_event_types lists the event types.";

/// The event types that can be emitted, and where events are stored.
#[derive(Clone)]
pub struct EventTypes {
    pub tables: Tables,
    /// Whether `hydra.event` is as the extension made it. It is looked at again when its definition may have changed.
    pub event_is_as_made: bool,
    /// The installation that this database is.
    pub installation: Installation,
    /// The triggers that announce changes. If they are others now, there may be changes that were not announced.
    triggers: String,
    catalogue: Catalogue,
}

columns!(EventTypeColumns { event_type, entity_type, id_key });
columns!(ChoiceColumns { subscription_id, misses, tenant_id, filter, event_types });

thread_local! {
    static CACHE: RefCell<Option<Rc<EventTypes>>> = const { RefCell::new(None) };
    /// The plan of [`LOAD_SOME_CHOICES`]. Null until it is needed.
    static SOME_CHOICES: Cell<pg_sys::SPIPlanPtr> = const { Cell::new(std::ptr::null_mut()) };
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
        self.catalogue.get(name).cloned().unwrap_or_else(|| refuse_event_type(name, self.catalogue.names()))
    }

    /// Returns the event type of this name, if it can be emitted.
    pub fn find(&self, name: &str) -> Option<&EventType> {
        self.catalogue.get(name).map(|known| &**known)
    }
}

fn refuse_event_type<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ! {
    if name.len() > MAX_NAME_BYTES {
        let length = name.len();
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "event type is not registered",
            &format!("The name has {length} bytes; the name of an event type has at most {MAX_NAME_BYTES}."),
            LIST,
        );
    }
    if name.starts_with(RESERVED) {
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
        &correction(name, known),
    )
}

/// Returns what to do about an event type that is not registered.
fn correction<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let register = can_be_registered(name)
        .then(|| format!("SELECT hydra.webhook_register_event_type({}, '<description>');", quote_literal(name)));
    match (nearest(name, known), register) {
        (Some(meant), Some(register)) => format!("Did you mean \"{meant}\"? Otherwise: {register}"),
        (Some(meant), None) => format!("Did you mean \"{meant}\"?"),
        (None, Some(register)) => register,
        (None, None) => LIST.into(),
    }
}

/// Whether an event type can have this name, as `hydra._is_event_type_name` checks it, and an application can register it.
fn can_be_registered(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    name.len() <= MAX_NAME_BYTES && name.contains('.') && name.split('.').all(is_part) && !name.starts_with(RESERVED)
}

/// Returns what to do about an event type that is not registered, if these are.
#[pg_extern(immutable, strict, parallel_safe)]
fn _event_type_correction(name: &str, known: Vec<Option<String>>) -> String {
    correction(name, known.iter().flatten().map(String::as_str))
}

/// Returns true if it is known, without reading any table, that no subscription wants this event. This is the usual
/// case: then the emit ends without touching or locking a table.
pub fn nobody_wants(event: &str) -> bool {
    // SAFETY: receives what other sessions have changed.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    let unwanted = |cached: &Rc<EventTypes>| cached.catalogue.get(event).is_some_and(|known| !known.is_wanted());
    !changes::are_noted() && CACHE.with_borrow(|cached| cached.as_ref().is_some_and(unwanted))
}

/// Returns the event types as they are now. Locks `hydra.event` as an insert does.
pub fn event_types() -> Rc<EventTypes> {
    changes::listen();
    let (tables, looked_up) = lock_tables();
    let changes = changes::take();
    // After an error, everything is read the next time.
    let is_current = |cached: &Rc<EventTypes>| {
        cached.tables == tables && (!looked_up || cached.triggers == in_latest_snapshot(tables, &[], read_triggers))
    };
    let cached = CACHE.take().filter(is_current);
    let mut event_types = match (cached, changes) {
        (Some(mut cached), Changes::Of(changed)) => {
            if !changed.is_empty() {
                Rc::make_mut(&mut cached).read_again(&changed);
            }
            cached
        }
        _ => Rc::new(EventTypes::read(tables)),
    };
    if looked_up {
        Rc::make_mut(&mut event_types).event_is_as_made = is_as_made(tables.event);
    }
    CACHE.set(Some(Rc::clone(&event_types)));
    event_types
}

/// Locks `hydra.event`, and receives what other sessions have changed. Returns the tables, and whether they were looked
/// up again.
fn lock_tables() -> (Tables, bool) {
    let known = CACHE.with_borrow(|cached| cached.as_ref().map(|cached| cached.tables));
    let mut tables = known.unwrap_or_else(Tables::find);
    loop {
        // SAFETY: takes the lock that the insert will need; then receives what other sessions have changed.
        unsafe {
            pg_sys::LockRelationOid(tables.event, pg_sys::RowExclusiveLock as i32);
            pg_sys::AcceptInvalidationMessages();
        }
        if !changes::take_tables() {
            return (tables, known.is_none());
        }
        // If this fails, they are looked up the next time.
        let cached = CACHE.take();
        // Until they are found, a change of any table counts.
        changes::listen_to(&[]);
        let found = Tables::find();
        changes::listen_to(&[found.subscription, found.event]);
        CACHE.set(cached);
        if found == tables {
            return (tables, true);
        }
        tables = found;
    }
}

impl EventTypes {
    fn read(tables: Tables) -> Self {
        let reads = &[c"event_type", c"subscription", c"identity"];
        let (triggers, catalogue, identity) = in_latest_snapshot(tables, reads, || {
            let triggers = read_triggers();
            // SAFETY: inside SPI, which stays connected.
            let (event_types, choices) = unsafe { (read(LOAD_EVENT_TYPES), read(LOAD_CHOICES)) };
            let columns = EventTypeColumns::of(&event_types);
            let event_types = event_types.map(|row| event_type(&row, &columns));
            let catalogue = Catalogue::new(event_types, all_choices(choices));
            // SAFETY: as above.
            (triggers, catalogue, Identity::of(unsafe { read(LOAD_IDENTITY) }))
        });
        let installation = identity.installation();
        Self { tables, event_is_as_made: is_as_made(tables.event), installation, triggers, catalogue }
    }

    /// Reads again what these subscriptions want.
    fn read_again(&mut self, changed: &BTreeSet<SubscriptionId>) {
        // SAFETY: inside SPI, which stays connected.
        let choices =
            in_latest_snapshot(self.tables, &[c"subscription"], || all_choices(unsafe { read_some_choices(changed) }));
        changed.iter().for_each(|id| self.catalogue.remove(*id));
        choices.into_iter().for_each(|choice| self.catalogue.add(choice));
    }
}

/// Runs code that reads tables by SPI, as the owner of the tables. It uses the latest snapshot: statements that only read
/// take the active snapshot.
fn in_latest_snapshot<R>(tables: Tables, reads: &[&CStr], body: impl FnOnce() -> R) -> R {
    tables.as_owner(|| {
        lock_to_read(reads);
        // SAFETY: the snapshot is popped again, and SPI keeps its results until it is disconnected.
        Spi::connect(|_client| unsafe {
            pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
            let result = body();
            pg_sys::PopActiveSnapshot();
            result
        })
    })
}

/// Returns which triggers announce changes. To be called inside SPI.
fn read_triggers() -> String {
    // SAFETY: inside SPI, and the value is copied.
    let mut rows = unsafe { read(LOAD_TRIGGERS) };
    let column = rows.column("triggers");
    rows.next().expect("one row").value(column)
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

/// Runs [`LOAD_SOME_CHOICES`] for these subscriptions.
///
/// Planning takes longer than the rest, and every session that emits runs this after each change. So the plan is kept. It
/// may have been made while the table was small, and must use the index all the same.
///
/// # Safety
/// As for [`read`].
unsafe fn read_some_choices<'conn>(ids: &BTreeSet<SubscriptionId>) -> Rows<'conn> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    // SAFETY: a plan with one parameter, and an array for it; inside SPI. An error also ends the level of parameters.
    unsafe {
        if SOME_CHOICES.get().is_null() {
            let options = pg_sys::CURSOR_OPT_GENERIC_PLAN as i32;
            let mut types = [pg_sys::INT8ARRAYOID];
            let plan = pg_sys::SPI_prepare_cursor(LOAD_SOME_CHOICES.as_ptr(), 1, types.as_mut_ptr(), options);
            assert!(!plan.is_null(), "SPI prepares a SELECT");
            pg_sys::SPI_keepplan(plan);
            SOME_CHOICES.set(plan);
        }
        let mut ids = ids.into_datum().expect("an array");
        let level = pg_sys::NewGUCNestLevel();
        setting::save(c"enable_seqscan", c"off");
        let status = pg_sys::SPI_execute_plan(SOME_CHOICES.get(), &raw mut ids, std::ptr::null(), true, 0);
        pg_sys::AtEOXact_GUC(true, level);
        assert_eq!(status, pg_sys::SPI_OK_SELECT as i32, "SPI reads");
        Rows::of_last_statement()
    }
}

fn event_type(row: &Row<'_>, columns: &EventTypeColumns) -> EventType {
    EventType::new(row.value(columns.event_type), row.value(columns.entity_type), row.value(columns.id_key))
}

fn all_choices(rows: Rows<'_>) -> Vec<Choice> {
    let columns = ChoiceColumns::of(&rows);
    rows.map(|row| choice(&row, &columns)).collect()
}

fn choice(row: &Row<'_>, columns: &ChoiceColumns) -> Choice {
    Choice {
        subscription: SubscriptionId(row.value(columns.subscription_id)),
        misses: row.value(columns.misses),
        tenant: row.maybe_text(columns.tenant_id).map(Into::into),
        filter: row.maybe(columns.filter),
        event_types: row.text(columns.event_types).into(),
    }
}
