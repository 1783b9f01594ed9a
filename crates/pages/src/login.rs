//! The page that a link leads to. Its button uses the link up; opening the page, which programs that preview links do,
//! changes nothing.

use maud::html;
use serde::Deserialize;
use serde_json::Value;

use crate::moment::exactly;
use crate::{Unreadable, layout, read};

#[derive(Deserialize)]
struct Link {
    role: String,
    tenant_id: Option<String>,
    valid_until: Option<String>,
}

pub fn page(model: &Value) -> Result<String, Unreadable> {
    let Link { role, tenant_id, valid_until } = read(&model["data"])?;
    let main = html! {
        h1 { "Sign in to the settings" }
        p.lead { "This link signs you in once, in this browser." }
        dl.facts {
            div { dt { "Role" } dd { (role) } }
            @if let Some(tenant) = tenant_id { div { dt { "Tenant" } dd { (tenant) } } }
            @if let Some(end) = valid_until { div { dt { "Link valid until" } dd { (exactly(&end)) } } }
        }
        // To the address of this page, which has the secret of the link: without an action, it need not be in the page.
        form method="post" { button.primary.wide type="submit" { "Sign in" } }
        p.hint { "Not you? Close this page. Nothing has happened yet." }
    };
    Ok(layout::alone("Sign in", main).into_string())
}
