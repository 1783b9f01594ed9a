//! The page for an answer that is a problem.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::field::sentence;
use crate::layout;
use crate::wording::is_sql;

#[derive(Default, Deserialize)]
struct Problem {
    status: Option<u16>,
    title: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    request_id: Option<String>,
}

/// Returns the HTML document for a problem of RFC 9457, as `hydra.serve` or the gateway makes them.
pub fn problem(problem: &Value) -> String {
    let problem = Problem::deserialize(problem).unwrap_or_default();
    let status = problem.status.unwrap_or(500);
    let heading = heading(status).or(problem.title.as_deref()).unwrap_or("Something went wrong");
    let texts = problem.detail.iter().chain(problem.hint.iter().filter(|hint| !is_sql(hint)));
    let main = html! {
        p.code { "Error " (status) }
        h1 { (heading) }
        @for text in texts { p.lead { (sentence(text)) } }
        (advice(status))
        @if let Some(id) = &problem.request_id {
            p.hint { "Request " code { (id) } ". Name it when you ask for help." }
        }
    };
    layout::alone(heading, main).into_string()
}

fn heading(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "You are not signed in",
        403 => "You may not do this",
        404 => "There is nothing here",
        405 => "This address is for a button",
        409 => "This is not possible now",
        413 => "This is too much",
        429 => "Too many requests",
        500 => "Something went wrong on our side",
        503 => "The settings cannot be reached",
        _ => return None,
    })
}

fn advice(status: u16) -> Markup {
    let back = html! { p { a.button href="/settings/webhooks" { "Go to the webhooks" } } };
    match status {
        401 => html! {
            p.lead {
                "You need a link, which works once and for a few minutes. Yours may have been used or have ended."
            }
            h2 { "How to get a link" }
            p {
                "Ask who runs the database. They make one with this statement, and send you the address that it returns:"
            }
            (layout::snippet("SELECT hydra.console_link('hydra_admin');"))
            p.hint { code { "hydra_admin" } " may change settings, " code { "hydra_member" } " may look at them." }
        },
        404 => html! { p { "It may have been deleted, or the address is incomplete." } (back) },
        405 => html! { p { "Open the page again and press the button there." } (back) },
        429 | 500 | 503 => html! {
            p { "Nothing was changed by this request. Try again in a moment." }
            (back)
        },
        _ => back,
    }
}
