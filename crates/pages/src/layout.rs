//! What all pages have in common: the document, the navigation, and the message about what was just done.

use maud::{DOCTYPE, Markup, html};

use crate::figures::grouped;
use crate::model::{Page, Visitor};
use crate::moment::Now;
use crate::stylesheet::stylesheet_path;

/// One point, and three lines that leave it. In the address of the picture, because the pages have no other files.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
    %3Crect width='32' height='32' rx='8' fill='%234053c8'/%3E\
    %3Cpath d='M8 16h15M13 16c4 0 4-7 10-7M13 16c4 0 4 7 10 7' fill='none' stroke='%23fff' stroke-width='2.5' \
    stroke-linecap='round'/%3E%3Ccircle cx='8.5' cy='16' r='3' fill='%23fff'/%3E%3C/svg%3E";

/// Who visits, and when.
pub struct Visit {
    pub visitor: Visitor,
    pub now: Now,
}

impl Visit {
    pub fn may_manage(&self) -> bool {
        self.visitor.may_manage
    }
}

/// What a page has of its own.
pub struct Content {
    pub title: String,
    /// The part of the navigation that it is in.
    pub section: &'static str,
    pub main: Markup,
}

pub fn page<D>(model: Page<D>, show: impl Fn(&Visit, &D) -> Content) -> Markup {
    let visit = Visit { now: Now::new(&model.now), visitor: model.visitor };
    let content = show(&visit, &model.data);
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            div.bar {
                a.brand href="/settings/webhooks" { (mark()) "Hydra" }
                nav aria-label="Settings" { (navigation(&model.sections, model.waiting, content.section)) }
                (visitor(&visit))
            }
        }
        main #main {
            @if let Some(text) = model.notice.as_deref().and_then(notice) {
                p.notice role="status" { (text) }
            }
            (content.main)
        }
    };
    document(&content.title, body)
}

/// A page to look things up: its parts are listed beside it.
pub fn reference(title: &str, parts: &[(String, &str)], main: Markup) -> Markup {
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top { div.bar { span.brand { (mark()) "Hydra" } } }
        div.beside {
            nav.parts aria-label="Parts" {
                ul { @for (id, name) in parts { li { a href=(format!("#{id}")) { (name) } } } }
            }
            main #main { (main) }
        }
    };
    document(title, body)
}

/// A page for who is not known, or for what cannot be shown.
pub fn alone(title: &str, main: Markup) -> Markup {
    let body = html! {
        header.top { div.bar { span.brand { (mark()) "Hydra" } } }
        main.alone #main { (main) }
    };
    document(title, body)
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Hydra" }
                link rel="stylesheet" href=(stylesheet_path());
                link rel="icon" href=(ICON);
            }
            body { (body) }
        }
    }
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" {
            rect width="32" height="32" rx="8" {}
            path d="M8 16h15M13 16c4 0 4-7 10-7M13 16c4 0 4 7 10 7" {}
            circle cx="8.5" cy="16" r="3" {}
        }
    }
}

fn navigation(sections: &[String], waiting: i64, current: &str) -> Markup {
    html! {
        ul {
            @for section in sections {
                @if let Some(name) = section_name(section) {
                    li {
                        a href=(format!("/settings/{section}")) aria-current=[(section == current).then_some("page")] {
                            (name)
                            @if section == "approvals" && waiting > 0 {
                                " " span.number { (grouped(waiting)) span.hidden { " waiting" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn section_name(section: &str) -> Option<&'static str> {
    Some(match section {
        "webhooks" => "Webhooks",
        "inbound-adapters" => "Inbound adapters",
        "approvals" => "Approvals",
        "flows" => "Flows",
        "event-types" => "Event types",
        "api-keys" => "API keys",
        "status" => "Status",
        _ => return None,
    })
}

fn visitor(visit: &Visit) -> Markup {
    let Visitor { role, tenant_id, expires_at, .. } = &visit.visitor;
    html! {
        div.visitor {
            p {
                span.role { (role) }
                @if let Some(tenant) = tenant_id { span.tenant { " " span.hidden { "of tenant " } (tenant) } }
                @if let Some(end) = expires_at { span.until { "signed in, ends " (visit.now.tell(end)) } }
            }
            form method="post" action="/logout" { button.quiet type="submit" { "Sign out" } }
        }
    }
}

fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "created" => "Created.",
        "updated" => "The changes are saved. They apply from the next attempt on.",
        "paused" => "Paused. Nothing is sent to this endpoint until you resume it.",
        "resumed" => "Resumed. Waiting deliveries are being sent.",
        "deleted" => "The webhook is deleted.",
        "retried" => "The delivery is being sent again.",
        "cancelled" => "The delivery is cancelled.",
        "replayed" => "All failed deliveries are being sent again.",
        "overlap-ended" => "The overlap has ended. Only the new secret signs.",
        "registered" => "The event type is registered.",
        "adapter-updated" => "The changes are saved. They apply to the next request.",
        "adapter-paused" => "Paused. Requests are answered with status 503 until you resume it.",
        "adapter-resumed" => "Resumed. Requests are accepted again.",
        "adapter-deleted" => "The adapter is deleted. Its URL no longer works.",
        "events-again" => "Events that failed, or for which no flow ran, are being processed again.",
        "event-again" => "The event is being processed again.",
        "secret-replaced" => "The secret is replaced.",
        "deployed" => "Deployed. The flow runs from the next event on.",
        "in-testing" => "In testing. The flow is rehearsed from the next event on, and changes nothing.",
        "flow-paused" => "Paused. The flow no longer runs.",
        "flow-deleted" => "The flow is deleted.",
        "approved" => "Approved. What was shown is done.",
        "refused" => "Refused. Nothing was written.",
        "revoked" => "The key is revoked. Requests with it are refused.",
        _ => return None,
    })
}

/// The head of a page: its way back, its title, and what can be done.
pub fn head(back: Option<(&str, &str)>, title: Markup, actions: Markup) -> Markup {
    html! {
        @if let Some((path, name)) = back {
            p.back { a href=(path) { span aria-hidden="true" { "← " } (name) } }
        }
        div.head {
            h1 { (title) }
            @if !actions.0.is_empty() { div.actions { (actions) } }
        }
    }
}

/// A form that is one button.
pub fn button(path: &str, class: &str, text: Markup) -> Markup {
    html! { form.one method="post" action=(path) { button class=(class) type="submit" { (text) } } }
}

/// A text to copy, such as a statement for psql.
pub fn snippet(text: &str) -> Markup {
    html! { pre.snippet { code { (text) } } }
}
