//! Calls the function of a channel: as its owner, in the tenant of the channel, with a time limit.

use std::cell::Cell;

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;

use super::channel::Channel;
use crate::backend::refuse::refuse;
use crate::backend::subtransaction::{attempt, must_end, report};
use crate::backend::{deadline, raised};
use crate::inbound::hops::with_hops;
use crate::serve::context::Context;
use crate::serve::{identity, sql};

/// An error of a function. Its effects are undone.
pub struct Failed {
    pub error: String,
    pub sqlstate: String,
}

thread_local! {
    static CURRENT: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Whether this message is the one whose function is running, which may read all of it.
pub fn is_current(message: i64) -> bool {
    CURRENT.get() == Some(message)
}

/// Calls the function in a subtransaction, and returns its result.
pub fn call(channel: &Channel, message: i64, argument: Value) -> Result<Value, Failed> {
    struct Restored(Option<i64>);
    impl Drop for Restored {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restored = Restored(CURRENT.replace(Some(message)));
    let attempted = attempt(|| {
        let statement = match (&channel.call, &channel.refusal) {
            (Some(call), None) => call,
            (_, refusal) => refuse_to_call(channel, refusal.as_deref().unwrap_or_default()),
        };
        let context = Context { tenant: channel.tenant.clone(), ..Context::default() };
        let call = || {
            let result = sql::json(statement, &[JsonB(argument).into()]);
            check_entity(&result);
            result
        };
        // What it emits is caused by a message, so a loop over another system comes to an end.
        deadline::with_deadline(channel.timeout, || {
            with_hops(0, || identity::act(channel.owner, identity::APPLICATION, context, call))
        })
    });
    attempted.map_err(|error| {
        if must_end(&error) && !deadline::is_over() {
            error.rethrow();
        }
        const LONGEST: usize = 2000;
        let mut message = report(&error).message().to_owned();
        message.truncate(message.floor_char_boundary(LONGEST));
        Failed { error: message, sqlstate: raised::sqlstate(&error) }
    })
}

/// Returns a member of a result that names the entity of a message; `None`: there is none.
pub fn named(result: &Value, member: &str) -> Option<String> {
    match &result[member] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Fails if the entity that a result names is one that no thread can be about.
fn check_entity(result: &Value) {
    const LONGEST: [(&str, usize); 2] = [("entity_type", 200), ("entity_id", 300)];
    // Half of a name is none.
    if LONGEST.iter().any(|(member, _)| named(result, member).is_none()) {
        return;
    }
    for (member, longest) in LONGEST {
        if named(result, member).is_some_and(|text| !(1..=longest).contains(&text.len()) || text.contains('\0')) {
            refuse(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("the function returned an invalid {member}"),
                &format!("It has 1 to {longest} bytes."),
                "Return the kind and the id of the entity that the message belongs to, or null.",
            );
        }
    }
}

fn refuse_to_call(channel: &Channel, why: &str) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the function of channel {} cannot be called: {why}", channel.address),
        "It must exist, belong to the same role as when the channel was made, and to no role with powerful privileges.",
        "Mend the function, and accept it with hydra.mail_channel_update().",
    )
}
