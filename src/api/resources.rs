//! Exposes tables and views in the REST API. The checks are in `sql/functions/api.sql`; these functions need the role of their
//! caller, which a SECURITY DEFINER function does not see.

use pgrx::prelude::*;

use crate::tables;

/// Exposes a table or view, or replaces the resource of this name. Returns its name.
#[pg_extern(sql = r#"
CREATE FUNCTION hydra.api_expose(
    relation regclass, name text DEFAULT NULL, readable text[] DEFAULT NULL, creatable text[] DEFAULT '{}',
    updatable text[] DEFAULT '{}', filterable text[] DEFAULT NULL, sortable text[] DEFAULT NULL,
    deletable boolean DEFAULT false, id_column text DEFAULT NULL, tenant_column text DEFAULT NULL,
    description text DEFAULT NULL, toolset text DEFAULT NULL)
    RETURNS text LANGUAGE c SET search_path = pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
#[allow(clippy::too_many_arguments)] // the properties of a resource
fn api_expose(
    relation: Option<pg_sys::Oid>,
    name: Option<&str>,
    readable: Option<Vec<Option<String>>>,
    creatable: Option<Vec<Option<String>>>,
    updatable: Option<Vec<Option<String>>>,
    filterable: Option<Vec<Option<String>>>,
    sortable: Option<Vec<Option<String>>>,
    deletable: Option<bool>,
    id_column: Option<&str>,
    tenant_column: Option<&str>,
    description: Option<&str>,
    toolset: Option<&str>,
) -> String {
    const EXPOSE: &str = "SELECT hydra._expose($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let args = [
        tables::current_role().into(),
        relation.into(),
        name.into(),
        readable.into(),
        creatable.into(),
        updatable.into(),
        filterable.into(),
        sortable.into(),
        deletable.into(),
        id_column.into(),
        tenant_column.into(),
        description.into(),
        toolset.into(),
    ];
    tables::as_owner(|| Spi::get_one_with_args::<String>(EXPOSE, &args)).expect("SPI writes").expect("a name")
}

/// Removes a resource from the API. Returns whether there was one.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn api_hide(name: Option<&str>) -> bool {
    const HIDE: &str = "SELECT hydra._hide($1, $2)";
    // Found out before it is the owner.
    let args = [tables::current_role().into(), name.into()];
    tables::as_owner(|| Spi::get_one_with_args::<bool>(HIDE, &args)).expect("SPI writes").unwrap_or(false)
}
