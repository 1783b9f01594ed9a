//! What holds for the whole API: how to begin, and how lists, changes, problems and limits work.

use maud::{Markup, html};

use crate::layout::snippet;

/// The first requests.
pub fn start(server: &str) -> Markup {
    html! {
        section.card.part #start aria-labelledby="of-start" {
            h2 #of-start { "Start" }
            p.lead { "Send the key with each request. In a shell:" }
            (snippet(&format!(
                "export KEY=hyk_…\n\
                 curl -H \"Authorization: Bearer $KEY\" {server}/me\n\
                 curl -H \"Authorization: Bearer $KEY\" {server}/openapi.json > openapi.json"
            )))
            p.hint { code { "openapi.json" } " is OpenAPI 3.1: clients for most languages can be made of it." }
        }
    }
}

pub fn concepts() -> Markup {
    html! {
        section.card.part #guide aria-labelledby="of-guide" {
            h2 #of-guide { "How it works" }
            dl.members.wide-terms {
                div { dt { "Pages" } dd {
                    "A list has at most " code { "limit" } " rows (50, at most 100). While " code { "has_more" } " is true, pass "
                    code { "next_cursor" } " as " code { "cursor" } ", with the same filters and the same order. The header "
                    code { "Link" } " has the whole address."
                } }
                div { dt { "Filters" } dd {
                    code { "status=open" } ", and with an operator " code { "created_at[gte]=2026-01-01" } ": "
                    code { "ne" } " " code { "gt" } " " code { "gte" } " " code { "lt" } " " code { "lte" } " "
                    code { "in" } " (a list with commas), " code { "null" } " (" code { "true" } " or " code { "false" } ")."
                } }
                div { dt { "Order" } dd {
                    code { "sort=-created_at,id" } ": a minus begins with the greatest value."
                } }
                div { dt { "Changes" } dd {
                    code { "PATCH" } " changes the members that are in the body and leaves the others. Send " code { "If-Match" }
                    " with the " code { "ETag" } " of the row, and nobody else's change is overwritten: then the answer is 412."
                } }
                div { dt { "Repeating" } dd {
                    "With " code { "Idempotency-Key" } " (any new text), a request that is sent again has its effect once, and gets the \
                     same answer, for 24 hours."
                } }
                div { dt { "Trying" } dd {
                    "With " code { "Prefer: tx=rollback" } ", a change is made and undone: the answer has what would be written, and \
                     which webhooks would be sent."
                } }
                div { dt { "Problems" } dd {
                    "A status from 400 on has " code { "application/problem+json" } ": " code { "type" } " stays the same, "
                    code { "errors" } " names members of the body, " code { "request_id" } " is what to name when you ask for help."
                } }
                div { dt { "Limits" } dd {
                    "The headers " code { "RateLimit" } " and " code { "X-RateLimit-Remaining" } " say what is left. With 429, wait for "
                    code { "Retry-After" } " seconds."
                } }
            }
        }
    }
}
