//! What a rehearsal would have done, or what was approved and has been done: rows, webhooks, notices.

use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::figures::grouped;
use crate::json::indented;
use crate::moment::count;
use crate::visible::{block, visible};

/// Whether the effects are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tense {
    Conditional,
    Past,
}

impl Tense {
    fn words(self) -> Words {
        match self {
            Self::Conditional => Words {
                nothing: "It would change nothing.",
                write: "It would write",
                send: "It would send",
                rows_not_kept: "The rows that it would write are too many to be kept.",
                webhooks_not_kept: "The webhooks that it would send are too large to be kept.",
            },
            Self::Past => Words {
                nothing: "It changed nothing.",
                write: "It wrote",
                send: "It sent",
                rows_not_kept: "The rows that it wrote are too many to be kept.",
                webhooks_not_kept: "The webhooks that it sent are too large to be kept.",
            },
        }
    }
}

struct Words {
    nothing: &'static str,
    write: &'static str,
    send: &'static str,
    rows_not_kept: &'static str,
    webhooks_not_kept: &'static str,
}

/// What is too large is not kept: then a part is `None`.
pub struct Effects {
    tables: Option<Vec<Table>>,
    webhooks: Option<Vec<Webhook>>,
    /// How many webhooks there are, if that is more than are listed.
    webhook_count: Option<usize>,
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
        let webhook_count = effects["webhook_count"].as_u64().and_then(|count| count.try_into().ok());
        Self {
            tables: part(effects, "tables"),
            webhooks: part(effects, "webhooks"),
            webhook_count,
            notices: part(effects, "notices"),
        }
    }

    /// `own`: what else is done, which is not among these effects.
    pub fn show(&self, tense: Tense, own: Option<&str>) -> Markup {
        let words = tense.words();
        let is_nothing = |is_empty: Option<bool>| is_empty == Some(true);
        let changes = [self.tables.as_ref().map(Vec::is_empty), self.webhooks.as_ref().map(Vec::is_empty)];
        html! {
            div.effects {
                @if let Some(own) = own { p { (own) } }
                @else if changes.into_iter().all(is_nothing) { p.minor { (words.nothing) } }
                @match &self.tables { Some(tables) => (rows(words.write, tables)), None => p.minor { (words.rows_not_kept) } }
                @match &self.webhooks {
                    Some(webhooks) => (requests(words.send, webhooks, self.webhook_count.unwrap_or(0))),
                    None => p.minor { (words.webhooks_not_kept) },
                }
                @for notice in self.notices.iter().flatten() { (said(notice)) }
            }
        }
    }
}

fn part<T: DeserializeOwned>(effects: &Value, name: &str) -> Option<Vec<T>> {
    Vec::deserialize(effects.get(name)?).ok()
}

fn rows(write: &str, tables: &[Table]) -> Markup {
    html! {
        @if !tables.is_empty() {
            p.label { (write) }
            ul.plainly { @for table in tables { li { code { (table.table) } " " span.minor { (changes(table)) } } } }
        }
    }
}

fn requests(send: &str, webhooks: &[Webhook], all: usize) -> Markup {
    let all = all.max(webhooks.len());
    html! {
        @if all > 0 {
            p.label { (send) " " (count(all as i64, "webhook")) }
            ul.plainly {
                @for webhook in webhooks {
                    li {
                        code { (webhook.event) } " to "
                        (place(webhook))
                        @if let Some(body) = &webhook.body { details { summary { "Body" } (block(&indented(body))) } }
                    }
                }
                @if all > webhooks.len() { li { (all - webhooks.len()) " more, which are not listed" } }
            }
        }
    }
}

/// Where it goes. Who may not see that learns only that there is one.
fn place(webhook: &Webhook) -> Markup {
    let name = webhook.name.as_deref().filter(|name| !name.is_empty());
    html! {
        @match (name, webhook.url.as_deref()) {
            (Some(name), Some(url)) => { bdi { (visible(name)) } " " span.url { (visible(url)) } },
            (Some(name), None) => bdi { (visible(name)) },
            (None, Some(url)) => span.url { (visible(url)) },
            (None, None) => "a webhook that you may not see",
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
                @if place > 0 { " " } (visible(text))
            }
        }
    }
}
