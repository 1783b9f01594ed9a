//! What the gateway says about its own state: to the supervisor on standard output, otherwise in the log.

use std::io::{self, Write};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::log::Log;
use crate::settings::Fault;

/// A state of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Listening {
        address: String,
        mail: Option<String>,
    },
    /// It listens as before, because the new settings cannot be used.
    Refused {
        address: String,
        fault: Fault,
    },
    /// It does not listen.
    Failed(Fault),
    /// It listens, and every request gets 503.
    CannotConnect {
        error: String,
    },
    Ending,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Listening { .. } | Self::Refused { .. } => "listening",
            Self::Failed(_) => "failed",
            Self::CannotConnect { .. } => "cannot_connect",
            Self::Ending => "ending",
        }
    }

    fn about(&self) -> Value {
        match self {
            Self::Listening { address, mail: None } => json!({"address": address}),
            Self::Listening { address, mail } => json!({"address": address, "mail_address": mail}),
            Self::Refused { address, fault } => {
                json!({"address": address, "error": fault.error, "hint": fault.hint})
            }
            Self::Failed(fault) => json!({"error": fault.error, "hint": fault.hint}),
            Self::CannotConnect { error } => json!({"error": error}),
            Self::Ending => json!({}),
        }
    }

    fn is_trouble(&self) -> bool {
        !matches!(self, Self::Listening { .. } | Self::Ending)
    }
}

pub struct Reporter {
    supervised: bool,
    last: Mutex<Option<State>>,
}

impl Reporter {
    pub fn new(supervised: bool) -> Self {
        Self { supervised, last: Mutex::default() }
    }

    /// Says a state, unless it is the one that was said last.
    pub fn say(&self, log: &Log, state: State) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.as_ref() == Some(&state) {
            return;
        }
        if self.supervised {
            let mut line = state.about();
            line["state"] = json!(state.name());
            let mut out = io::stdout().lock();
            // A supervisor that does not read has gone, and then standard input ends too.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        } else {
            log.event(if state.is_trouble() { "error" } else { "info" }, state.name(), state.about());
        }
        *last = Some(state);
    }
}
