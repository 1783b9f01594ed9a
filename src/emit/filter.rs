//! Which entities a subscription wants: a JSON path of its own.
//!
//! An entity passes in which the path finds something other than `false` or `null`. That serves both kinds of path: a
//! comparison, which finds its result, and one that picks out parts.
//!
//! A path runs as whoever emits, on what will be sent. Where that cannot be told, as for an entity that is too large to
//! be sent, the event passes: one too many can be thrown away by its receiver, one too few is lost.

use std::cell::OnceCell;
use std::ffi::CString;

use pgrx::FromDatum;
use pgrx::prelude::*;

use super::entity::RawJsonb;
use crate::backend::subtransaction::in_subtransaction;

/// A `jsonpath`, aligned as Postgres wants it.
pub struct Filter(Vec<u64>);

/// An entity that filters look at: its text, and what Postgres makes of it when the first of them does.
pub struct Subject<'a> {
    text: Option<&'a str>,
    value: OnceCell<Option<pg_sys::Datum>>,
}

impl<'a> Subject<'a> {
    /// `None` where there is nothing to look at.
    pub fn new(text: Option<&'a str>) -> Self {
        Self { text, value: OnceCell::new() }
    }

    /// It fails for text that JSON allows and `jsonb` does not, such as `\u0000`.
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
    /// From the text of a path that was stored as one.
    pub fn parse(path: &str) -> Self {
        let path = CString::new(path).expect("text has no NUL");
        // SAFETY: the function takes a C string; its result is copied as long as it says that it is.
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

    pub fn lets_pass(&self, subject: &Subject<'_>) -> bool {
        subject.value().is_none_or(|entity| in_subtransaction(|| self.finds(entity)).unwrap_or(true))
    }

    fn finds(&self, entity: pg_sys::Datum) -> bool {
        // SAFETY: the function takes a jsonb, a jsonpath, a jsonb with variables, and whether to keep quiet about what
        // the path does not fit; its result is a jsonb.
        unsafe {
            let none = pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(c"{}".as_ptr().into())]);
            let path = Some(pg_sys::Datum::from(self.0.as_ptr()));
            let arguments = [Some(entity), path, none, Some(true.into())];
            let found = pgrx::direct_function_call_as_datum(pg_sys::jsonb_path_query_first_tz, &arguments);
            let found = found.and_then(|found| RawJsonb::from_polymorphic_datum(found, false, pg_sys::JSONBOID));
            found.is_some_and(|found| !matches!(found.short_text().as_deref(), Some("false" | "null")))
        }
    }
}
