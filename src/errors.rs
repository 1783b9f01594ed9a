//! What clients see of errors: which role is missing, and no frames of functions of the extension.
//!
//! Both can be done only where Postgres reports an error. If a privilege is missing, no code of the extension has run, and
//! PL/pgSQL adds its frames after an error was raised. Postgres calls its hook for all errors that go to the server log,
//! as they do by default (`log_min_messages`).

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

use pgrx::prelude::*;

/// Which roles may do what. The hints are made of it, so that they say what is granted.
const GRANTS: &str = include_str!("../sql/schema/90_grants.sql");

/// The roles that people and applications get, from the one that may do least.
const ROLES: [&str; 4] = ["hydra_emitter", "hydra_member", "hydra_analyst", "hydra_admin"];

thread_local! {
    static FORMER_HOOK: Cell<pg_sys::emit_log_hook_type> = const { Cell::new(None) };
}

/// Has Postgres call this module for each message. To be called once, while the library is loaded.
pub fn init() {
    // SAFETY: a variable of this process. The hook is guarded, and stays loaded for as long as the process lives.
    unsafe {
        FORMER_HOOK.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(on_message);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_message(error: *mut pg_sys::ErrorData) {
    // SAFETY: Postgres passes a valid message.
    let message = unsafe { &mut *error };
    if message.elevel == pg_sys::PGERROR as i32 {
        if message.sqlerrcode != PgSqlErrorCode::ERRCODE_INTERNAL_ERROR as i32 {
            leave_out_own_frames(message);
        }
        if message.sqlerrcode == PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as i32 && message.hint.is_null() {
            name_missing_role(message);
        }
    }
    if let Some(former) = FORMER_HOOK.get() {
        // SAFETY: the hook of another extension, called as Postgres would.
        unsafe { former(error) };
    }
}

fn leave_out_own_frames(message: &mut pg_sys::ErrorData) {
    let Some(context) = text(message.context) else { return };
    let own = own_frames(&context);
    match context[own..].trim_start_matches('\n') {
        "" => message.context = std::ptr::null_mut(),
        rest if own > 0 => message.context = copy(message, rest),
        _ => {}
    }
}

fn name_missing_role(message: &mut pg_sys::ErrorData) {
    let (Some(template), Some(said)) = (text(message.message_id.cast_mut()), text(message.message)) else { return };
    if let Some(hint) = hint(&template, &said) {
        message.hint = copy(message, &hint);
    }
}

fn text(text: *mut c_char) -> Option<String> {
    // SAFETY: a C string, or null.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Returns a copy that lives as long as the message.
fn copy(message: &pg_sys::ErrorData, text: &str) -> *mut c_char {
    let Ok(text) = CString::new(text) else { return std::ptr::null_mut() };
    // SAFETY: the memory of the message, and a C string.
    unsafe { pg_sys::MemoryContextStrdup(message.assoc_context, text.as_ptr()) }
}

/// Returns the length of the frames of the extension with which a context begins, the innermost first, and of the
/// statement that called them. They are recognized in any language: by the schema of what they name.
fn own_frames(context: &str) -> usize {
    let is_own = |frame: &&&str| frame.match_indices("hydra.").any(|(at, _)| !ends_in_a_name(&frame[..at]));
    let frames = frames(context);
    let own: Vec<&&str> = frames.iter().take_while(is_own).collect();
    // A frame that quotes nothing is that of a function. Without one, it is a statement of the application that failed.
    match own.iter().take(2).any(|frame| !frame.contains('"')) {
        true => own.iter().map(|frame| frame.len()).sum(),
        false => 0,
    }
}

/// Splits a context into its frames, each with its line end. A quoted statement may have several lines.
fn frames(context: &str) -> Vec<&str> {
    let (mut frames, mut start, mut end, mut is_quoted) = (Vec::new(), 0, 0, false);
    for line in context.split_inclusive('\n') {
        end += line.len();
        is_quoted ^= line.matches('"').count() % 2 == 1;
        if !is_quoted {
            frames.push(&context[start..end]);
            start = end;
        }
    }
    frames
}

fn ends_in_a_name(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Returns what to do about a missing privilege for something of the extension. `template` is the message before Postgres
/// has put in a name and translated it.
fn hint(template: &str, message: &str) -> Option<String> {
    let mut names = message.split(|c: char| !c.is_alphanumeric() && c != '_');
    match template.strip_prefix("permission denied for ")? {
        "schema %s" => names.any(|name| name == "hydra").then(|| {
            "Use a role that is a member of hydra_emitter to emit events and to watch tables, of hydra_member or hydra_analyst to look, of hydra_admin to manage subscriptions: GRANT hydra_emitter TO …;".into()
        }),
        "function %s" | "view %s" => {
            // Others may have a view with a name of one word, such as flows.
            let roles = names.filter(|name| name.contains('_')).map(roles_for).find(|roles| !roles.is_empty())?;
            Some(format!("Use a role that is a member of {}: GRANT {} TO …;", roles.join(" or "), roles[0]))
        }
        _ => None,
    }
}

/// Returns the roles that may use a function or a view of the extension.
fn roles_for(name: &str) -> Vec<&'static str> {
    let lines = GRANTS.lines().map(|line| line.split("--").next().unwrap_or_default());
    let sql = lines.collect::<Vec<_>>().join("\n");
    let mut granted = Vec::new();
    for (objects, roles) in
        sql.split(';').filter_map(|statement| statement.trim().strip_prefix("GRANT ")?.rsplit_once("TO "))
    {
        let qualified = format!("hydra.{name}");
        let names_it = |(at, found): (usize, &str)| {
            !objects[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        };
        if objects.match_indices(&qualified).any(names_it) {
            granted.extend(roles.split(',').map(|role| role.trim().to_owned()));
        }
    }
    ROLES.into_iter().filter(|role| granted.iter().any(|granted| granted == role)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_roles_that_may_use_the_object() {
        assert_eq!(roles_for("webhook_create"), ["hydra_admin"]);
        assert_eq!(roles_for("webhook_emit"), ["hydra_emitter"]);
        assert_eq!(roles_for("webhook_history"), ["hydra_analyst", "hydra_admin"]);
        assert!(roles_for("signing_secret").is_empty() && roles_for("webhook_emi").is_empty());
        let in_german = hint("permission denied for function %s", "keine Berechtigung für Funktion webhook_create");
        assert_eq!(in_german.as_deref(), Some("Use a role that is a member of hydra_admin: GRANT hydra_admin TO …;"));
        for (template, message) in [
            ("permission denied for view %s", "permission denied for view flows"),
            ("permission denied for schema %s", "permission denied for schema hydration"),
            ("permission denied for table %s", "permission denied for table webhook_history"),
            ("must be owner of view %s", "must be owner of view webhook_history"),
        ] {
            assert_eq!(hint(template, message), None, "{message}");
        }
    }

    #[test]
    fn the_innermost_frames_of_the_extension_are_left_out_and_those_of_the_application_stay() {
        let rest = |context: &str| context[own_frames(context)..].to_owned();
        let own = "PL/pgSQL function hydra._check_subscription(text,text[]) line 93 at RAISE\n\
                   SQL statement \"SELECT hydra._check_subscription(name,\n     \"only\")\"\n\
                   PL/pgSQL function hydra.webhook_create(text,text[]) line 19 at PERFORM";
        assert_eq!(rest(own), "");
        let caller =
            "\nSQL statement \"SELECT hydra.webhook_create(\n 'x')\"\nPL/pgSQL function app.seed() line 3 at PERFORM";
        assert_eq!(rest(&[own, caller].concat()), "PL/pgSQL function app.seed() line 3 at PERFORM");
        for application in [
            "PL/pgSQL function app.check_row() line 2 at RAISE\nPL/pgSQL function hydra.webhook_create(text) line 1 at SQL statement",
            "SQL statement \"INSERT INTO log SELECT hydra.current_tenant()\"\nPL/pgSQL function app.log() line 3 at SQL statement",
            "PL/pgSQL function app_hydra.f() line 1 at RAISE",
            "",
        ] {
            assert_eq!(rest(application), application);
        }
    }
}
