//! Describes types of columns and arguments: what their values are as JSON.

use std::ffi::CStr;

use openapi::Type;
use pgrx::pg_sys;

use super::attribute::{self, Declared};
use super::kind::MAX_DIMENSIONS;
use super::resource::Column;

/// Returns that of a column.
pub fn of_column(column: &Column) -> Type {
    of(Declared { type_oid: column.type_oid, modifier: column.modifier, dimensions: column.dimensions })
}

/// Returns that of a type: of a domain, that of the type that it is made of.
pub fn of(declared: Declared) -> Type {
    if let Some(behind) = attribute::behind_domain(declared.type_oid) {
        return of(behind);
    }
    if let Some(element) = attribute::element(declared.type_oid) {
        let element = of(Declared { type_oid: element, modifier: declared.modifier, dimensions: 0 });
        // A column can be declared with more dimensions than an array can have.
        let dimensions = declared.dimensions.clamp(1, MAX_DIMENSIONS as i32);
        return (0..dimensions).fold(element, |inner, _| Type::List(Box::new(inner)));
    }
    // SAFETY: looks the type up in the catalog.
    match unsafe { pg_sys::type_is_rowtype(declared.type_oid) } {
        true => {
            let members = attribute::of(declared.type_oid);
            Type::Record(members.into_iter().map(|(name, declared)| (name, of(declared))).collect())
        }
        false => Type::parse(&name(declared)),
    }
}

fn name(declared: Declared) -> String {
    let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN as u16;
    // SAFETY: looks the type up in the catalog; its name is a C string.
    unsafe {
        let name = pg_sys::format_type_extended(declared.type_oid, declared.modifier, flags);
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}
