//! Converts values of Postgres that pgrx does not convert: `xid8`, `tid`, and times of the standard library.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use delivery::xid::Xid8;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};

/// Microseconds from 1970, the epoch of Rust, to 2000, the epoch of Postgres.
const EPOCHS_APART: i64 = 946_684_800_000_000;

/// [`Xid8`] as a value of Postgres.
#[derive(Clone, Copy)]
pub struct Xid(pub Xid8);

impl IntoDatum for Xid {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(pg_sys::Datum::from(self.0.0))
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::XID8OID
    }
}

impl FromDatum for Xid {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        (!is_null).then(|| Self(Xid8(datum.value() as u64)))
    }
}

/// The place of a row in its table: block and line (`tid`).
pub struct Tid(pub u32, pub u16);

impl IntoDatum for Tid {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: allocates memory for one value, which is set before it is read.
        unsafe {
            let place = pg_sys::palloc(size_of::<pg_sys::ItemPointerData>()).cast::<pg_sys::ItemPointerData>();
            pgrx::itemptr::item_pointer_set_all(&mut *place, self.0, self.1);
            Some(place.into())
        }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TIDOID
    }
}

impl FromDatum for Tid {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a tid that is not null is a pointer.
        let place = unsafe { (!is_null).then(|| *datum.cast_mut_ptr::<pg_sys::ItemPointerData>()) };
        place.map(pgrx::itemptr::item_pointer_get_both).map(|(block, line)| Tid(block, line))
    }
}

pub fn to_timestamp(time: SystemTime) -> TimestampWithTimeZone {
    let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    TimestampWithTimeZone::try_from(micros - EPOCHS_APART).expect("a time that Postgres can hold")
}

/// Converts a time. Times before 1970 become 1970.
pub fn to_system_time(time: TimestampWithTimeZone) -> SystemTime {
    let micros = i64::from(time).saturating_add(EPOCHS_APART);
    UNIX_EPOCH + Duration::from_micros(micros.try_into().unwrap_or(0))
}
