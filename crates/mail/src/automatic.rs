//! Whether a program has sent the message. Nobody waits for an answer to it, and an answer to it might be answered by a
//! program again, without end.
//!
//! `X-Auto-Response-Suppress` is not looked at: a person's message has it too, where the mail program asks others not to
//! answer automatically.

use crate::fields::{Field, value};

/// Returns why the message is taken for one that a program has sent; `None`: it is not. `return_path` is the sender
/// that the mail server was told; empty: none.
pub fn reason(fields: &[Field], kind: &str, return_path: Option<&str>) -> Option<&'static str> {
    let is = |name: &str, words: &[&str]| {
        value(fields, name).is_some_and(|value| {
            let word = value.split([';', ' ', '(']).next().unwrap_or_default();
            words.iter().any(|other| word.eq_ignore_ascii_case(other))
        })
    };
    let has = |name: &str| value(fields, name).is_some();
    let stated = value(fields, "return-path").map(|path| path.trim_matches(['<', '>', ' ']));
    if has("auto-submitted") && !is("auto-submitted", &["no"]) {
        Some("Auto-Submitted")
    } else if return_path.or(stated) == Some("") {
        Some("it has no return path")
    } else if kind == "multipart/report" {
        Some("it is a report")
    } else if ["list-id", "list-post", "list-unsubscribe", "mailing-list"].into_iter().any(has) {
        Some("it came by a mailing list")
    } else if is("precedence", &["bulk", "junk", "list", "auto_reply"]) {
        Some("Precedence")
    } else if ["x-autoreply", "x-autorespond", "x-autoresponder"]
        .into_iter()
        .any(|name| has(name) && !is(name, &["no"]))
    {
        Some("it is an automatic reply")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn of(header: &str, kind: &str, return_path: Option<&str>) -> Option<&'static str> {
        reason(&fields::of(header.as_bytes()), kind, return_path)
    }

    #[test]
    fn messages_of_programs_are_recognized() {
        for header in [
            "Auto-Submitted: auto-replied (vacation)",
            "Auto-Submitted: auto-generated; owner-email=x",
            "List-Id: <news.example.com>",
            "List-Unsubscribe: <mailto:x@example.com>",
            "Precedence: bulk",
            "X-Autoreply: yes",
            "Return-Path: <>",
        ] {
            assert!(of(header, "text/plain", None).is_some(), "{header}");
        }
        assert!(of("", "multipart/report", None).is_some());
        assert!(of("", "text/plain", Some("")).is_some());
    }

    #[test]
    fn messages_of_people_are_not() {
        for header in
            ["", "Auto-Submitted: no", "Precedence: first-class", "X-Auto-Response-Suppress: All", "Return-Path: <a@b>"]
        {
            assert_eq!(of(header, "multipart/mixed", Some("ann@example.com")), None, "{header}");
        }
    }
}
