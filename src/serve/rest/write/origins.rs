//! Finds out of which tables the columns of a resource are: those of a table are its own, and those of a view are columns of the
//! tables behind it, unless they are computed.
//!
//! A table behind a view is read as the owner of the view, unless the view is a `security_invoker`.

use std::ffi::CStr;

use pgrx::prelude::*;

/// Columns of a resource, each with the column of a table that it is.
#[derive(Default)]
pub struct Origins {
    pub names: Vec<String>,
    pub tables: Vec<pg_sys::Oid>,
    /// Numbers of the columns of the tables.
    pub numbers: Vec<i16>,
    /// Roles that read the tables.
    pub readers: Vec<pg_sys::Oid>,
}

/// A column that has been followed to this relation.
struct Followed {
    name: String,
    number: i16,
}

/// Returns the columns of a relation, each with the column of a table that it is.
#[pg_extern(stable, strict)]
#[search_path(pg_catalog, pg_temp)]
fn _column_origins(
    relation: pg_sys::Oid,
) -> TableIterator<'static, (name!(column_name, String), name!(relation, pg_sys::Oid), name!(number, i16))> {
    // Who reads the tables behind a view is not asked.
    let Origins { names, tables, numbers, .. } = of(relation, pg_sys::InvalidOid);
    let columns = names.into_iter().zip(tables).zip(numbers);
    TableIterator::new(columns.map(|((name, table), number)| (name, table, number)))
}

/// Returns the origins of the columns of a relation that is read as `reader`.
pub fn of(relation: pg_sys::Oid, reader: pg_sys::Oid) -> Origins {
    let mut origins = Origins::default();
    let all = (1..).map_while(|number| Some(Followed { name: name_of(relation, number)?, number })).collect();
    add(&mut origins, relation, reader, all);
    origins
}

fn name_of(relation: pg_sys::Oid, number: i16) -> Option<String> {
    // SAFETY: null if there is no such column, and otherwise a C string.
    unsafe {
        let name = pg_sys::get_attname(relation, number, true);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

fn add(origins: &mut Origins, relation: pg_sys::Oid, reader: pg_sys::Oid, columns: Vec<Followed>) {
    // SAFETY: looks the relation up in the catalog; an error if views are nested too deeply.
    let kind = unsafe {
        pg_sys::check_stack_depth();
        pg_sys::get_rel_relkind(relation) as u8
    };
    if kind != pg_sys::RELKIND_VIEW {
        for Followed { name, number } in columns {
            origins.names.push(name);
            origins.tables.push(relation);
            origins.numbers.push(number);
            origins.readers.push(reader);
        }
        return;
    }
    let (reader, behind) = columns_behind(relation, reader, columns);
    for (relation, column) in behind {
        add(origins, relation, reader, vec![column]);
    }
}

/// Returns who reads what is behind a view, and the columns behind these columns of it, each with its relation.
fn columns_behind(
    view: pg_sys::Oid,
    reader: pg_sys::Oid,
    columns: Vec<Followed>,
) -> (pg_sys::Oid, Vec<(pg_sys::Oid, Followed)>) {
    // SAFETY: the view is open, and its query is as long as it is; nothing of it is returned.
    unsafe {
        let open = pg_sys::relation_open(view, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let options = (*open).rd_options.cast::<pg_sys::ViewOptions>();
        let is_invoker = !options.is_null() && (*options).security_invoker;
        let reader = if is_invoker { reader } else { (*(*open).rd_rel).relowner };
        let targets = (*pg_sys::get_view_query(open)).targetList;
        let behind = columns.into_iter().filter_map(|Followed { name, number }| {
            let mut entries = (0..(*targets).length as usize).map(|place| (*(*targets).elements.add(place)).ptr_value);
            let target = entries.find_map(|entry| {
                let target = entry.cast::<pg_sys::TargetEntry>();
                ((*target).resno == number && !(*target).resjunk).then_some(target)
            })?;
            let relation = (*target).resorigtbl;
            (relation != pg_sys::InvalidOid).then(|| (relation, Followed { name, number: (*target).resorigcol }))
        });
        let behind = behind.collect();
        pg_sys::relation_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
        (reader, behind)
    }
}
