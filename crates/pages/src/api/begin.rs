//! What a person gets who opens the API in a browser without a key, or with one that is not valid; and other problems there.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::layout::{self, snippet};

#[derive(Default, Deserialize)]
struct Problem {
    status: Option<u16>,
    title: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    request_id: Option<String>,
}

/// Returns the HTML document for a problem. Without a valid key it is the same for everybody.
pub fn problem(problem: &Value) -> String {
    let problem = Problem::deserialize(problem).unwrap_or_default();
    match problem.status.unwrap_or(500) {
        401 => layout::alone("API", begin()).into_string(),
        status => {
            let title = problem.title.as_deref().unwrap_or("Something went wrong");
            let main = html! {
                p.code { "Error " (status) }
                h1 { (title) }
                @for text in [&problem.detail, &problem.hint].into_iter().flatten() { p.lead { (text) } }
                @if let Some(id) = &problem.request_id {
                    p.hint { "Request " code { (id) } ". Name it when you ask for help." }
                }
            };
            layout::alone(title, main).into_string()
        }
    }
}

fn begin() -> Markup {
    html! {
        h1 { "This is an API" }
        p.lead { "Programs use it with a key. With yours, you can read here what it can do." }
        form.begin method="post" action="/api/v1/" {
            div.field {
                label for="key" { "API key" }
                input #key name="key" type="password" autocomplete="off" autocapitalize="none" spellcheck="false"
                    placeholder="hyk_…" required aria-describedby="about-key";
                p.hint #about-key { "It is used for the next page, and not kept." }
            }
            div.submit { button.primary type="submit" { "Show what it can do" } }
        }
        h2 { "In a shell" }
        (snippet("curl -H \"Authorization: Bearer $KEY\" https://…/api/v1/"))
        h2 { "How to get a key" }
        p { "Ask who runs the database. They make one in the settings, under API keys, or with a statement:" }
        (snippet("SELECT key FROM hydra.api_key_create(\n  'My program', '{tickets:read}');"))
    }
}
