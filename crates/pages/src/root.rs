//! The page at the root of a gateway, for a person who has only its address. It is the same for everybody, so it says nothing about
//! the database.

use maud::html;

use crate::layout;

pub fn page() -> String {
    let main = html! {
        h1 { "A gateway of Hydra Webhooks" }
        p.lead { "It connects an application's database with other systems: webhooks out, events in, and an API." }
        dl.facts {
            div {
                dt { a href="/settings" { "Settings" } }
                dd { "For people. You need a link from who runs the database." }
            }
            div {
                dt { a href="/api/v1/" { "API" } }
                dd { "For programs, with a key. Assistants use the same key at " code { "/mcp" } "." }
            }
        }
    };
    layout::alone("Gateway", main).into_string()
}
