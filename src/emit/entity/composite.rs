//! Reads a composite value, which names the type of its row.

use pgrx::prelude::*;

/// A composite value with the descriptor of its row.
pub struct Composite {
    tuple: pg_sys::HeapTupleData,
    descriptor: pg_sys::TupleDesc,
    /// A copy that was decompressed, if that was necessary.
    copy: Option<*mut pg_sys::varlena>,
}

impl Composite {
    /// # Safety
    /// The value must be a composite one, and stay valid for as long as the result is used.
    pub unsafe fn new(value: pg_sys::Datum) -> Self {
        // SAFETY: as the caller promises. The descriptor is pinned until it is released.
        unsafe {
            let stored = value.cast_mut_ptr::<pg_sys::varlena>();
            let detoasted = pg_sys::pg_detoast_datum(stored);
            let header = detoasted.cast::<pg_sys::HeapTupleHeaderData>();
            let of = (*header).t_choice.t_datum;
            let tuple = pg_sys::HeapTupleData {
                t_len: pgrx::varsize_any(detoasted) as u32,
                t_data: header,
                ..pg_sys::HeapTupleData::default()
            };
            let descriptor = pg_sys::lookup_rowtype_tupdesc(of.datum_typeid, of.datum_typmod);
            Self { tuple, descriptor, copy: (detoasted != stored).then_some(detoasted) }
        }
    }

    /// Returns a pointer that is valid for as long as this value is not moved.
    pub fn tuple(&mut self) -> pg_sys::HeapTuple {
        &raw mut self.tuple
    }

    pub fn descriptor(&self) -> pg_sys::TupleDesc {
        self.descriptor
    }

    /// Returns a number that says which columns the row has: it changes whenever those of its type change.
    pub fn version(&self) -> u64 {
        // SAFETY: the header of a composite value; the type has a descriptor.
        unsafe {
            let of = (*self.tuple.t_data).t_choice.t_datum;
            pg_sys::assign_record_type_identifier(of.datum_typeid, of.datum_typmod)
        }
    }
}

impl Drop for Composite {
    fn drop(&mut self) {
        // After an error Postgres has released what the statement held, and the memory context may be gone already.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: pinned by `new`, unless it is not counted; a copy that only this value has.
        unsafe {
            if (*self.descriptor).tdrefcount >= 0 {
                pg_sys::DecrTupleDescRefCount(self.descriptor);
            }
            if let Some(copy) = self.copy {
                pg_sys::pfree(copy.cast());
            }
        }
    }
}
