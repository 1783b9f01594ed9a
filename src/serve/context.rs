//! The request that is being answered: its tenant, key and scopes.
//!
//! They are kept in the memory of this process and not in a setting, so that no SQL can set them. They hold for exactly
//! one call of `hydra.serve`: the value that holds them is dropped when the call returns or fails, whatever savepoints and
//! errors there were. Everything that runs in it sees the same values.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::prelude::*;

#[derive(Debug, Default)]
pub struct Context {
    pub tenant: Option<String>,
    pub key: Option<i64>,
    pub scopes: Vec<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// Runs `body` with this context, and then restores the former one.
pub fn with<R>(context: Context, body: impl FnOnce() -> R) -> R {
    struct Restored(Option<Rc<Context>>);
    impl Drop for Restored {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restored = Restored(CURRENT.replace(Some(Rc::new(context))));
    body()
}

fn current() -> Option<Rc<Context>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Returns the tenant of the current request.
#[pg_extern(stable, parallel_restricted)]
pub fn current_tenant() -> Option<String> {
    current()?.tenant.clone()
}

/// Returns the id of the API key of the current request.
#[pg_extern(stable, parallel_restricted)]
fn current_key() -> Option<i64> {
    current()?.key
}

/// Returns the scopes of the current request.
#[pg_extern(stable, parallel_restricted)]
fn current_scopes() -> Option<Vec<String>> {
    Some(current()?.scopes.clone())
}
