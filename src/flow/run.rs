//! Runs one flow: as the owner of its function, in the tenant of the event, and so that nothing of it is left in the session
//! for the flow after it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::JsonB;
use pgrx::pg_sys::PgOid;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;
use serde_json::Value;

use super::found::Flow;
use crate::backend::refuse::refuse;
use crate::emit::RawJsonb;
use crate::serve::context::Context;
use crate::serve::{identity, session};
use crate::tables;

/// The statements of so many functions are kept.
const MOST_PLANS: usize = 200;

/// Calls the function of a flow and returns its result.
pub fn call(flow: &Flow, tenant: Option<&str>, argument: &Value) -> Value {
    let call = match (&flow.call, &flow.refusal) {
        (Some(call), None) => call,
        (_, refusal) => refuse_to_run(flow, refusal.as_deref().unwrap_or_default()),
    };
    let context = Context { tenant: tenant.map(str::to_owned), ..Context::default() };
    session::with_settings_restored(|| {
        let result = identity::act(flow.owner, identity::APPLICATION, context, || execute(call, argument));
        // As the owner of the function: dropping temporary tables can run event triggers.
        tables::as_role(flow.owner, session::discard_all_but_settings);
        result
    })
}

/// Executes a statement that calls a function. Its plan is kept.
fn execute(call: &str, argument: &Value) -> Value {
    thread_local! {
        static PLANS: RefCell<HashMap<String, Rc<OwnedPreparedStatement>>> = RefCell::default();
    }
    Spi::connect_mut(|client| {
        let plan = PLANS.with_borrow_mut(|plans| {
            if plans.len() >= MOST_PLANS {
                plans.clear();
            }
            let prepare = || client.prepare_mut(call, &[PgOid::from(pg_sys::JSONBOID)]).expect("SPI prepares").keep();
            plans.entry(call.to_owned()).or_insert_with(|| Rc::new(prepare())).clone()
        });
        let result = client.update(&*plan, None, &[JsonB(argument.clone()).into()]).expect("SPI calls a function");
        result.first().get_one::<RawJsonb>().expect("a result of type jsonb").map_or(Value::Null, |value| value.value())
    })
}

fn refuse_to_run(flow: &Flow, why: &str) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("flow {} cannot run: {why}", flow.name),
        "Its function must exist, belong to the same role as when it was deployed, and to no role with powerful privileges.",
        "Mend the function, and deploy the flow again with hydra.flow_deploy().",
    )
}
