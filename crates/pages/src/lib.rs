//! The settings pages: makes HTML of the JSON that `hydra.serve` returns for the surface `console`.
//!
//! A page is a pure function of its model: no clock, no files, no state. The model has the time at which it was made,
//! against which times are put into words. The pages need no script and no style in an element, so that the policy of
//! the gateway can refuse both:
//!
//! ```text
//! default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
//! ```
//!
//! Names, URLs, answers of endpoints and errors come from strangers. `maud` escapes all of it, and nothing here passes
//! it by. No link leads to what a stranger has written: all begin with `/settings`, `/api/v1` or `#`.
//!
//! | module | content |
//! |---|---|
//! | `model` | what several pages read |
//! | `layout`, `problem`, `login`, `root` | the document around all pages, and the pages without a visitor |
//! | `webhooks`, `webhook` | the list, and one webhook with its `failures`, what was `delivered`, and its `chart` |
//! | `webhook_form`, `event_picker` | new and changed webhooks |
//! | `preview`, `rotation`, `deletion`, `shown_once` | what else can be done with a webhook |
//! | `inbound` | adapters: the list, one with its events, its form, and what else can be done |
//! | `flow` | flows and their runs |
//! | `approval` | what tools want to write, and what was said to it |
//! | `effects` | rows, webhooks and notices of a rehearsal |
//! | `event_types`, `api_keys`, `api_key_form`, `status` | the other sections |
//! | `api` | the page about the REST API |
//! | `field`, `wording` | fields of forms, and why they are refused |
//! | `state`, `moment`, `figures`, `json` | states, times, numbers and JSON for people |
//! | `visible` | texts of strangers, with nothing in them that cannot be seen |

mod api;
mod api_key_form;
mod api_keys;
mod approval;
mod chart;
mod deletion;
mod delivered;
mod effects;
mod event_picker;
mod event_types;
mod failures;
mod field;
mod figures;
mod flow;
mod inbound;
mod json;
mod layout;
mod login;
mod model;
mod moment;
mod preview;
mod problem;
mod root;
mod rotation;
mod shown_once;
mod state;
mod status;
mod stylesheet;
#[cfg(test)]
mod tests;
mod visible;
mod webhook;
mod webhook_form;
mod webhooks;
mod wording;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use layout::{Content, Visit};
use model::Page;

pub use api::problem as api_problem;
pub use problem::problem;
pub use root::page as root;
pub use stylesheet::{STYLESHEET, stylesheet_path};

/// Why a model cannot be shown: the gateway and the extension have versions that do not fit.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot show the page: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Returns the HTML document of a page: what a status of 200, 201, 409 or 422 has as `application/json`.
pub fn render(model: &Value) -> Result<String, Unreadable> {
    match model["page"].as_str().unwrap_or_default() {
        "login" => login::page(model),
        "api" => api::page(model),
        "webhooks" => show(model, webhooks::page),
        "webhook" => show(model, webhook::page),
        "webhook_form" => show(model, webhook_form::page),
        "webhook_created" => show(model, shown_once::created_webhook),
        "webhook_preview" => show(model, preview::page),
        "webhook_rotate" => show(model, rotation::of_webhook),
        "webhook_rotated" => show(model, shown_once::rotated_webhook),
        "webhook_delete" => show(model, deletion::page),
        "inbound_adapters" => show(model, inbound::list::page),
        "inbound_adapter" => show(model, inbound::adapter::page),
        "inbound_adapter_form" => show(model, inbound::form::page),
        "inbound_adapter_created" => show(model, inbound::shown::created),
        "inbound_adapter_delete" => show(model, inbound::removal::page),
        "inbound_event" => show(model, inbound::event::page),
        "inbound_secret_rotate" => show(model, inbound::rotation::of_secret),
        "inbound_try" => show(model, inbound::trial::page),
        "inbound_url_rotate" => show(model, inbound::rotation::of_url),
        "inbound_url_rotated" => show(model, inbound::shown::new_url),
        "flows" => show(model, flow::list::page),
        "flow" => show(model, flow::one::page),
        "flow_delete" => show(model, flow::removal::page),
        "approvals" => show(model, approval::list::page),
        "approval" => show(model, approval::one::page),
        "event_types" => show(model, event_types::page),
        "api_keys" => show(model, api_keys::page),
        "api_key_form" => show(model, api_key_form::page),
        "api_key_created" => show(model, shown_once::created_key),
        "api_key_rotate" => show(model, rotation::of_key),
        "api_key_rotated" => show(model, shown_once::rotated_key),
        "api_key_revoke" => show(model, api_keys::revocation),
        "status" => show(model, status::page),
        other => Err(Unreadable(format!("{other:?} is no page"))),
    }
}

fn show<D: DeserializeOwned>(model: &Value, page: fn(&Visit, &D) -> Content) -> Result<String, Unreadable> {
    let model: Page<D> = read(model)?;
    Ok(layout::page(model, page).into_string())
}

fn read<T: DeserializeOwned>(model: &Value) -> Result<T, Unreadable> {
    T::deserialize(model).map_err(|error| Unreadable(error.to_string()))
}
