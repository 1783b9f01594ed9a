//! Registers functions of the application as tools. The checks are in `sql/functions/tool.sql`; these functions need the role
//! of their caller, which a SECURITY DEFINER function does not see.

use pgrx::prelude::*;

use crate::tables;

/// Lets models call a function, or replaces the tool of this name. Returns its name.
#[pg_extern(sql = r#"
CREATE FUNCTION hydra.tool_register(
    function regprocedure, name text DEFAULT NULL, title text DEFAULT NULL, writes boolean DEFAULT NULL, scope text DEFAULT NULL,
    toolset text DEFAULT 'data', destructive boolean DEFAULT false, idempotent boolean DEFAULT false,
    rehearsable boolean DEFAULT true)
    RETURNS text LANGUAGE c SET search_path = pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
#[allow(clippy::too_many_arguments)] // the properties of a tool
fn tool_register(
    function: Option<pg_sys::Oid>,
    name: Option<&str>,
    title: Option<&str>,
    writes: Option<bool>,
    scope: Option<&str>,
    toolset: Option<&str>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
    rehearsable: Option<bool>,
) -> String {
    const REGISTER: &str = "SELECT hydra._register_tool($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let args = [
        tables::current_role().into(),
        function.into(),
        name.into(),
        title.into(),
        writes.into(),
        scope.into(),
        toolset.into(),
        destructive.into(),
        idempotent.into(),
        rehearsable.into(),
    ];
    tables::as_owner(|| Spi::get_one_with_args::<String>(REGISTER, &args)).expect("SPI writes").expect("a name")
}

/// Removes a tool. Returns whether there was one.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn tool_unregister(name: Option<&str>) -> bool {
    const UNREGISTER: &str = "SELECT hydra._unregister_tool($1, $2)";
    // Found out before it is the owner.
    let args = [tables::current_role().into(), name.into()];
    tables::as_owner(|| Spi::get_one_with_args::<bool>(UNREGISTER, &args)).expect("SPI writes").unwrap_or(false)
}
