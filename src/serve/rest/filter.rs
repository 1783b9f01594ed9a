//! Filters of a list: `status=open`, `created_at[gte]=2026-01-01`.
//!
//! Only columns that the resource declares can be used, which have an index. Conditions are made of the names of the catalog
//! and of parameters; no text of a request gets into a statement.

use super::resource::{Column, Resource};
use super::value;
use crate::serve::problem::{FieldError, Problem};

/// No list of values of one filter is longer.
const MAX_VALUES: usize = 100;

/// The operators, by their name in a parameter.
const OPERATORS: [(&str, Operator); 8] = [
    ("eq", Operator::Compare("=")),
    ("ne", Operator::Differ),
    ("gt", Operator::Compare(">")),
    ("gte", Operator::Compare(">=")),
    ("lt", Operator::Compare("<")),
    ("lte", Operator::Compare("<=")),
    ("in", Operator::In),
    ("null", Operator::Null),
];

#[derive(Clone, Copy)]
enum Operator {
    Compare(&'static str),
    /// Null differs from every value.
    Differ,
    In,
    Null,
}

pub struct Filter<'a> {
    /// The parameter as it was sent.
    pub field: String,
    /// The name of the operator.
    pub name: &'static str,
    pub column: &'a Column,
    operator: Operator,
    pub value: String,
}

/// The names of the operators.
pub fn operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(name, _)| *name)
}

impl<'a> Filter<'a> {
    /// Reads a parameter that is not one of the list itself.
    pub fn read(resource: &'a Resource, field: &str, value: &str) -> Result<Self, Problem> {
        let (column, operator) = match field.strip_suffix(']').and_then(|field| field.rsplit_once('[')) {
            Some(parts) => parts,
            None => (field, "eq"),
        };
        let known = OPERATORS.iter().find(|(name, _)| *name == operator);
        // One answer whether the column exists or not.
        let column = resource.filterable.iter().find(|name| *name == column).and_then(|name| resource.column(name));
        let (Some((name, operator)), Some(column)) = (known, column) else {
            return Err(not_known(resource, field));
        };
        if matches!(operator, Operator::Null) && !matches!(value, "true" | "false") {
            let detail = format!("{field} is true or false.");
            return Err(Problem::invalid().with_error(field, "invalid_value", &detail).with_detail(detail));
        }
        let filter = Self { field: field.into(), name, column, operator: *operator, value: value.into() };
        if filter.values().len() > MAX_VALUES {
            let detail = format!("{field} has more than {MAX_VALUES} values.");
            return Err(Problem::invalid().with_error(field, "too_many_values", &detail).with_detail(detail));
        }
        Ok(filter)
    }

    /// Returns the values that are converted to the type of the column.
    pub fn values(&self) -> Vec<&str> {
        match self.operator {
            Operator::Compare(_) | Operator::Differ => vec![&self.value],
            Operator::In => self.value.split(',').collect(),
            Operator::Null => Vec::new(),
        }
    }

    /// Returns the condition; `column` is the column in the statement, and the values are parameters from `first` on.
    pub fn condition(&self, column: &str, first: usize) -> String {
        let operators = &self.column.operators;
        let parameter = value::cast(first, self.column);
        match self.operator {
            Operator::Compare(sign) => format!("{column} OPERATOR({operators}.{sign}) {parameter}"),
            Operator::Differ => {
                format!("({column} OPERATOR({operators}.<>) {parameter} OR {})", value::is_null(column))
            }
            Operator::In => {
                let parameters = (first..).take(self.values().len()).map(|number| value::cast(number, self.column));
                let parameters: Vec<_> = parameters.collect();
                format!("{column} OPERATOR({operators}.=) ANY (ARRAY[{}])", parameters.join(", "))
            }
            Operator::Null if self.value == "true" => value::is_null(column),
            Operator::Null => value::is_not_null(column),
        }
    }

    /// Returns why a value is not one of the type of the column.
    pub fn refusal(&self) -> Option<FieldError> {
        self.values().into_iter().find_map(|value| value::refusal(&self.field, self.column, value))
    }
}

fn not_known(resource: &Resource, field: &str) -> Problem {
    let detail = format!("There is no parameter {field} here.");
    let filters = match resource.filterable.is_empty() {
        true => String::new(),
        false => format!(
            " Filters are on {}, with {}.",
            resource.filterable.join(", "),
            operators().collect::<Vec<_>>().join(", ")
        ),
    };
    Problem::bad_request()
        .with_error(field, "unknown_parameter", &detail)
        .with_detail(detail)
        .with_hint(format!("Parameters are limit, cursor and sort.{filters}"))
}
