//! The form of a new API key.

use maud::{Markup, html};
use serde::Deserialize;

use crate::field::{self, Kind, LINE, NUMBER};
use crate::layout::{Content, Visit, head};
use crate::model::Form;

#[derive(Deserialize)]
pub struct Data {
    form: Form,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    approvals: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let form = &data.form;
    let main = html! {
        (head(Some(("/settings/api-keys", "API keys")), html! { "New API key" }, html! {}))
        (field::summary(form))
        form.sheet method="post" action="/settings/api-keys" novalidate {
            (field::hidden(form))
            section.card aria-labelledby="what" {
                h2 #what { "What it is for" }
                (field::input(form, "name", LINE, html! { "For people, such as the program that uses it." }))
                (scopes(form, &data.scopes))
            }
            section.card aria-labelledby="who" {
                h2 #who { "As whom, and how long" }
                (roles(form, &data.roles))
                @match &visit.visitor.tenant_id {
                    Some(tenant) => p.field { "Its requests belong to tenant " b { (tenant) } "." },
                    None => (field::input(form, "tenant_id", LINE, html! {
                        "Its requests belong to this tenant. Empty: to none."
                    })),
                }
                (field::input(form, "expires_at", Kind::Line { of_type: date_type(form), narrow: true }, html! {
                    "It ends when this day begins. Empty: it does not end."
                }))
                (field::input(form, "requests_per_minute", NUMBER, html! { "At all gateways together." }))
                (approvals(form, &data.approvals))
            }
            div.submit {
                button.primary type="submit" { "Create key" }
                a.button href="/settings/api-keys" { "Cancel" }
            }
        }
    };
    let title = if form.errors.is_empty() { "New API key" } else { "Error: New API key" };
    Content { title: title.into(), section: "api-keys", main }
}

/// A browser would not show a value that is no date.
fn date_type(form: &Form) -> &'static str {
    let value = form.value("expires_at").as_bytes();
    let is_date = value.len() == 10
        && value
            .iter()
            .enumerate()
            .all(|(place, byte)| if [4, 7].contains(&place) { *byte == b'-' } else { byte.is_ascii_digit() });
    if is_date || value.is_empty() { "date" } else { "text" }
}

fn scopes(form: &Form, offered: &[String]) -> Markup {
    let chosen = form.list("scopes");
    let others: Vec<&str> =
        chosen.iter().filter(|scope| !offered.iter().any(|other| other == *scope)).copied().collect();
    let rooms = others.iter().copied().chain([""; 2]).enumerate();
    html! {
        fieldset.field #field-scopes aria-describedby=[field::described_by(form, "scopes", true)] {
            legend { "Scopes" }
            p.hint #hint-scopes { "What it may do. Give it no more than it needs." }
            (field::errors(form, "scopes"))
            @for scope in offered {
                (field::tick("scopes", scope, chosen.contains(&scope.as_str()), html! {
                    code { (scope) } span.minor { (meaning(scope)) }
                }))
            }
            p.hint {
                "Resources of the application, such as " code { "tickets:read" } " or " code { "tickets:write" } ":"
            }
            div.rooms {
                @for (place, value) in rooms {
                    input.narrow type="text" name="scopes" value=(value) aria-label=(format!("Scope of a resource, {}", place + 1))
                        autocomplete="off" spellcheck="false";
                }
            }
        }
    }
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "webhooks:read" => "Reads webhooks and their deliveries",
        "webhooks:manage" => "Creates, changes and deletes webhooks",
        "inbound:read" => "Reads events that came in",
        "flows:read" => "Reads flows and their runs",
        "mcp" => "Uses the tools for assistants",
        _ => "",
    }
}

fn roles(form: &Form, roles: &[String]) -> Markup {
    let chosen = form.value("role");
    let described = field::described_by(form, "role", true);
    let invalid = form.refusals("role").next().map(|_| "true");
    html! {
        div.field {
            label for="field-role" { "Role" }
            p.hint #hint-role { "Its requests may do in the database what this role may do." }
            (field::errors(form, "role"))
            select.narrow #field-role name="role" aria-describedby=[described] aria-invalid=[invalid] {
                @if !chosen.is_empty() && !roles.iter().any(|role| role == chosen) {
                    option value=(chosen) selected { (chosen) }
                }
                @for role in roles { option value=(role) selected[role == chosen] { (role) } }
            }
        }
    }
}

fn approvals(form: &Form, approvals: &[String]) -> Markup {
    let meaning = |approval: &str| match approval {
        "console" => "A person on these pages",
        "elicit" => "A person in the assistant, where it can ask; otherwise on these pages",
        "client" => "The client itself, which is no defence against planted instructions",
        _ => "",
    };
    let choices: Vec<(&str, Markup)> = approvals
        .iter()
        .map(|approval| (approval.as_str(), html! { b { (approval) } " " span.minor { (meaning(approval)) } }))
        .collect();
    field::choice(form, "approval", false, html! { "Who confirms what a tool is about to write." }, &choices)
}
