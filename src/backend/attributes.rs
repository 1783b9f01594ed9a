//! Reads the attributes of a tuple descriptor, which each version of Postgres stores in its own way.

use pgrx::prelude::*;

/// Returns the attributes, dropped ones included.
///
/// # Safety
/// The descriptor must be valid for as long as the result is used.
pub unsafe fn attributes<'a>(descriptor: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: a descriptor has as many attributes as it says. From PostgreSQL 18 on, they follow their short forms.
    unsafe {
        let count = (*descriptor).natts as usize;
        #[cfg(feature = "pg18")]
        {
            std::slice::from_raw_parts((*descriptor).compact_attrs.as_ptr().add(count).cast(), count)
        }
        #[cfg(not(feature = "pg18"))]
        {
            (*descriptor).attrs.as_slice(count)
        }
    }
}
