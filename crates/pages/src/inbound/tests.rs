//! The pages of adapters, from models in `models/`.

use serde_json::{Value, json};

use crate::tests::{model, page};

#[test]
fn an_adapter_says_why_expected_events_did_nothing() {
    let shown = page(&model("inbound_adapter"));
    for text in [
        "</a>” is only in testing",
        "action=\"/settings/flows/2/deploy?adapter=1\"",
        "2 events unmatched: The mapping has no event for the type issues.labeled.",
        "1 event failed: Null value in column",
        "href=\"/settings/inbound-adapters/1/edit\"",
        "The timestamp is 612 s old, and 300 s are allowed.",
        "href=\"/settings/inbound-adapters/1/try?refused=2\"",
        ">in 2 minutes</time>",
    ] {
        assert!(shown.contains(text), "{text}");
    }
    // Its last request was accepted, so older refused ones are no alarm.
    assert!(!shown.contains("The last request was refused"));
    assert!(page(&model("inbound_adapter_refusing")).contains("The last request was refused"));
    let mut paused = model("inbound_adapter");
    paused["data"]["adapter"]["state"] = json!("paused");
    assert!(page(&paused).contains("Requests are answered with status 503") && page(&paused).contains("/resume\""));
}

#[test]
fn who_may_not_see_requests_sees_the_counts() {
    let shown = page(&model("inbound_adapter_member"));
    assert!(shown.contains("1,288") && !shown.contains("Refused requests") && !shown.contains("X-GitHub"));
}

#[test]
fn rows_of_a_mapping_come_back_with_why_one_is_refused() {
    let shown = page(&model("inbound_adapter_form_refused"));
    for text in [
        "href=\"#field-row_2\"",
        "id=\"error-row_2\"",
        "name=\"external_1\" value=\"issues.opened\"",
        "<option value=\"ticket.created\" selected>",
        "<details open><summary>Entity and tenant",
        "name=\"entity_1\" value=\"$.issue\"",
        "name=\"more\" value=\"rows\"",
        "name=\"version\" value=\"771\"",
    ] {
        assert!(shown.contains(text), "{text}");
    }
    // A type that is no longer registered is not lost.
    let mut old = model("inbound_adapter_form_refused");
    old["data"]["form"]["values"]["mapping"][0]["event"] = json!("gone.away");
    assert!(page(&old).contains("<option value=\"gone.away\" selected>"));
}

#[test]
fn a_mapping_that_is_too_large_for_the_form_is_said_and_not_shown() {
    let mut form = model("inbound_adapter_form");
    form["data"]["form"]["values"]["mapping_types"] = json!(150);
    let shown = page(&form);
    assert!(shown.contains("The mapping has 150 types, more than this form can show. It stays as it is"));
    assert!(!shown.contains("name=\"external_1\"") && !shown.contains("value=\"rows\""));
}

#[test]
fn a_secret_is_typed_unseen_and_never_in_the_page() {
    let mut form = model("inbound_adapter_form");
    form["data"]["form"]["values"]["secret_again"] = json!(true);
    let shown = page(&form);
    assert!(shown.contains("type=\"password\" name=\"secret\" value=\"\"") && shown.contains("never sent back"));
}

#[test]
fn each_provider_says_what_to_do_there() {
    let providers = model("inbound_adapter_form")["data"]["providers"].as_array().expect("a list").clone();
    for provider in &providers {
        let name = provider["name"].as_str().expect("a name");
        assert_ne!(super::provider::name(name), name, "{name} has a name for people");
        assert_ne!(super::provider::steps(name), super::provider::steps("another"), "{name}");
    }
    // The stylesheet has a rule for each place in the list.
    let last = format!("select:has(> :nth-child({}):checked)", providers.len());
    assert!(crate::STYLESHEET.contains(&last), "{last}");
    assert_eq!((super::provider::name("new_one"), super::provider::steps("new_one").is_empty()), ("new_one", false));
}

#[test]
fn a_trial_shows_each_stage_and_where_it_ends() {
    let shown = page(&model("inbound_try"));
    for text in
        ["It would stop at: signature", "Skipped", "<option value=\"2\" selected>Refused 2 hours ago, signature"]
    {
        assert!(shown.contains(text), "{text}");
    }
    let mut good = model("inbound_try");
    good["data"]["stages"] = json!([{"stage": "signature", "ok": true, "says": "it matches"}]);
    assert!(page(&good).contains("It would be accepted"));
}

#[test]
fn an_event_shows_its_runs_and_its_payload_as_it_came() {
    let mut event = model("inbound_event");
    event["data"]["event"]["payload"] = json!("{\"b\":1.10,\"a\":\"<i>\"}");
    let shown = page(&event);
    for text in [
        ">in 2 minutes</time>.",
        "action=\"/settings/inbound-adapters/1/events/1287/replay\"",
        "<code>public.messages</code> <span class=\"minor\">2 inserted, 1 updated",
        "It would send 1 webhook",
        "{\n  &quot;b&quot;: 1.10,\n  &quot;a&quot;: &quot;&lt;i&gt;&quot;\n}",
    ] {
        assert!(shown.contains(text), "{text}");
    }
}

#[test]
fn what_cannot_be_seen_in_what_a_provider_sent_is_shown_by_its_number() {
    let mut event = model("inbound_event");
    event["data"]["event"]["payload"] = json!("{\"a\":\"\u{2066}b\"}");
    event["data"]["event"]["external_id"] = json!("evt\u{200B}1");
    let shown = page(&event);
    for text in
        ["&quot;<span class=\"sign\">U+2066</span>b&quot;", "<code>evt<span class=\"sign\">U+200B</span>1</code>"]
    {
        assert!(shown.contains(text), "{text}");
    }
    let mut adapter = model("inbound_adapter_refusing");
    adapter["data"]["refused"][0]["body"] = json!("a\u{202E}b");
    assert!(page(&adapter).contains("a<span class=\"sign\">U+202E</span>b"));
}

#[test]
fn effects_that_were_too_large_to_keep_are_not_said_to_be_none() {
    let mut flow = model("flow");
    flow["data"]["runs"][2]["effects"] = json!({"not_kept": true, "bytes": 9_000_000});
    flow["data"]["runs"][0]["effects"]["webhooks"] = json!({"not_kept": true, "bytes": 70_000});
    let shown = page(&flow);
    assert!(!shown.contains("It would change nothing") && shown.contains("too large to be kept"), "{shown}");
    assert!(shown.contains("<code>public.tickets</code>"));
}

#[test]
fn a_flow_has_the_buttons_for_its_state() {
    for (state, actions) in
        [("testing", ["deploy", "pause"]), ("deployed", ["test", "pause"]), ("paused", ["deploy", "test"])]
    {
        let mut flow = model("flow");
        flow["data"]["flow"]["state"] = json!(state);
        let shown = page(&flow);
        let has = |action: &&str| shown.contains(&format!("action=\"/settings/flows/2/{action}\""));
        let all = ["deploy", "test", "pause"];
        assert!(all.iter().filter(|action| has(action)).eq(actions.iter()), "{state}");
    }
    let mut busy = model("flows");
    busy["data"]["flows"][0]["runs"] = json!(10_000);
    assert!(page(&busy).contains("10,000 or more"), "no more are counted");
}

#[test]
fn lists_without_entries_say_what_to_do() {
    let shown = page(&model("inbound_adapters_empty"));
    assert!(shown.contains("hydra.inbound_create(") && shown.contains("href=\"/settings/inbound-adapters/new\""));
    let shown = page(&model("flows_empty"));
    assert!(shown.contains("hydra.flow_create(") && shown.contains("RETURNS jsonb"));
    let mut bare: Value = model("inbound_adapter_member");
    bare["data"] = json!({"adapter": {"id": 1, "name": "x", "provider": "none", "state": "active"}});
    assert!(page(&bare).contains("<h1>x"), "fields may be missing");
}
