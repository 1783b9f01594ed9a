//! Finds resources and their columns.
//!
//! A resource is stored as names of columns; everything else about them is read from the catalog.

use std::rc::Rc;

use pgrx::prelude::*;
use pgrx::{JsonB, Spi};
use serde::Deserialize;

use super::known;
use crate::store::Statement;
use crate::tables;

/// A table or view of the application that the API shows.
#[derive(Debug, Clone)]
pub struct Resource {
    pub name: String,
    pub relation: pg_sys::Oid,
    /// Its name in statements, with its schema.
    pub table: String,
    pub id_column: Column,
    pub tenant_column: Option<Column>,
    /// In the order of the table, like `columns`.
    pub readable: Vec<Column>,
    pub creatable: Vec<String>,
    pub updatable: Vec<String>,
    pub filterable: Vec<String>,
    pub sortable: Vec<String>,
    pub deletable: bool,
    /// That of the resource, or the comment of the relation.
    pub description: Option<String>,
    /// The toolset that its tools are in.
    pub toolset: String,
    /// All columns that the resource names.
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    /// Its name in statements.
    pub quoted: String,
    /// Its type in statements, with its schema and without a length: a cast to a type with a length would cut a value.
    pub type_name: String,
    /// Its type with its length or precision, for people.
    pub declared: String,
    pub type_oid: pg_sys::Oid,
    /// Its length or precision in the catalog, and the dimensions of an array.
    pub modifier: i32,
    pub dimensions: i32,
    /// The schema of the operators that compare its values, for `OPERATOR(schema.<)`.
    pub operators: String,
    pub not_null: bool,
    /// Whether a row can be created without it: it has a default, or is an identity or generated column.
    pub has_default: bool,
    /// Whether it cannot be given: it is generated, or GENERATED ALWAYS AS IDENTITY.
    pub is_generated: bool,
    pub comment: Option<String>,
    /// The labels of an enum, or the values of a CHECK such as `status IN ('open', 'closed')`.
    pub choices: Option<Vec<String>>,
}

impl Resource {
    /// Returns a column that the resource names.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn of(stored: Stored) -> Option<(Self, pg_sys::Oid)> {
        let columns = stored.columns;
        let column = |name: &str| columns.iter().find(|column| column.name == name).cloned();
        let resource = Self {
            relation: stored.relation,
            table: stored.table,
            id_column: column(&stored.id_column)?,
            tenant_column: match &stored.tenant_column {
                // Never as if there were none.
                Some(name) => Some(column(name)?),
                None => None,
            },
            readable: columns.iter().filter(|column| stored.readable.contains(&column.name)).cloned().collect(),
            name: stored.name,
            creatable: stored.creatable,
            updatable: stored.updatable,
            filterable: stored.filterable,
            sortable: stored.sortable,
            deletable: stored.deletable,
            description: stored.description,
            toolset: stored.toolset,
            columns,
        };
        Some((resource, stored.stored_in))
    }
}

/// Returns the resource of this name. Its comments may be those of an earlier time.
pub fn find(name: &str) -> Option<Rc<Resource>> {
    known::get(name, || read(Some(name)).pop())
}

/// Returns all resources, by name.
pub fn all() -> Vec<Resource> {
    read(None).into_iter().map(|(resource, _)| resource).collect()
}

/// Returns resources, each with the table that it is stored in.
fn read(name: Option<&str>) -> Vec<(Resource, pg_sys::Oid)> {
    const FIND_RESOURCES: &str = include_str!("../../../sql/queries/find_api_resources.sql");
    thread_local! {
        static FIND: Statement = const { Statement::reading(FIND_RESOURCES, &[c"api_resource"]) };
    }
    tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let rows = find.read(client, &[name.into()]);
                let stored = rows.filter_map(|row| row.first::<JsonB>());
                let stored = stored.map(|JsonB(stored)| serde_json::from_value(stored).expect("a resource"));
                stored.filter_map(Resource::of).collect()
            })
        })
    })
}

/// What the statement returns.
#[derive(Deserialize)]
struct Stored {
    stored_in: pg_sys::Oid,
    name: String,
    relation: pg_sys::Oid,
    table: String,
    id_column: String,
    tenant_column: Option<String>,
    readable: Vec<String>,
    creatable: Vec<String>,
    updatable: Vec<String>,
    filterable: Vec<String>,
    sortable: Vec<String>,
    deletable: bool,
    description: Option<String>,
    toolset: String,
    columns: Vec<Column>,
}
