//! The settings pages of webhooks: who gets in, and what visitors see and do.

use postgres::Client;
use serde_json::{Value, json};
use testkit::receiver::Answer as Response;
use testkit::{Bench, PATIENCE, wait_until};

use crate::visitor::{Visitor, body, encoded, token, unchanged};
use crate::{Request, cluster};

#[test]
fn a_link_is_shown_as_often_as_wanted_and_used_once() {
    let mut bench = Bench::new(cluster(), "links");
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin', 'acme')");
    assert!(link.starts_with("/login/hyl_"), "{link}");
    let token = token(&link);
    let mut gateway = cluster().connect_as("links", "far_gateway");
    let mut login = |method| Request::new("console", Some(&token), method, "/login").make(&mut gateway);
    for _ in 0..3 {
        let page = login("GET");
        assert_eq!((page.status, page.json()["data"]["role"].as_str()), (200, Some("hydra_admin")), "{page:?}");
    }
    let first = login("POST");
    let session = first.header("hydra-session").unwrap().to_owned();
    assert_eq!((first.status, first.body.as_str()), (303, ""));
    assert_eq!((login("POST").status, login("GET").status), (401, 401));

    let settings =
        |gateway: &mut Client| Request::new("console", Some(&session), "GET", "/settings/webhooks").make(gateway);
    assert_eq!(settings(&mut gateway).status, 200);
    let end = Request::new("console", Some(&session), "POST", "/logout").make(&mut gateway);
    assert_eq!((end.status, end.header("hydra-end-session")), (303, Some("1")));
    assert_eq!(settings(&mut gateway).status, 401);

    let late = crate::visitor::token(&bench.ask::<String>("SELECT hydra.console_link('hydra_admin')"));
    bench.run("UPDATE hydra.login_link SET valid_until = now() - interval '1 s'");
    for method in ["GET", "POST"] {
        assert_eq!(Request::new("console", Some(&late), method, "/login").make(&mut gateway).status, 401);
    }
}

#[test]
fn a_session_ends_with_its_time_and_when_its_role_gets_too_powerful() {
    let mut bench = Bench::new(cluster(), "console_sessions");
    bench.run("CREATE ROLE temporary_admin IN ROLE hydra_admin");
    let mut visitor = Visitor::new(&mut bench, "'temporary_admin'");
    assert_eq!(visitor.get("/settings/webhooks").status, 200);
    bench.run("ALTER ROLE temporary_admin CREATEROLE");
    assert_eq!(visitor.get("/settings/webhooks").status, 401);
    bench.run("ALTER ROLE temporary_admin NOCREATEROLE; REVOKE hydra_admin FROM temporary_admin; GRANT hydra_member TO temporary_admin");
    assert_eq!(visitor.get("/settings/webhooks").json()["visitor"]["may_manage"], false);
    bench.run("REVOKE hydra_member FROM temporary_admin");
    assert_eq!(visitor.get("/settings/webhooks").status, 403);
    bench.run("UPDATE hydra.console_session SET expires_at = now()");
    assert_eq!(visitor.get("/settings/webhooks").status, 401);
    bench.run("DROP ROLE temporary_admin");
}

#[test]
fn an_admin_creates_changes_pauses_and_deletes_a_webhook() {
    let mut bench = Bench::new(cluster(), "managing");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let url = bench.receiver.url("/crm");
    assert_eq!(admin.get("/settings").header("location"), Some("/settings/webhooks"));
    assert_eq!(admin.get("/settings/").header("location"), Some("/settings/webhooks"));
    assert_eq!(admin.data("/settings/webhooks")["webhooks"], json!([]));
    let form = admin.data("/settings/webhooks/new");
    assert_eq!(form["form"]["values"]["preset"], "hydra");
    assert!(form["event_types"][0]["types"][0]["name"].is_string() && form["presets"].as_array().unwrap().len() == 3);

    let once = form["form"]["once"].as_str().unwrap().to_owned();
    let fields = format!(
        "name=CRM+%C3%BC&url={}&event_types=ticket.*&event_types=part.created&timeout=5+s&retry_schedule=1+s%0D%0A2+min&headers=X-Key%3A+abc%0D%0A&max_in_flight=3&log_successes=on&once={once}",
        encoded(&url)
    );
    let created = admin.post("/settings/webhooks", &fields);
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json()["data"].take();
    let id = created["id"].as_i64().unwrap();
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(admin.post("/settings/webhooks", &fields).status, 409, "sent twice");
    let list = admin.data("/settings/webhooks");
    assert_eq!(list["webhooks"].as_array().unwrap().len(), 1);
    assert_eq!(list["webhooks"][0]["hours"].as_array().unwrap().len(), 24);
    assert_eq!(list["webhooks"][0]["name"], "CRM ü");

    let page = admin.get(&format!("/settings/webhooks/{id}"));
    assert!(!page.body.contains(created["secret"].as_str().unwrap()), "a secret is shown once");
    let page = page.json()["data"].take();
    assert_eq!(page["webhook"]["url"], url);
    assert_eq!(page["settings"]["retry_schedule"], json!(["00:00:01", "00:02:00"]));
    assert_eq!((&page["settings"]["timeout_ms"], &page["settings"]["header_names"]), (&json!(5000), &json!(["X-Key"])));
    assert_eq!((&page["recent"], &page["waiting"], &page["test"]), (&json!([]), &json!([]), &Value::Null));

    let edit = admin.data(&format!("/settings/webhooks/{id}/edit"));
    assert_eq!(edit["form"]["values"]["retry_schedule"], "00:00:01, 00:02:00");
    let version = edit["form"]["version"].as_str().unwrap();
    let change = format!("name=ERP&timeout=&retry_schedule=&version={version}");
    let path = format!("/settings/webhooks/{id}");
    assert_eq!(admin.post(&path, &change).header("location"), Some(format!("{path}?done=updated").as_str()));
    assert_eq!(admin.wrong(&path, &change), (409, vec!["form".into()]), "a form from before the change");
    let page = admin.get(&format!("{path}?done=updated")).json();
    assert_eq!((&page["notice"], &page["data"]["webhook"]["name"]), (&json!("updated"), &json!("ERP")));
    let settings = &page["data"]["settings"];
    assert_eq!((&settings["log_successes"], &settings["header_names"]), (&json!(false), &json!(["X-Key"])));
    // What is left empty is that of the preset, and so it is in the form. A field that the form does not have stays as it is.
    assert_ne!(settings["timeout_ms"], 5000);
    assert_ne!(settings["retry_schedule"], json!(["00:00:01", "00:02:00"]));
    let values = admin.data(&format!("{path}/edit"))["form"]["values"].take();
    assert_eq!(
        (&values["timeout"], &values["max_in_flight"], &values["keep_bodies"]),
        (&json!(""), &json!("3"), &json!(""))
    );

    // A form that is sent as it came changes nothing.
    for (field, value, shown) in
        [("retry_schedule", "none", "none"), ("keep_bodies", "7 days", "7 days"), ("rate_limit", "5", "5")]
    {
        for _ in 0..2 {
            assert_eq!(admin.post(&path, &format!("name=ERP&{field}={}", encoded(value))).status, 303);
            assert_eq!(admin.data(&format!("{path}/edit"))["form"]["values"][field], shown);
        }
    }
    let none = format!("name=ERP&retry_schedule={}", encoded(" NONE "));
    assert_eq!(
        (admin.post(&path, &none).status, admin.data(&path)["settings"]["retry_schedule"].take()),
        (303, json!([]))
    );
    assert_eq!(admin.wrong(&path, "keep_bodies=900+days"), (422, vec!["keep_bodies".into()]));
    assert_eq!(admin.wrong(&path, "keep_bodies=long"), (422, vec!["keep_bodies".into()]));

    for (action, status) in [("pause", "paused"), ("resume", "active")] {
        assert_eq!(admin.post(&format!("{path}/{action}"), "").status, 303);
        assert_eq!(admin.data(&path)["webhook"]["status"], status);
    }
    let rotated = admin.post(&format!("{path}/rotate"), "overlap=1+day").json()["data"].take();
    assert!(rotated["secret"].as_str().unwrap().starts_with(rotated["webhook"]["secret_prefix"].as_str().unwrap()));
    assert_eq!(admin.data(&format!("{path}/rotate"))["form"]["values"]["overlap"], "1 day", "a day is offered first");
    let during = admin.data(&path)["webhook"].take();
    let old = created["secret"].as_str().unwrap();
    assert_eq!(during["old_secret_prefixes"], json!([old[..12]]));
    assert!(during["overlap_until"].is_string(), "{during}");
    let end = format!("{path}/end-overlap");
    assert_eq!(admin.post(&end, "").header("location"), Some(format!("{path}?done=overlap-ended").as_str()));
    assert_eq!(admin.get(&format!("{path}?done=overlap-ended")).json()["notice"], "overlap-ended");
    assert_eq!(admin.data(&path)["webhook"]["overlap_until"], Value::Null);
    assert_eq!(admin.get(&end).status, 405);
    assert_eq!(admin.wrong(&format!("{path}/rotate"), "overlap=99+days"), (422, vec!["overlap".into()]));
    assert_eq!(admin.wrong(&format!("{path}/rotate"), "overlap=soon"), (422, vec!["overlap".into()]));
    assert_eq!(admin.data(&format!("{path}/rotate"))["may_overlap"], true);
    assert_eq!(admin.data(&format!("{path}/delete"))["webhook"]["id"], id);
    assert_eq!(admin.post(&format!("{path}/delete"), "").header("location"), Some("/settings/webhooks?done=deleted"));
    assert_eq!(admin.get(&path).status, 404);
}

#[test]
fn a_field_that_was_not_changed_changes_nothing() {
    let mut bench = Bench::new(cluster(), "same_form");
    let odd = [
        "name => E' CRM\n2 '",
        "tenant_id => ' t '",
        "signatures => '{standard,hydra}'",
        // Some versions of Postgres print it without its parentheses.
        "filter => '($.a - $.b).abs() > 5'",
        "timeout => '190 ms'",
        "retry_schedule => '{1 s,1 day 2 s}'",
    ];
    let (id, _) = bench.subscribe("/same", "ticket.status_changed,ticket.created", &odd);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let path = format!("/settings/webhooks/{id}");
    let stored = format!(
        "SELECT (to_jsonb(s) - '{{id,status_since,rate_limit,updated_at,changed_at}}'::text[])::text
                || hydra.webhook_would_match({id}, 'ticket.created', '{{\"a\": 1, \"b\": 10}}', ' t ')
         FROM hydra.subscription AS s WHERE s.id = {id}"
    );
    let before: String = bench.ask(&stored);
    assert!(before.ends_with("true"), "{before}");
    let mut fields = unchanged(&admin.data(&format!("{path}/edit"))["form"]);
    fields.iter_mut().filter(|(name, _)| name == "rate_limit").for_each(|(_, value)| *value = "7".into());
    assert_eq!(admin.post(&path, &body(&fields)).status, 303, "{fields:?}");
    assert_eq!(bench.ask::<String>(&stored), before);
    assert_eq!(bench.ask::<i32>(&format!("SELECT rate_limit FROM hydra.subscription WHERE id = {id}")), 7);
    // What was changed is changed.
    fields.retain(|(name, _)| name != "version");
    fields.iter_mut().filter(|(name, _)| name == "tenant_id").for_each(|(_, value)| *value = "t".into());
    assert_eq!(admin.post(&path, &body(&fields)).status, 303, "{fields:?}");
    assert_eq!(bench.ask::<String>(&format!("SELECT tenant_id FROM hydra.subscription WHERE id = {id}")), "t");
}

#[test]
fn each_error_of_a_form_stands_at_its_field() {
    let mut bench = Bench::new(cluster(), "wrong_forms");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let good = format!("url={}&event_types=ticket.*", encoded(&bench.receiver.url("/")));
    for (fields, wrong) in [
        ("event_types=ticket.*".to_owned(), vec!["url"]),
        ("url=ftp%3A%2F%2Fx&event_types=ticket.*".to_owned(), vec!["url"]),
        ("url=x&event_types=ticket.*&timeout=soon".to_owned(), vec!["timeout", "url"]),
        (good.replace("ticket.*", ""), vec!["event_types"]),
        (good.replace("ticket.*", "ticket.unknown"), vec!["event_types"]),
        (good.replace("ticket.*", "nothing.*"), vec!["event_types"]),
        (format!("{good}&name={}", "x".repeat(201)), vec!["name"]),
        (format!("{good}&preset=other"), vec!["preset"]),
        (format!("{good}&signatures=other"), vec!["signatures"]),
        (format!("{good}&timeout=2+min"), vec!["timeout"]),
        (format!("{good}&retry_schedule=1+s%0Asoon"), vec!["retry_schedule"]),
        (format!("{good}&retry_schedule=30+days"), vec!["retry_schedule"]),
        (format!("{good}&retry_schedule=+,%0A"), vec!["retry_schedule"]),
        (format!("{good}&filter=%24.("), vec!["filter"]),
        (format!("{good}&filter=%24x"), vec!["filter"]),
        (format!("{good}&max_in_flight=0"), vec!["max_in_flight"]),
        (format!("{good}&max_in_flight=many&rate_limit=1.5"), vec!["max_in_flight", "rate_limit"]),
        (format!("{good}&rate_limit=0"), vec!["rate_limit"]),
        (format!("{good}&disable_after=0"), vec!["disable_after"]),
        (format!("{good}&headers=nothing"), vec!["headers"]),
        (format!("{good}&headers=Host%3A+x"), vec!["headers"]),
        (format!("{good}&tenant_id={}", "x".repeat(1025)), vec!["tenant_id"]),
    ] {
        assert_eq!(
            admin.wrong("/settings/webhooks", &fields),
            (422, wrong.iter().map(|w| (*w).to_owned()).collect()),
            "{fields}"
        );
    }
    assert_eq!(bench.count("subscription"), 0);
    assert_eq!(admin.post("/settings/webhooks", "url=%ff").status, 422);
    // What was sent comes back, except values of headers.
    let answer = admin.post("/settings/webhooks", "url=x&name=%3Cb%3E&headers=X-Key%3A+geheim&event_types=a.b");
    assert!(!answer.body.contains("geheim"));
    assert_eq!(answer.json()["data"]["form"]["values"]["name"], "<b>");
}

#[test]
fn a_member_sees_and_changes_nothing() {
    let mut bench = Bench::new(cluster(), "member_pages");
    let (id, _) = bench.subscribe("/hidden", "ticket.created", &[]);
    let mut member = Visitor::new(&mut bench, "'hydra_member'");
    let page = member.get(&format!("/settings/webhooks/{id}")).json();
    assert_eq!(page["visitor"]["may_manage"], false);
    assert_eq!(page["sections"], json!(["webhooks", "inbound-adapters", "flows", "event-types", "status"]));
    assert!(!page.to_string().contains("/hidden"), "{page}");
    assert_eq!((&page["data"]["recent"], &page["data"]["webhook"]["hours"]), (&Value::Null, &Value::Null));
    for path in ["/settings/webhooks", "/settings/event-types", "/settings/status"] {
        assert_eq!(member.get(path).status, 200, "{path}");
    }
    for path in ["new", "1/edit", "1/rotate", "1/delete", "1/preview"] {
        assert_eq!(member.get(&format!("/settings/webhooks/{path}")).status, 403, "{path}");
    }
    assert_eq!(member.get("/settings/api-keys").status, 403);
    for path in [
        "webhooks",
        "webhooks/1",
        "webhooks/1/pause",
        "webhooks/1/resume",
        "webhooks/1/test",
        "webhooks/1/rotate",
        "webhooks/1/end-overlap",
        "webhooks/1/delete",
        "webhooks/1/retry",
        "webhooks/1/preview",
        "event-types",
        "api-keys",
        "api-keys/1/revoke",
        "webhooks/1/deliveries/00000000-0000-0000-0000-000000000000/retry",
    ] {
        assert_eq!(member.post(&format!("/settings/{path}"), "name=x").status, 403, "{path}");
    }
    assert_eq!(bench.column(id, "status"), "active");
}

#[test]
fn a_visitor_with_a_tenant_reaches_only_what_belongs_to_the_tenant() {
    let mut bench = Bench::new(cluster(), "tenants");
    let (own, _) = bench.subscribe("/own", "ticket.created", &["tenant_id => 'acme'"]);
    let (other, _) = bench.subscribe("/other", "ticket.created", &["tenant_id => 'other'", "retry_schedule => '{}'"]);
    let (all, _) = bench.subscribe("/all", "ticket.created", &[]);
    bench.receiver.answer("/other", Response::status(500));
    bench.emit("ticket.created", r#"{"id": "1", "tenant_id": "other"}"#);
    let delivery = bench.wait_for_failed_delivery();
    bench.run("SELECT hydra.api_key_create('theirs', '{mcp}', tenant_id => 'other')");

    let mut admin = Visitor::new(&mut bench, "'hydra_admin', 'acme'");
    let list = admin.get("/settings/webhooks").json();
    let ids: Vec<i64> =
        list["data"]["webhooks"].as_array().unwrap().iter().map(|w| w["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [own]);
    assert_eq!(
        list["sections"],
        json!(["webhooks", "approvals", "inbound-adapters", "flows", "event-types", "api-keys"])
    );
    assert_eq!(admin.data("/settings/api-keys")["api_keys"], json!([]));
    assert_eq!(admin.get("/settings/status").status, 404);
    assert_eq!(admin.post("/settings/event-types", "name=a.b").status, 403);
    for id in [other, all, 999] {
        for page in ["", "/edit", "/rotate", "/delete", "/preview"] {
            assert_eq!(admin.get(&format!("/settings/webhooks/{id}{page}")).status, 404, "{id}{page}");
        }
        for action in ["", "/pause", "/resume", "/test", "/rotate", "/end-overlap", "/delete", "/retry", "/preview"] {
            let answer =
                admin.post(&format!("/settings/webhooks/{id}{action}"), "name=x&event=ticket.created&entity={}");
            assert_eq!(answer.status, 404, "{id}{action}");
        }
        assert_eq!(admin.post(&format!("/settings/webhooks/{id}/deliveries/{delivery}/retry"), "").status, 404);
    }
    // Nor by the path of one of its own webhooks.
    assert_eq!(admin.post(&format!("/settings/webhooks/{own}/deliveries/{delivery}/cancel"), "").status, 404);
    for action in ["revoke", "rotate"] {
        assert_eq!(admin.get(&format!("/settings/api-keys/1/{action}")).status, 404);
        assert_eq!(admin.post(&format!("/settings/api-keys/1/{action}"), "").status, 404);
    }
    assert_eq!(bench.count("webhook_failed"), 1);

    // What the visitor makes belongs to the tenant, whatever the form says.
    let form = format!("url={}&event_types=ticket.*&tenant_id=other", encoded(&bench.receiver.url("/new")));
    let made = admin.post("/settings/webhooks", &form).json()["data"]["id"].as_i64().unwrap();
    assert_eq!(bench.column(made, "tenant_id"), "acme");
    assert_eq!(admin.post(&format!("/settings/webhooks/{own}"), "tenant_id=other").status, 303);
    assert_eq!(bench.column(own, "tenant_id"), "acme");
    let key = admin.post("/settings/api-keys", "name=x&scopes=tickets%3Aread&tenant_id=other");
    assert_eq!(key.json()["data"]["api_key"]["tenant_id"], "acme", "{key:?}");
    assert_eq!(admin.wrong("/settings/api-keys", "name=x&scopes=mcp&role=hydra_admin"), (422, vec!["role".into()]));
}

#[test]
fn failures_are_shown_and_sent_again() {
    let mut bench = Bench::new(cluster(), "failing");
    bench.receiver.answer("/", Response::status(500).with_body("out of order"));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.emit_ticket(1);
    let delivery = bench.wait_for_failed_delivery();
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let page = admin.data(&format!("/settings/webhooks/{id}"));
    let failure = &page["recent"][0];
    assert_eq!(
        (&failure["status_code"], &failure["state"], &failure["response_excerpt"]),
        (&json!(500), &json!("failed"), &json!("out of order"))
    );
    assert!(failure["error"].is_string() && failure["attempted_at"].is_string());
    assert_eq!(page["waiting"][0]["delivery_id"], delivery);
    bench.receiver.answer("/", Response::status(200));
    let path = format!("/settings/webhooks/{id}/deliveries/{delivery}/retry");
    assert_eq!(
        admin.post(&path, "").header("location"),
        Some(format!("/settings/webhooks/{id}?done=retried").as_str())
    );
    bench.wait_for("/", 2);
    bench.wait_for_empty_queue();
    assert_eq!(admin.post(&path, "").status, 404, "it is delivered");
    let page = admin.data(&format!("/settings/webhooks/{id}"));
    assert_eq!((&page["recent"][0]["state"], &page["delivered"]), (&json!("done"), &json!([])));
}

#[test]
fn what_has_succeeded_and_is_kept_is_shown_and_sent_again() {
    let mut bench = Bench::new(cluster(), "kept");
    let (id, _) = bench.subscribe("/", "ticket.created", &["keep_bodies => '7 days'"]);
    bench.emit_ticket(42);
    bench.wait_for_count("webhook_delivered", 1);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let page = admin.data(&format!("/settings/webhooks/{id}"));
    assert_eq!(page["settings"]["keep_bodies"], "7 days");
    let kept = &page["delivered"][0];
    assert_eq!((&kept["entity_id"], &kept["status_code"], &kept["attempts"]), (&json!("42"), &json!(200), &json!(1)));
    let path = format!("/settings/webhooks/{id}/deliveries/{}", kept["delivery_id"].as_str().unwrap());
    assert_eq!(admin.post(&format!("{path}/cancel"), "").status, 409, "it has succeeded");
    assert_eq!(admin.post(&format!("{path}/retry"), "").status, 303);
    assert_eq!(bench.wait_for("/", 2)[1].delivery_id(), kept["delivery_id"]);
    bench.wait_for_count("webhook_delivered WHERE attempts = 2", 1);
}

#[test]
fn a_test_request_shows_its_answer_on_the_page() {
    let mut bench = Bench::new(cluster(), "testing");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let path = format!("/settings/webhooks/{id}/test");
    let page = admin.post(&path, "").json();
    assert_eq!((&page["page"], &page["data"]["test"]["status_code"]), (&json!("webhook"), &json!(200)), "{page}");
    bench.receiver.answer("/", Response::status(503));
    assert_eq!(admin.post(&path, "").json()["data"]["test"]["status_code"], 503);
    assert_eq!(admin.get(&path).status, 405);
}

/// The limit of a test is that of the webhook and two seconds more, not that of other requests.
#[test]
fn a_test_request_may_take_as_long_as_the_webhook_allows() {
    let mut bench = Bench::new(cluster(), "slow_tests");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let id: i64 =
        bench.ask(&format!("SELECT id FROM hydra.webhook_create('{url}', '{{ticket.created}}', timeout => '11 s')"));
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    // Again if the machine has paused for these two seconds.
    wait_until("a test takes as long", PATIENCE, || {
        let test = admin.post(&format!("/settings/webhooks/{id}/test"), "").json()["data"]["test"].take();
        test["response_ms"].as_i64().unwrap_or_default() >= 11_000
    });
}
