//! Finds members of composite values that their types do not have. Postgres would leave them out: a typing error in a name would
//! erase what the column had.

use pgrx::pg_sys;
use serde_json::value::RawValue;

use super::attribute;
use super::write::body;

/// Returns where the first such member is, as what follows the name of the value: `.street`, `[0].street`.
pub fn unknown(type_oid: pg_sys::Oid, value: &RawValue) -> Option<String> {
    // Most values have no members.
    if !matches!(value.get().as_bytes().first(), Some(b'{' | b'[')) || !is_made_of_rows(type_oid) {
        return None;
    }
    match attribute::element(type_oid) {
        Some(element) => of_elements(type_oid, element, value),
        None => of_object(type_oid, value),
    }
}

fn of_elements(array: pg_sys::Oid, element: pg_sys::Oid, value: &RawValue) -> Option<String> {
    let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    elements.iter().enumerate().find_map(|(number, value)| {
        // An array of several dimensions is an array of arrays.
        let is_dimension = value.get().starts_with('[') && attribute::element(element).is_none();
        let path = unknown(if is_dimension { array } else { element }, value)?;
        Some(format!("[{number}]{path}"))
    })
}

fn of_object(type_oid: pg_sys::Oid, value: &RawValue) -> Option<String> {
    let attributes = attribute::of(type_oid);
    body::fields(value.get()).ok()?.iter().find_map(|field| {
        let path = match attributes.iter().find(|(name, _)| *name == field.name) {
            Some((_, declared)) => unknown(declared.type_oid, field.value)?,
            None => String::new(),
        };
        Some(format!(".{}{path}", field.name))
    })
}

/// Whether a type is composite, or an array of such values.
fn is_made_of_rows(type_oid: pg_sys::Oid) -> bool {
    match attribute::element(type_oid) {
        Some(element) => is_made_of_rows(element),
        // SAFETY: looks the type up in the catalog.
        None => unsafe { pg_sys::type_is_rowtype(type_oid) },
    }
}
