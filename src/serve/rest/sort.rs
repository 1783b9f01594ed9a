//! The order of a list, and where a page begins in it.
//!
//! A list is ordered by the columns that the caller names and then by the id, so that no two rows are equal. A page begins
//! after the values that the last row of the page before it had. Rows that are inserted or deleted meanwhile move nothing:
//! no row is skipped or repeated, and no page reads the rows before it, as it would with OFFSET.
//!
//! A condition such as `(a, id) > (1, 2)` finds these rows in an index, but not if a column can be null or the directions
//! differ. With OR it would not be searched in an index. So the rest of a list is divided into *stretches*, which follow each
//! other: first the rows that have the same values but for the id, then those that differ in the column before it, and so
//! on. Each is a condition of equalities and one comparison, and is read only if those before it do not fill the page. Where
//! one condition will do, there is one stretch; nulls of the first column follow it.
//!
//! Nulls are where an index has them: after all values, and before them in descending order.

use super::resource::{Column, Resource};
use super::value;
use crate::serve::problem::Problem;

/// No list is sorted by more columns.
const MAX_KEYS: usize = 4;

/// A column of the order.
pub struct Key<'a> {
    pub column: &'a Column,
    pub descending: bool,
    pub may_be_null: bool,
}

/// A part of a condition on the column with this number of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Equal(usize),
    Beyond(usize),
    /// On all columns at once.
    RowBeyond,
    Null(usize),
    NotNull(usize),
}

/// Returns the columns by which a list is ordered; the last one is the id.
pub fn keys<'a>(resource: &'a Resource, sort: Option<&str>) -> Result<Vec<Key<'a>>, Problem> {
    let id = &resource.id_column;
    let mut keys: Vec<Key<'a>> = Vec::new();
    for part in sort.into_iter().flat_map(|sort| sort.split(',')) {
        let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        let is_sortable = *name == id.name || resource.sortable.iter().any(|sortable| sortable == name);
        let column = resource.column(name).filter(|_| is_sortable).ok_or_else(|| not_sortable(resource, name))?;
        if keys.iter().any(|key| key.column.name == column.name) {
            return Err(wrong(format!("The list cannot be sorted by {name} twice.")));
        }
        // What comes after the id would decide nothing.
        if keys.last().is_none_or(|last| last.column.name != id.name) {
            keys.push(Key { column, descending, may_be_null: !column.not_null && column.name != id.name });
        }
    }
    if keys.len() > MAX_KEYS {
        return Err(wrong(format!("A list can be sorted by {MAX_KEYS} columns at most.")));
    }
    let last = keys.last();
    if last.is_none_or(|last| last.column.name != id.name) {
        // In the direction of the column before it, so that one index has the whole order.
        let descending = last.is_some_and(|last| last.descending);
        keys.push(Key { column: id, descending, may_be_null: false });
    }
    Ok(keys)
}

fn not_sortable(resource: &Resource, name: &str) -> Problem {
    let known: Vec<&str> = std::iter::once(&resource.id_column.name)
        .chain(resource.sortable.iter().filter(|name| **name != resource.id_column.name))
        .map(String::as_str)
        .collect();
    wrong(format!("The list cannot be sorted by {name}.")).with_hint(format!(
        "It can be sorted by {}, and in descending order with a minus before the name.",
        known.join(", ")
    ))
}

fn wrong(detail: String) -> Problem {
    Problem::bad_request().with_error("sort", "invalid_sort", &detail).with_detail(detail)
}

/// Returns the stretches that follow a row, of which the columns of the order are null or not, in their order.
pub fn stretches(keys: &[Key<'_>], is_null: &[bool]) -> Vec<Vec<Part>> {
    if are_one_row(keys) && !is_null.contains(&true) {
        let has_nulls_after = keys[0].may_be_null && !keys[0].descending;
        return [vec![Part::RowBeyond]].into_iter().chain(has_nulls_after.then(|| vec![Part::Null(0)])).collect();
    }
    let mut stretches = Vec::new();
    for level in (0..keys.len()).rev() {
        let same = (0..level).map(|key| if is_null[key] { Part::Null(key) } else { Part::Equal(key) });
        let Key { descending, may_be_null, .. } = keys[level];
        let beyond: &[Part] = match (is_null[level], descending) {
            (false, false) if may_be_null => &[Part::Beyond(level), Part::Null(level)],
            (false, _) => &[Part::Beyond(level)],
            (true, true) => &[Part::NotNull(level)],
            (true, false) => &[],
        };
        stretches.extend(beyond.iter().map(|part| same.clone().chain([*part]).collect()));
    }
    stretches
}

/// Whether the columns can be compared as a row: in one direction, with operators of one name, and no null but in the first
/// one, where a comparison with null excludes just the rows that are not wanted.
fn are_one_row(keys: &[Key<'_>]) -> bool {
    let fits = |key: &Key<'_>| {
        let first = &keys[0];
        key.descending == first.descending && key.column.operators == first.column.operators && !key.may_be_null
    };
    keys[1..].iter().all(fits)
}

/// Returns the condition of a stretch; `row` is the row in the statement, and the value of a column of the order is the
/// parameter `first` plus its number.
pub fn condition(keys: &[Key<'_>], stretch: &[Part], row: &str, first: usize) -> String {
    let parts = stretch.iter().map(|part| {
        let number = match *part {
            Part::RowBeyond => return row_beyond(keys, row, first),
            Part::Equal(number) | Part::Beyond(number) | Part::Null(number) | Part::NotNull(number) => number,
        };
        let Key { column, descending, .. } = &keys[number];
        let name = format!("{row}.{}", column.quoted);
        let sign = match part {
            Part::Equal(_) => "=",
            Part::Beyond(_) if *descending => "<",
            Part::Beyond(_) | Part::RowBeyond => ">",
            Part::Null(_) => return value::is_null(&name),
            Part::NotNull(_) => return value::is_not_null(&name),
        };
        format!("{name} OPERATOR({}.{sign}) {}", column.operators, value::cast(first + number, column))
    });
    parts.collect::<Vec<_>>().join(" AND ")
}

fn row_beyond(keys: &[Key<'_>], row: &str, first: usize) -> String {
    let columns: Vec<_> = keys.iter().map(|key| format!("{row}.{}", key.column.quoted)).collect();
    let values: Vec<_> = (first..).zip(keys).map(|(number, key)| value::cast(number, key.column)).collect();
    let sign = if keys[0].descending { "<" } else { ">" };
    let operators = &keys[0].column.operators;
    format!("ROW({}) OPERATOR({operators}.{sign}) ROW({})", columns.join(", "), values.join(", "))
}

/// Returns the clause ORDER BY. Columns that a stretch holds fixed stay in it: Postgres sees that they are, and where they are
/// null it needs them to find the index.
pub fn order(keys: &[Key<'_>], row: &str) -> String {
    let keys =
        keys.iter().map(|key| format!("{row}.{}{}", key.column.quoted, if key.descending { " DESC" } else { "" }));
    keys.collect::<Vec<_>>().join(", ")
}
