//! What a rehearsal would have done: rows, webhooks, notices.

use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::figures::grouped;
use crate::json::indented;
use crate::moment::count;

/// What is too large is not kept: then a part is `None`.
pub struct Effects {
    tables: Option<Vec<Table>>,
    webhooks: Option<Vec<Webhook>>,
    notices: Option<Vec<Notice>>,
}

#[derive(Deserialize)]
struct Table {
    table: String,
    #[serde(default)]
    inserted: i64,
    #[serde(default)]
    updated: i64,
    #[serde(default)]
    deleted: i64,
}

#[derive(Deserialize)]
struct Webhook {
    event: String,
    name: Option<String>,
    url: Option<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Notice {
    severity: Option<String>,
    message: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
}

impl Effects {
    pub fn new(effects: &Value) -> Self {
        Self { tables: part(effects, "tables"), webhooks: part(effects, "webhooks"), notices: part(effects, "notices") }
    }

    /// What a rehearsal would have done.
    pub fn show(&self) -> Markup {
        let is_nothing = |is_empty: Option<bool>| is_empty == Some(true);
        let changes = [self.tables.as_ref().map(Vec::is_empty), self.webhooks.as_ref().map(Vec::is_empty)];
        html! {
            div.effects {
                @if changes.into_iter().all(is_nothing) { p.minor { "It would change nothing." } }
                @match &self.tables { Some(tables) => (rows(tables)), None => p.minor { "The rows that it would write are too many to be kept." } }
                @match &self.webhooks {
                    Some(webhooks) => (requests(webhooks)),
                    None => p.minor { "The webhooks that it would send are too large to be kept." },
                }
                @for notice in self.notices.iter().flatten() { (said(notice)) }
            }
        }
    }
}

fn part<T: DeserializeOwned>(effects: &Value, name: &str) -> Option<Vec<T>> {
    Vec::deserialize(effects.get(name)?).ok()
}

fn rows(tables: &[Table]) -> Markup {
    html! {
        @if !tables.is_empty() {
            p.label { "It would write" }
            ul.plainly { @for table in tables { li { code { (table.table) } " " span.minor { (changes(table)) } } } }
        }
    }
}

fn requests(webhooks: &[Webhook]) -> Markup {
    html! {
        @if !webhooks.is_empty() {
            p.label { "It would send " (count(webhooks.len() as i64, "webhook")) }
            ul.plainly {
                @for webhook in webhooks {
                    li {
                        code { (webhook.event) } " to "
                        (webhook.name.as_deref().filter(|name| !name.is_empty()).or(webhook.url.as_deref()).unwrap_or("a webhook"))
                        @if let Some(body) = &webhook.body { details { summary { "Body" } pre.excerpt { (indented(body)) } } }
                    }
                }
            }
        }
    }
}

fn changes(table: &Table) -> String {
    let numbers = [(table.inserted, "inserted"), (table.updated, "updated"), (table.deleted, "deleted")];
    let changes = numbers.into_iter().filter(|(number, _)| *number > 0);
    changes.map(|(number, what)| format!("{} {what}", grouped(number))).collect::<Vec<_>>().join(", ")
}

fn said(notice: &Notice) -> Markup {
    html! {
        p.minor {
            b { (crate::field::sentence(notice.severity.as_deref().unwrap_or("notice")).trim_end_matches('.')) ": " }
            @for (place, text) in [&notice.message, &notice.detail, &notice.hint].into_iter().flatten().enumerate() {
                @if place > 0 { " " } (text)
            }
        }
    }
}
