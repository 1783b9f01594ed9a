//! Notices that subscriptions, signing secrets or event types have changed, in this session or in another one.
//!
//! The dispatcher keeps in memory what to send where; every other session keeps which events are wanted. A trigger
//! announces each change, and the other processes read again what has changed, and nothing else: with many
//! subscriptions that change often, reading all of them each time would leave no time for anything else.
//!
//! Announcements are invalidation messages of Postgres, the messages by which sessions learn of DDL. They are
//! transactional: other sessions receive them after the commit, in the order of commits, and a prepared transaction
//! keeps them. The session that made the change receives them after the statement, and once more after a rollback, so
//! that it reads again what was undone. A session receives messages at the start of a transaction, or when it calls
//! `AcceptInvalidationMessages`. A change is visible to a new snapshot before its message arrives.
//!
//! The message that a relation has changed has room for its OID, which is 32 bits. An announcement names a relation that
//! does not exist: its OID has the highest bit set, and the number of the subscription in the lower ones. The bit between
//! them says that only what the dispatcher needs has changed, such as the URL or a secret; sessions that emit ignore it.
//! Should a relation have such an OID, after billions of others, then each announcement for the one makes processes read
//! the other again, which is harmless.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use crate::slots::wake;
use crate::tables::Tables;

/// The bit that distinguishes announcements from relations.
const MARK: u32 = 1 << 31;

/// The bit of changes that concern only how events are sent, and not which are wanted.
const ONLY_SENDING: u32 = 1 << 30;

/// Announces that everything may have changed.
const EVERYTHING: u32 = u32::MAX;

/// If a transaction changes more subscriptions than this, it announces that everything may have changed. Reading that
/// many one by one costs about as much, and Postgres compares each message with all others of the same statement.
const ONE_BY_ONE: usize = 64;

/// What has changed since the last [`take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    /// Some subscriptions, perhaps none: they were created, changed or deleted, or their secrets were.
    Of(BTreeSet<SubscriptionId>),
    Everything,
}

impl Changes {
    const NONE: Self = Self::Of(BTreeSet::new());

    pub fn are_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Notes them again, because they were not read.
    pub fn note_again(self) {
        match self {
            Self::Everything => note(),
            Self::Of(ids) => note_subscriptions(ids),
        }
    }
}

thread_local! {
    /// Everything at first, because nothing has been read yet.
    static NOTED: RefCell<Changes> = const { RefCell::new(Changes::Everything) };
    /// Whether the definition of a table may have changed, or the extension may have been dropped.
    static TABLES_NOTED: Cell<bool> = const { Cell::new(true) };
    /// Whether the callback is registered.
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    /// The tables to listen to. If empty, a change of any relation counts.
    static TABLES: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// Whether this process sends, so that changes that concern only sending count.
    static SENDS: Cell<bool> = const { Cell::new(false) };
    /// How many subscriptions the current transaction has announced.
    static ANNOUNCED: Cell<(pg_sys::TransactionId, usize)> = const { Cell::new((pg_sys::InvalidTransactionId, 0)) };
}

/// Returns whether anything may have changed since the last [`take`] and [`take_tables`].
pub fn are_noted() -> bool {
    TABLES_NOTED.get() || NOTED.with_borrow(|noted| !noted.are_none())
}

/// Returns what has changed, and forgets it. To be called before reading, so that a change that arrives during the read
/// is noted again.
pub fn take() -> Changes {
    NOTED.replace(Changes::NONE)
}

/// Returns whether the definition of a table may have changed, or the extension may have been dropped, and forgets it.
pub fn take_tables() -> bool {
    TABLES_NOTED.replace(false)
}

/// Notes that everything has to be read again.
pub fn note() {
    NOTED.set(Changes::Everything);
}

/// Notes that these subscriptions have to be read again.
pub fn note_subscriptions(ids: impl IntoIterator<Item = SubscriptionId>) {
    NOTED.with_borrow_mut(|noted| {
        if let Changes::Of(known) = noted {
            known.extend(ids);
        }
    });
}

/// Begins to note changes. A change of the definition of any relation counts until [`listen_to`] is called.
pub fn listen() {
    if !LISTENING.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
    }
}

/// As [`listen`], for the process that sends.
pub fn listen_as_sender() {
    SENDS.set(true);
    listen();
}

/// Makes only changes of the definitions of these tables count from now on. If the list is empty, those of any relation
/// count.
pub fn listen_to(tables: &[pg_sys::Oid]) {
    TABLES.set(tables.to_vec());
}

/// Makes only changes of subscriptions, and of the definition of their table, count from now on. To be called in a
/// transaction.
pub fn listen_to_subscriptions() {
    listen_to(&[Tables::find().subscription]);
}

#[pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let listened_to = |tables: &Vec<pg_sys::Oid>| tables.is_empty() || tables.contains(&relation);
    match relation.to_u32() {
        // Messages were lost, because this process did not receive any for too long.
        0 => {
            note();
            TABLES_NOTED.set(true);
        }
        EVERYTHING => note(),
        number if number & MARK != 0 && (number & ONLY_SENDING == 0 || SENDS.get()) => {
            note_subscriptions([SubscriptionId((number & !(MARK | ONLY_SENDING)).into())]);
        }
        _ => {}
    }
    if TABLES.with_borrow(listened_to) {
        TABLES_NOTED.set(true);
    }
}

/// Trigger function: announces a change of the table that has the trigger. If it fires for each row, its first argument is
/// the column with the number of the subscription that has changed. The second, `sending`, says that the change does not
/// concern which events are wanted.
#[pg_trigger]
fn _subscriptions_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    let arguments = trigger.extra_args()?;
    match arguments.first() {
        Some(column) => {
            let kind = if arguments.get(1).is_some_and(|kind| kind == "sending") { ONLY_SENDING } else { 0 };
            for row in [trigger.old(), trigger.new()].into_iter().flatten() {
                announce_one(row.get_by_name(column).expect("a column of the table"), kind);
            }
        }
        None => _announce_changes(),
    }
    Ok(None)
}

/// Makes other processes read everything again that they keep in memory, after this transaction has committed, and wakes
/// the dispatcher. This session reads it again at its next emit.
#[pg_extern]
fn _announce_changes() {
    announce(EVERYTHING);
}

/// Does the same for one subscription. Null stands for all.
#[pg_extern]
fn _announce_change(subscription_id: Option<i64>) {
    announce_one(subscription_id, 0);
}

/// `kind` is [`ONLY_SENDING`] or zero.
fn announce_one(subscription_id: Option<i64>, kind: u32) {
    let number = subscription_id.and_then(|id| u32::try_from(id).ok()).filter(|number| *number < ONLY_SENDING - 1);
    // SAFETY: the number of the current transaction, which has one, because it changes a table.
    let transaction = unsafe { pg_sys::GetTopTransactionId() };
    let (announcing, before) = ANNOUNCED.get();
    let announced = if announcing == transaction { before + 1 } else { 1 };
    ANNOUNCED.set((transaction, announced));
    let number = number.filter(|_| announced <= ONE_BY_ONE);
    announce(number.map_or(EVERYTHING, |number| MARK | kind | number));
}

fn announce(number: u32) {
    // SAFETY: of the relation, the function reads its OID and whether databases share it.
    unsafe {
        let mut class: pg_sys::FormData_pg_class = std::mem::zeroed();
        let mut relation: pg_sys::RelationData = std::mem::zeroed();
        (relation.rd_id, relation.rd_rel) = (pg_sys::Oid::from(number), &raw mut class);
        pg_sys::CacheInvalidateRelcache(&raw mut relation);
    }
    wake::at_commit();
}
