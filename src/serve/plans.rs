//! Keeps the plans of statements, by their texts: parsing and planning a statement takes longer than running it for one row.
//!
//! Postgres itself plans a kept statement again when something that it depends on has changed. It also decides whether to use the
//! values of the arguments in the plan. Each role has plans of its own: until 15.9, 16.5 and 17.1, Postgres does not always
//! notice that another role has other policies.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::rc::Rc;

use pgrx::prelude::*;

use crate::tables;

/// The maximum number of plans. Filters of lists can be combined in many ways, and each combination has a text of its own.
const PLANS: usize = 200;

/// A plan, which lives until nothing uses it any more.
pub struct Plan(pg_sys::SPIPlanPtr);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Values {
    /// Postgres chooses between a plan for these values and one for any.
    AreAlike,
    /// Each execution has a plan of its own, because its rows are few or many, depending on the values.
    Matter,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    sql: CString,
    role: pg_sys::Oid,
    types: Vec<pg_sys::Oid>,
    values: Values,
}

thread_local! {
    static KEPT: RefCell<HashMap<Key, Rc<Plan>>> = RefCell::default();
}

/// Returns the plan of a statement, whose arguments have these types; `None` if it cannot be planned. To be called in a
/// connection of SPI.
pub fn get(sql: &str, types: Vec<pg_sys::Oid>, values: Values) -> Option<Rc<Plan>> {
    let role = tables::current_role();
    let mut key = Key { sql: CString::new(sql).expect("a statement without NUL"), role, types, values };
    if let Some(plan) = KEPT.with_borrow(|kept| kept.get(&key).cloned()) {
        return Some(plan);
    }
    let plan = Rc::new(Plan::make(&mut key)?);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= PLANS {
            kept.clear();
        }
        kept.insert(key, Rc::clone(&plan));
    });
    Some(plan)
}

impl Plan {
    fn make(key: &mut Key) -> Option<Self> {
        let options = match key.values {
            Values::AreAlike => 0,
            Values::Matter => pg_sys::CURSOR_OPT_CUSTOM_PLAN as c_int,
        };
        // SAFETY: as many types as arguments. The plan is null, or is kept beyond this connection.
        unsafe {
            let count = key.types.len() as c_int;
            let plan = pg_sys::SPI_prepare_cursor(key.sql.as_ptr(), count, key.types.as_mut_ptr(), options);
            (!plan.is_null() && pg_sys::SPI_keepplan(plan) == 0).then_some(Self(plan))
        }
    }

    pub fn as_ptr(&self) -> pg_sys::SPIPlanPtr {
        self.0
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: a kept plan, which nothing runs any more.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}
