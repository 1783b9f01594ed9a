//! The attributes of composite types, and what domains are made of, as the catalog has them.

use std::ffi::CStr;

use pgrx::pg_sys;

/// A type with what a column or a domain says about it.
#[derive(Clone, Copy)]
pub struct Declared {
    pub type_oid: pg_sys::Oid,
    /// Its length or precision; -1: it has none.
    pub modifier: i32,
    /// Of an array. Postgres does not hold its values to it.
    pub dimensions: i32,
}

/// Returns the attributes of a type, by name; none if it is not composite.
pub fn of(type_oid: pg_sys::Oid) -> Vec<(String, Declared)> {
    // SAFETY: looks the type up in the catalog.
    let relation = unsafe { pg_sys::get_typ_typrelid(pg_sys::getBaseType(type_oid)) };
    if relation == pg_sys::InvalidOid {
        return Vec::new();
    }
    (1..).map_while(|number| attribute(relation, number)).flatten().collect()
}

/// Returns the attribute with this number, unless it was dropped; `None` if there is none.
fn attribute(relation: pg_sys::Oid, number: i16) -> Option<Option<(String, Declared)>> {
    // SAFETY: looks a row up in the catalog, and releases it.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::ATTNUM as i32;
        let tuple = pg_sys::SearchSysCache2(cache, relation.into(), number.into());
        if tuple.is_null() {
            return None;
        }
        let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_attribute>();
        let name = CStr::from_ptr(row.attname.data.as_ptr()).to_string_lossy().into_owned();
        #[allow(clippy::useless_conversion)] // narrower from PostgreSQL 16 on
        let declared =
            Declared { type_oid: row.atttypid, modifier: row.atttypmod, dimensions: i32::from(row.attndims) };
        let is_dropped = row.attisdropped;
        pg_sys::ReleaseSysCache(tuple);
        Some((!is_dropped).then_some((name, declared)))
    }
}

/// Returns what a domain is made of; `None` if the type is no domain.
pub fn behind_domain(type_oid: pg_sys::Oid) -> Option<Declared> {
    // SAFETY: as above.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, type_oid.into());
        if tuple.is_null() {
            return None;
        }
        let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let declared = Declared { type_oid: row.typbasetype, modifier: row.typtypmod, dimensions: row.typndims };
        let is_domain = row.typtype as u8 == pg_sys::TYPTYPE_DOMAIN;
        pg_sys::ReleaseSysCache(tuple);
        is_domain.then_some(declared)
    }
}

/// Returns the type of the elements of an array, or of a domain over one.
pub fn element(type_oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: looks types up in the catalog.
    let element = unsafe { pg_sys::get_element_type(pg_sys::getBaseType(type_oid)) };
    (element != pg_sys::InvalidOid).then_some(element)
}
