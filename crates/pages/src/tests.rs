//! The pages of the models in `models/`: answers of `hydra.serve`, shortened, with other addresses, times and secrets.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

fn models() -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut models: Vec<_> = fs::read_dir(directory)
        .expect("the models")
        .map(|entry| {
            let path = entry.expect("a model").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON"))
        })
        .collect();
    models.sort_by(|one, other| one.0.cmp(&other.0));
    models
}

pub fn model(name: &str) -> Value {
    models().into_iter().find(|(other, _)| other == name).expect(name).1
}

pub fn page(model: &Value) -> String {
    match model.get("page") {
        Some(_) => crate::render(model).unwrap_or_else(|error| panic!("{error}: {model}")),
        None => crate::problem(model),
    }
}

/// Returns what stands between `start` and the next double quote, for each place where `start` is.
fn values<'a>(page: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(start).skip(1).map(|rest| rest.split('"').next().unwrap_or_default())
}

/// Puts a text into all texts of a model except those that choose what is shown.
fn fill(model: &mut Value, text: &str) {
    match model {
        Value::String(old) => *old = text.into(),
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, text)),
        Value::Object(fields) => {
            let chosen = ["page", "sections", "status", "state", "origin"];
            fields
                .iter_mut()
                .filter(|(name, _)| !chosen.contains(&name.as_str()))
                .for_each(|(_, value)| fill(value, text));
        }
        _ => {}
    }
}

#[test]
fn every_page_has_a_title_and_one_heading_and_no_id_twice() {
    for (name, model) in models() {
        let page = page(&model);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.contains("</title>"), "{name}");
        assert_eq!(page.matches("<h1>").count(), 1, "{name}");
        let mut ids = HashSet::new();
        for id in values(&page, " id=\"") {
            assert!(ids.insert(id), "{name}: {id} twice");
        }
        for start in ["aria-labelledby=\"", "aria-describedby=\"", " for=\"", "href=\"#"] {
            for id in values(&page, start).flat_map(str::split_whitespace) {
                assert!(ids.contains(id), "{name}: nothing has the id {id}");
            }
        }
    }
}

#[test]
fn no_page_has_what_the_policy_refuses() {
    for (name, model) in models() {
        let page = page(&model);
        for refused in ["<script", "<style", " style=", " onclick=", "javascript:", "<iframe", "<base"] {
            assert!(!page.contains(refused), "{name}: {refused}");
        }
        assert!(values(&page, "<link rel=\"stylesheet\" href=\"").eq([crate::stylesheet_path()]), "{name}");
    }
}

#[test]
fn texts_of_strangers_stay_texts() {
    for text in
        ["\"'><img src=x onerror=alert(1)>", "</title></textarea><script>alert(1)</script>", "javascript:alert(1)"]
    {
        for (name, mut model) in models() {
            fill(&mut model, text);
            let page = page(&model);
            for wrong in ["<img", "\"'", "</title></textarea>", "<script", "href=\"javascript", "action=\"javascript"] {
                assert!(!page.contains(wrong), "{name}: {wrong} of {text}");
            }
            for start in [" href=\"", " action=\""] {
                for address in values(&page, start) {
                    let own = ["/settings", "/logout", "/api/v1/", "#", "data:image/svg+xml,"];
                    assert!(own.iter().any(|own| address.starts_with(own)), "{name}: {address}");
                }
            }
        }
    }
}

#[test]
fn members_see_the_same_without_buttons() {
    for (name, mut model) in models().into_iter().filter(|(_, model)| !model["visitor"].is_null()) {
        let seen = [
            "webhooks",
            "webhook",
            "inbound_adapters",
            "inbound_adapter",
            "inbound_event",
            "flows",
            "flow",
            "approvals",
            "approval",
            "event_types",
            "api_keys",
            "status",
        ];
        if !seen.contains(&model["page"].as_str().unwrap()) {
            continue;
        }
        model["visitor"]["may_manage"] = json!(false);
        let page = page(&model);
        assert!(values(&page, " action=\"").eq(["/logout"]), "{name}");
        for start in ["class=\"button", "/edit\"", "/new\"", "/delete\"", "/rotate\"", "/preview\"", "/try"] {
            assert!(!page.contains(start), "{name}: {start}");
        }
    }
    let page = page(&model("webhook_member"));
    assert!(page.contains("<h1>") && !page.contains("Recent failures") && !page.contains("<figure"), "{page}");
}

#[test]
fn an_admin_has_a_button_for_everything() {
    let page = page(&model("webhook"));
    let id = model("webhook")["data"]["webhook"]["id"].clone();
    for action in ["test", "pause"] {
        assert!(page.contains(&format!("action=\"/settings/webhooks/{id}/{action}\"")), "{action}");
    }
    for link in ["edit", "preview", "rotate", "delete"] {
        assert!(page.contains(&format!("href=\"/settings/webhooks/{id}/{link}\"")), "{link}");
    }
    let delivery = model("webhook")["data"]["waiting"][0]["delivery_id"].as_str().unwrap().to_owned();
    for action in ["retry", "cancel"] {
        assert!(page.contains(&format!("/deliveries/{delivery}/{action}\"")), "{action}");
    }
    let kept = model("webhook")["data"]["delivered"][0]["delivery_id"].as_str().unwrap().to_owned();
    assert!(page.contains(&format!("/deliveries/{kept}/retry\"")) && !page.contains(&format!("/{kept}/cancel\"")));
}

#[test]
fn what_is_kept_is_shown_with_its_answer_and_what_it_is_about() {
    let shown = page(&model("webhook"));
    for text in ["kept for 7 days", "Status 202", "63 ms, 2 attempts", ">4711<", "Send again"] {
        assert!(shown.contains(text), "{text}");
    }
    let mut model = model("webhook");
    model["data"]["delivered"] = json!([]);
    model["data"]["settings"]["keep_bodies"] = json!(null);
    let shown = page(&model);
    assert!(shown.contains("not kept") && !shown.contains("Send again"), "{shown}");
}

#[test]
fn what_disables_a_webhook_is_shown_with_the_time_that_it_must_last() {
    let mut model = model("webhook");
    assert!(page(&model).contains("10 failures in a row that last at least 15 min"));
    model["data"]["settings"]["disable_after_time"] = json!(null);
    let shown = page(&model);
    assert!(shown.contains("10 failures in a row") && !shown.contains("at least"), "{shown}");
}

/// The tables of the extension are not among the effects that are shown.
#[test]
fn an_approval_says_what_a_tool_of_the_extension_does() {
    for (tool, said) in [
        ("webhook_cancel", "This delivery is removed"),
        ("webhook_retry", "This delivery is sent again"),
        ("webhook_replay", "that failed are sent again"),
        ("webhook_pause", "Nothing is sent to this webhook"),
        ("webhook_resume", "that is lost"),
    ] {
        let mut model = model("approval");
        let approval = &mut model["data"]["approval"];
        approval["tool"] = json!(tool);
        for list in ["tables", "webhooks", "notices"] {
            approval["preview"][list] = json!([]);
        }
        approval["preview"]["webhook_count"] = json!(0);
        approval["preview"]["result"] = approval["preview"]["before"].clone();
        let shown = page(&model);
        assert!(shown.contains(said), "{tool}: {shown}");
        assert!(!shown.contains("change nothing") && !shown.contains("No column"), "{tool}: {shown}");
    }
}

#[test]
fn an_overlap_is_shown_and_can_be_ended() {
    let mut model = model("webhook");
    assert!(!page(&model).contains("end-overlap"));
    let id = model["data"]["webhook"]["id"].clone();
    model["data"]["webhook"]["old_secret_prefixes"] = json!(["whsec_b2xkT2", "corr"]);
    model["data"]["webhook"]["overlap_until"] = model["now"].clone();
    let shown = page(&model);
    for text in
        [&format!("action=\"/settings/webhooks/{id}/end-overlap\""), "<code>whsec_b2xkT2…</code>, <code>corr…</code>"]
    {
        assert!(shown.contains(text), "{text}");
    }
    model["visitor"]["may_manage"] = json!(false);
    let shown = page(&model);
    assert!(shown.contains("<code>corr…</code>") && !shown.contains("end-overlap"), "{shown}");
}

#[test]
fn a_failure_shows_status_time_answer_and_what_comes_next() {
    let page = page(&model("webhook"));
    for text in ["Status 503", "<pre class=\"excerpt\">&lt;html&gt;", "Next attempt ", "1,008", "95.5 %"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn what_cannot_be_seen_in_an_answer_is_shown_by_its_number() {
    let mut model = model("webhook");
    let answer = "paid\u{202E}\u{0}<b>";
    model["data"]["recent"][0]["response_excerpt"] = json!(answer);
    model["data"]["test"] = json!({"status_code": 500, "response_body": answer, "response_ms": 3});
    let shown = page(&model);
    let expected = "paid<span class=\"sign\">U+202E and 1 more</span>&lt;b&gt;";
    assert_eq!(shown.matches(expected).count(), 2, "{shown}");
}

#[test]
fn who_resumes_a_webhook_that_missed_events_says_what_becomes_of_them() {
    let mut model = model("webhook_disabled");
    let shown = page(&model);
    assert!(shown.contains("name=\"missed\" value=\"send\" required") && shown.contains("value=\"drop\""));
    assert!(shown.contains("It has missed 23 events since then."), "{shown}");
    model["data"]["webhook"]["missed"] = json!(0);
    let shown = page(&model);
    assert!(!shown.contains("name=\"missed\"") && shown.contains("/resume\""));
}

#[test]
fn a_refused_form_keeps_its_values_and_says_why() {
    let page = page(&model("webhook_form_refused"));
    for text in [
        "<title>Error: New webhook",
        "role=\"alert\"",
        "href=\"#field-timeout\"",
        "id=\"error-timeout\"",
        "value=\"soon\"",
        "aria-describedby=\"error-url hint-url\" aria-invalid=\"true\"",
        "name=\"event_types\" value=\"ticket.unknown\" checked",
        "<details class=\"card\" open",
        "name=\"once\"",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn what_was_just_done_is_said_and_nothing_else() {
    let mut model = model("webhook");
    assert!(!page(&model).contains("class=\"notice\""));
    model["notice"] = json!("paused");
    assert!(page(&model).contains("<p class=\"notice\" role=\"status\">Paused. Nothing is sent"));
    model["notice"] = json!("you won");
    assert!(!page(&model).contains("you won"));
}

#[test]
fn a_secret_is_shown_once_and_says_so() {
    for (name, secret) in [
        ("webhook_created", model("webhook_created")["data"]["secret"].clone()),
        ("webhook_rotated", model("webhook_rotated")["data"]["secret"].clone()),
        ("api_key_created", model("api_key_created")["data"]["key"].clone()),
        ("api_key_rotated", model("api_key_rotated")["data"]["key"].clone()),
        ("inbound_adapter_created", model("inbound_adapter_created")["data"]["url"].clone()),
        ("inbound_url_rotated", model("inbound_url_rotated")["data"]["url"].clone()),
    ] {
        let page = page(&model(name));
        assert_eq!(page.matches(secret.as_str().unwrap()).count(), 1, "{name}");
        assert!(page.contains("It is shown only here"), "{name}");
    }
}

#[test]
fn empty_lists_and_missing_log_ins_say_what_to_do() {
    let mut empty = model("webhooks_empty");
    let shown = page(&empty);
    assert!(
        shown.contains("No webhooks yet") && shown.contains("hydra.webhook_create") && shown.contains("/webhooks/new")
    );
    empty["visitor"]["may_manage"] = json!(false);
    assert!(page(&empty).contains("An admin can create one."));
    let shown = page(&model("unauthenticated"));
    assert!(shown.contains("SELECT hydra.console_link('hydra_admin');"));
}

#[test]
fn the_root_leads_to_the_settings_and_to_the_api() {
    let page = crate::root();
    assert!(values(&page, "<a href=\"").eq(["/settings", "/api/v1/"]), "{page}");
    assert!(!page.contains("<script") && !page.contains(" style=") && page.matches("<h1>").count() == 1, "{page}");
}

#[test]
fn a_link_is_used_by_a_button_without_its_secret_in_the_page() {
    let page = page(&model("login"));
    assert!(page.contains("<form method=\"post\"><button") && page.contains("acme"), "{page}");
}

#[test]
fn what_no_version_knows_is_an_error_and_what_a_newer_one_adds_is_not() {
    assert!(crate::render(&json!({"page": "invoices"})).unwrap_err().to_string().contains("invoices"));
    assert!(crate::render(&json!({"page": "webhooks", "data": {}})).is_err());
    let mut model = model("webhooks");
    model["data"]["webhooks"][0]["colour"] = json!("green");
    model["sections"] = json!(["webhooks", "invoices"]);
    let shown = page(&model);
    assert!(!shown.contains("invoices"));
    // What is no problem of ours is shown as one.
    assert!(crate::problem(&json!("nonsense")).contains("Something went wrong"));
}

#[test]
fn an_approval_shows_what_would_be_done_and_has_two_buttons() {
    let model = model("approval");
    let shown = page(&model);
    for text in [
        "<dt><code>id</code></dt><dd><code>42</code>",
        "Refund of 49.90 EUR agreed",
        "<dt><code>status</code></dt><dd class=\"change\"><del><span class=\"hidden\">from </span><bdi class=\"data\">open</bdi></del>",
        "<code>public.tickets</code> <span class=\"minor\">1 updated</span>",
        "It would send 2 webhooks",
        "<bdi>CRM</bdi> <span class=\"url\">https://crm.example.com/webhooks</span><details><summary>Body",
        "<code>ticket.resolved</code> to a webhook that you may not see",
        "<b>Notice: </b>the customer is told by mail",
        "<dt>Ends</dt><dd><time",
        "Approvals <span class=\"number\">2<span class=\"hidden\"> waiting</span></span>",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let path = format!("/settings/approvals/{}", model["data"]["approval"]["id"]);
    for action in ["approve", "refuse"] {
        let form = format!("action=\"{path}/{action}\"><input type=\"hidden\" name=\"previews\" value=\"1\">");
        assert!(shown.contains(&form), "{action}: {shown}");
    }
    // The buttons come after all that there is to see.
    assert!(shown.find("/approve\"") > shown.find("What the tool answers"));
}

#[test]
fn an_approval_that_is_over_has_no_button_and_says_what_became_of_it() {
    for (name, text) in [
        ("approval_done", "<h2>Approved by <bdi>hydra_admin</bdi>, <time"),
        ("approval_failed", "<bdi>ticket 42 was closed by somebody else</bdi>"),
    ] {
        let shown = page(&model(name));
        assert!(shown.contains(text), "{name}: {shown}");
        assert!(values(&shown, " action=\"").eq(["/logout"]), "{name}");
    }
    assert!(page(&model("approval_done")).contains("<h2 id=\"effects\">What it did</h2>"));
    for (state, text) in [("refused", "Refused by <bdi>"), ("expired", "Nobody decided in time")] {
        let mut model = model("approval_failed");
        model["data"]["approval"]["state"] = json!(state);
        let shown = page(&model);
        assert!(shown.contains(text) && values(&shown, " action=\"").eq(["/logout"]), "{state}: {shown}");
    }
}

#[test]
fn what_has_changed_since_somebody_looked_is_said_above_it() {
    let shown = page(&model("approval_changed"));
    assert!(shown.contains("role=\"alert\"><h2>It has changed since you looked</h2>"), "{shown}");
    assert!(shown.contains("/approve\"") && shown.contains("name=\"previews\" value=\"2\""));
    for text in [
        "It would send 240 webhooks",
        "239 more, which are not listed",
        "Bodies of webhooks were left out.",
        "<li>/result/id</li>",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let shown = page(&model("approval_refusal"));
    assert!(shown.contains("The key Assistant is revoked. Nothing can be done with it any more."), "{shown}");
}

#[test]
fn what_misleads_the_eye_in_an_approval_is_seen() {
    let shown = page(&model("approval_changed"));
    for sign in ["U+202E", "U+202C", "admin<span class=\"sign\">U+200B</span>@example.com"] {
        assert!(shown.contains(sign), "{sign}");
    }
    assert!(!shown.contains(['\u{202E}', '\u{200B}']) && shown.contains("<details><summary>Show all "));
}

#[test]
fn approvals_that_wait_come_first() {
    let shown = page(&model("approvals"));
    assert!(shown.contains("2 requests waiting.") && shown.contains("Earlier"), "{shown}");
    assert!(shown.rfind(">Waiting</span>") < shown.find("Earlier"));
    assert!(page(&model("approvals_empty")).contains("Nothing waits for you"));
}

#[test]
fn the_stylesheet_is_small_and_its_path_names_its_content() {
    assert!(crate::STYLESHEET.len() < 24_000);
    let path = crate::stylesheet_path();
    assert!(path.starts_with("/settings/style-") && path.ends_with(".css") && path.len() == 36, "{path}");
}
