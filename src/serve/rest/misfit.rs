//! Finds what in a JSON value does not fit a type. Postgres would take more than a caller means: it makes a text of an object, leaves
//! out members that a composite type does not have, so that a typing error in a name would erase what the column had, and takes
//! the last of several members with one name.

use pgrx::pg_sys;
use serde_json::value::RawValue;

use super::attribute;
use super::kind::{Kind, MAX_DIMENSIONS};
use super::write::body;

/// The first part of a value that does not fit.
pub struct Misfit {
    /// Where it is, as what follows the name of the value: `.street`, `[0].street`.
    pub path: String,
    pub why: Why,
}

pub enum Why {
    /// There is no such member.
    Unknown,
    /// There are several such members.
    Repeated,
    /// It has another JSON type than this one.
    OfAnother(Kind),
}

impl Misfit {
    fn whole(kind: Kind) -> Self {
        Self { path: String::new(), why: Why::OfAnother(kind) }
    }

    fn within(self, part: &str) -> Self {
        Self { path: format!("{part}{}", self.path), ..self }
    }
}

pub fn find(type_oid: pg_sys::Oid, value: &RawValue) -> Option<Misfit> {
    if value.get() == "null" {
        return None;
    }
    let kind = Kind::of(type_oid);
    match (kind.takes(value), attribute::element(type_oid)) {
        (false, _) => Some(Misfit::whole(kind)),
        (true, Some(element)) => in_array(type_oid, element, value, MAX_DIMENSIONS),
        (true, None) if kind == Kind::Object => in_object(type_oid, value),
        (true, None) => None,
    }
}

/// `array`: the type. An array of several dimensions is an array of arrays. Postgres refuses one of more than `dimensions`.
fn in_array(array: pg_sys::Oid, element: pg_sys::Oid, value: &RawValue, dimensions: usize) -> Option<Misfit> {
    let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    let is_array = |value: &RawValue| value.get().starts_with('[');
    let kind = Kind::of(element);
    let has_dimensions = !matches!(kind, Kind::Any | Kind::Array(_)) && elements.iter().any(|e| is_array(e));
    let has_parts = matches!(kind, Kind::Object | Kind::Array(_));
    elements.iter().enumerate().find_map(|(number, value)| {
        let misfit = match has_dimensions {
            false if has_parts => find(element, value),
            // There can be very many, and the catalog says the same of each.
            false => (!kind.takes(value)).then(|| Misfit::whole(Kind::of(element))),
            true if dimensions == 0 || value.get() == "null" => None,
            true if is_array(value) => in_array(array, element, value, dimensions - 1),
            true => Some(Misfit::whole(Kind::of(array))),
        };
        misfit.map(|misfit| misfit.within(&format!("[{number}]")))
    })
}

fn in_object(type_oid: pg_sys::Oid, value: &RawValue) -> Option<Misfit> {
    let (attributes, fields) = (attribute::of(type_oid), body::fields(value.get()).ok()?);
    fields.iter().enumerate().find_map(|(number, field)| {
        let found = attributes.iter().find(|(name, _)| *name == field.name);
        let misfit = match found {
            None => Some(Misfit { path: String::new(), why: Why::Unknown }),
            Some(_) if fields[..number].iter().any(|earlier| earlier.name == field.name) => {
                Some(Misfit { path: String::new(), why: Why::Repeated })
            }
            Some((_, declared)) => find(declared.type_oid, field.value),
        };
        misfit.map(|misfit| misfit.within(&format!(".{}", field.name)))
    })
}
