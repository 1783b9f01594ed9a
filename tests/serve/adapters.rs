//! The settings pages of inbound adapters.

use serde_json::{Value, json};
use testkit::{Bench, PATIENCE, wait_until};

use crate::visitor::{Visitor, body, unchanged};
use crate::{Answer, Request, cluster};

/// What another system POSTs to the URL of an adapter.
#[track_caller]
pub fn send(database: &str, url: &str, body: &str) -> Answer {
    let token = url.rsplit('/').next().unwrap();
    let request = Request::new("inbound", Some(token), "POST", "/in");
    let headers = r#"[["Content-Type", "application/json"]]"#;
    Request { body: body.as_bytes(), headers, ..request }.make(&mut cluster().connect_as(database, "far_gateway"))
}

/// A function that a flow may call.
pub const FLOW: &str = "
    CREATE TABLE public.opened (id text);
    ALTER TABLE public.opened OWNER TO app;
    CREATE FUNCTION public.open_ticket(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.opened VALUES (event ->> 'entity_id');
        RETURN event -> 'entity';
    END $$;
    ALTER FUNCTION public.open_ticket(jsonb) OWNER TO app;
    SELECT hydra.flow_create('Open a ticket', 'ticket.created', 'public.open_ticket(jsonb)')";

/// Makes an adapter with the form, and returns its path and its URL.
#[track_caller]
pub fn create(visitor: &mut Visitor, form: &str) -> (String, String) {
    let created = visitor.post("/settings/inbound-adapters", form);
    assert_eq!(created.status, 201, "{created:?}");
    let data = created.json()["data"].take();
    (format!("/settings/inbound-adapters/{}", data["id"]), data["url"].as_str().unwrap().to_owned())
}

#[test]
fn an_admin_makes_an_adapter_and_gives_its_url_once() {
    let mut bench = Bench::new(cluster(), "adapters");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    assert_eq!(admin.data("/settings/inbound-adapters")["adapters"], json!([]));
    let form = admin.data("/settings/inbound-adapters/new");
    let names: Vec<&str> = form["providers"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(["github", "stripe", "none"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(!form["event_types"].to_string().contains("webhook."), "what only the extension emits is not offered");

    let once = form["form"]["once"].as_str().unwrap().to_owned();
    let fields = format!(
        "name=GitHub+%C3%BC&provider=github&secret=geheim-123&external_1=issues.opened&event_1=ticket.created&entity_1=%24.issue&entity_type_1=issue&external_3=&event_3=ticket.resolved&budget=2+s&requests_per_second=&each=&id_path=&type_path=&scheme=&tenant_id=&once={once}"
    );
    let more = admin.post("/settings/inbound-adapters", &format!("{fields}&more=rows"));
    let values = more.json()["data"]["form"]["values"].take();
    assert_eq!((more.status, values["mapping"].as_array().unwrap().len()), (200, 6), "{more:?}");
    assert_eq!((&values["name"], &values["mapping"][2]["event"]), (&json!("GitHub ü"), &json!("ticket.resolved")));
    assert!(!more.body.contains("geheim-123"), "a secret is never sent back");
    assert_eq!(bench.count("inbound_adapters"), 0);

    let (path, url) = create(&mut admin, &fields);
    assert!(url.contains("/in/hyi_"), "{url}");
    assert_eq!(admin.post("/settings/inbound-adapters", &fields).status, 409, "sent twice");
    let page = admin.get(&path);
    assert!(!page.body.contains(url.rsplit('/').next().unwrap()) && !page.body.contains("geheim-123"), "{page:?}");
    let adapter = page.json()["data"]["adapter"].take();
    assert_eq!(
        adapter["mapping"],
        json!({"*": "ticket.resolved",
               "issues.opened": {"event": "ticket.created", "entity": "$.issue", "entity_type": "issue"}})
    );
    assert_eq!((&adapter["budget"], adapter["hours"].as_array().unwrap().len()), (&json!("00:00:02"), 24));

    let edit = admin.data(&format!("{path}/edit"));
    assert_eq!(edit["form"]["values"]["mapping"][1]["entity"], "$.issue");
    assert!(edit["form"]["values"].get("secret").is_none());
    let version = edit["form"]["version"].as_str().unwrap();
    let change = format!(
        "name=Issues&provider=github&event_1=ticket.created&budget=&requests_per_second=&each=&id_path=&type_path=&scheme=&tenant_id=&version={version}"
    );
    assert_eq!(admin.post(&path, &change).header("location"), Some(format!("{path}?done=adapter-updated").as_str()));
    assert_eq!(admin.wrong(&path, &change), (409, vec!["form".into()]), "a form from before the change");
    let adapter = admin.data(&path)["adapter"].take();
    assert_eq!((&adapter["name"], &adapter["budget"]), (&json!("Issues"), &Value::Null));
    assert_eq!(adapter["mapping"], json!({"*": "ticket.created"}));

    for (action, state) in [("pause", "paused"), ("resume", "active")] {
        assert_eq!(admin.post(&format!("{path}/{action}"), "").status, 303);
        assert_eq!(admin.data(&path)["adapter"]["state"], state);
    }
    assert_eq!(admin.data(&format!("{path}/delete"))["pending"], 0);
    let deleted = admin.post(&format!("{path}/delete"), "");
    assert_eq!(deleted.header("location"), Some("/settings/inbound-adapters?done=adapter-deleted"));
    assert_eq!(admin.get(&path).status, 404);
    assert_eq!(send("adapters", &url, "{}").status, 404);
}

#[test]
fn a_field_of_an_adapter_that_was_not_changed_changes_nothing() {
    let mut bench = Bench::new(cluster(), "same_adapter");
    let odd = r#"' odd ', '{" k ": "ticket.created", "k": {"event": "ticket.created", "entity": " $.x "}, "*": "ticket.resolved"}',
                 tenant_id => ' t ', each => '$.items[*]', id_path => '($.a - $.b).abs()', budget => '1500 ms', scheme => '{"retries": true}'"#;
    let many = "'many', (SELECT jsonb_object_agg('k' || n, 'ticket.created') FROM generate_series(1, 150) AS n)";
    let [odd, many] =
        [odd, many].map(|adapter| bench.ask::<i64>(&format!("SELECT id FROM hydra.inbound_create({adapter})")));
    let stored = "SELECT string_agg((to_jsonb(a) - 'requests_per_second')::text, ';' ORDER BY id) || (
                      SELECT jsonb_path_query_first('{\"a\": 1, \"b\": 9}', a.id_path)::text FROM hydra.inbound_adapter AS a LIMIT 1)
                  FROM hydra.inbound_adapter AS a";
    let before: String = bench.ask(stored);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    for id in [odd, many] {
        let path = format!("/settings/inbound-adapters/{id}");
        let form = admin.data(&format!("{path}/edit"))["form"].take();
        // More types than there are rows are not shown.
        assert_eq!(form["values"]["mapping_types"] == 150, id == many, "{form}");
        let mut fields = unchanged(&form);
        fields.iter_mut().filter(|(name, _)| name == "requests_per_second").for_each(|(_, value)| *value = "7".into());
        assert_eq!(admin.post(&path, &body(&fields)).status, 303, "{fields:?}");
    }
    assert_eq!(bench.ask::<String>(stored), before);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.inbound_adapters WHERE requests_per_second = 7"), 2);
    // What was changed is changed.
    let path = format!("/settings/inbound-adapters/{odd}");
    let mut fields = unchanged(&admin.data(&format!("{path}/edit"))["form"]);
    fields.iter_mut().filter(|(name, _)| name == "external_1").for_each(|(_, value)| *value = "other".into());
    assert_eq!(admin.post(&path, &body(&fields)).status, 303, "{fields:?}");
    let keys: String = bench.ask(&format!(
        "SELECT string_agg(key, ',' ORDER BY key COLLATE \"C\") FROM hydra.inbound_adapter, jsonb_object_keys(mapping) AS key WHERE id = {odd}"
    ));
    assert!(keys.contains("other"), "{keys}");
}

#[test]
fn each_error_of_an_adapter_stands_at_its_field() {
    let mut bench = Bench::new(cluster(), "wrong_adapters");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let good = "name=x&event_1=ticket.created";
    for (fields, wrong) in [
        ("event_1=ticket.created".to_owned(), vec!["name"]),
        ("name=x".to_owned(), vec!["mapping"]),
        ("name=x&external_2=a.b".to_owned(), vec!["row_2"]),
        (format!("{good}&event_2=ticket.created"), vec!["row_2"]),
        (format!("{good}&external_2=a&event_2=ticket.unknown"), vec!["row_2"]),
        (format!("{good}&external_2=a&event_2=webhook.delivery_failed"), vec!["row_2"]),
        (format!("{good}&external_2=a&event_2=ticket.created&entity_2=%24.("), vec!["row_2"]),
        (format!("{good}&tenant_id=acme&external_2=a&event_2=ticket.created&tenant_id_2=%24.x"), vec!["mapping"]),
        (format!("name={}&event_1=ticket.created", "x".repeat(201)), vec!["name"]),
        (format!("{good}&provider=other"), vec!["provider"]),
        (format!("{good}&provider=github"), vec!["secret"]),
        (format!("{good}&provider=standard&secret=%21"), vec!["secret"]),
        (format!("{good}&budget=soon"), vec!["budget"]),
        (format!("{good}&budget=1+h"), vec!["budget"]),
        (format!("{good}&requests_per_second=many"), vec!["requests_per_second"]),
        (format!("{good}&requests_per_second=-1"), vec!["requests_per_second"]),
        (format!("{good}&each=%24.("), vec!["each"]),
        (format!("{good}&id_path=%24.("), vec!["id_path"]),
        (format!("{good}&type_path=%24.("), vec!["type_path"]),
        (format!("{good}&scheme=nonsense"), vec!["scheme"]),
        (format!("{good}&scheme=%7B%22unknown%22%3A1%7D"), vec!["scheme"]),
        (format!("{good}&tenant_id={}", "x".repeat(1025)), vec!["tenant_id"]),
    ] {
        assert_eq!(
            admin.wrong("/settings/inbound-adapters", &fields),
            (422, wrong.iter().map(|w| (*w).to_owned()).collect()),
            "{fields}"
        );
    }
    assert_eq!(bench.count("inbound_adapters"), 0);
}

#[test]
fn a_page_says_why_an_expected_event_did_nothing() {
    let mut bench = Bench::new(cluster(), "reasons");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let (path, url) = create(&mut admin, "name=Curl&external_1=issue&event_1=ticket.created&type_path=%24.type");
    for body in [r#"{"type": "other"}"#, r#"{"type": "issue", "id": "7"}"#] {
        assert_eq!(send("reasons", &url, body).status, 200);
    }
    let reasons = |page: &Value| -> Vec<String> {
        let reason = |event: &Value| event["reason"].as_str().unwrap_or_default().to_owned();
        page["events"].as_array().unwrap().iter().map(reason).collect()
    };
    let page = admin.data(&path);
    let said = reasons(&page);
    assert!(said[0].contains("no flow listens to ticket.created") && said[1].contains("other"), "{said:?}");
    let hour = &page["adapter"]["hours"][23];
    let before = &page["adapter"]["hours"][22];
    let unmatched = |hour: &Value| hour["unmatched"].as_i64().unwrap();
    assert_eq!(unmatched(hour) + unmatched(before), 2, "{page}");

    // A flow that is only in testing is named, and can be deployed from here.
    bench.run(FLOW);
    send("reasons", &url, r#"{"type": "issue", "id": "8"}"#);
    let page = admin.data(&path);
    assert!(reasons(&page)[0].contains("only in testing"), "{page}");
    let flow = &page["flows"][0];
    assert_eq!((&flow["name"], &flow["state"]), (&json!("Open a ticket"), &json!("testing")));
    let deployed = admin.post(&format!("/settings/flows/{}/deploy?adapter={}", flow["id"], page["adapter"]["id"]), "");
    assert_eq!(deployed.header("location"), Some(format!("{path}?done=deployed").as_str()));

    // What came before is processed again, one event or all.
    let event = page["events"][0]["id"].clone();
    let event_path = format!("{path}/events/{event}");
    let again = admin.post(&format!("{event_path}/replay"), "");
    assert_eq!(again.header("location"), Some(format!("{event_path}?done=event-again").as_str()));
    wait_until("the event is done", PATIENCE, || admin.data(&event_path)["event"]["state"] == "done");
    let page = admin.data(&event_path);
    assert_eq!(page["event"]["payload"], r#"{"type": "issue", "id": "8"}"#);
    assert_eq!(
        (&page["runs"][0]["state"], &page["runs"][0]["flow"]),
        (&json!("done"), &json!("Open a ticket")),
        "{page}"
    );
    assert_eq!(admin.post(&format!("{path}/replay"), "").status, 303);
    wait_until("the older one, too", PATIENCE, || bench.ask::<i64>("SELECT count(*) FROM public.opened") == 2);
    assert_eq!(admin.get(&format!("{path}/events/999")).status, 404);
    assert_eq!(admin.post(&format!("{path}/events/999/replay"), "").status, 404);

    // A paused adapter, and a request that is refused.
    admin.post(&format!("{path}/pause"), "");
    assert_eq!(send("reasons", &url, "{}").status, 503);
    admin.post(&format!("{path}/resume"), "");
    let (path, url) = create(&mut admin, "name=GitHub&provider=github&secret=geheim&event_1=ticket.created");
    assert_eq!(send("reasons", &url, r#"{"action": "opened"}"#).status, 401);
    let page = admin.data(&path);
    let refused = &page["refused"][0];
    assert_eq!((&refused["method"], &refused["body"]), (&json!("POST"), &json!(r#"{"action": "opened"}"#)), "{page}");
    assert!(refused["stage"].is_string() && page["adapter"]["last_refusal"].is_string());
}

#[test]
fn a_request_is_tried_without_an_effect() {
    let mut bench = Bench::new(cluster(), "trials");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let (path, url) = create(&mut admin, "name=GitHub&provider=github&secret=geheim&event_1=ticket.created");
    send("trials", &url, r#"{"action": "opened"}"#);
    let page = admin.data(&format!("{path}/try"));
    let refused = page["refused"][0]["id"].as_i64().unwrap();
    assert_eq!(page["stages"], Value::Null);
    let mut stages = |form: &str| {
        let answer = admin.post(&format!("{path}/try"), form);
        assert_eq!(answer.status, 200, "{form}: {answer:?}");
        answer.json()["data"]["stages"].take()
    };
    let ends = |stages: &Value| {
        let last = stages.as_array().unwrap().last().unwrap();
        (last["stage"].as_str().unwrap().to_owned(), last["ok"].as_bool().unwrap())
    };
    let as_it_came = stages(&format!("refused={refused}"));
    assert!(!ends(&as_it_came).1, "{as_it_came}");
    // With a scheme that does not verify, it would be accepted.
    let with_other = stages(&format!("refused={refused}&scheme=%7B%7D"));
    assert_eq!(ends(&with_other), ("mapping".to_owned(), true), "{with_other}");
    let pasted = stages(
        "headers=X-GitHub-Event%3A+issues%0D%0AContent-Type%3A+application%2Fjson&body=%7B%7D%0D%0A&scheme=%7B%7D",
    );
    assert_eq!(ends(&pasted), ("mapping".to_owned(), true), "{pasted}");
    let try_path = format!("{path}/try");
    assert_eq!(admin.wrong(&try_path, "headers=nothing"), (422, vec!["headers".into()]));
    assert_eq!(admin.wrong(&try_path, "scheme=nonsense"), (422, vec!["scheme".into()]));
    assert_eq!(admin.wrong(&try_path, "scheme=%7B%22unknown%22%3A1%7D"), (422, vec!["scheme".into()]));
    assert_eq!(admin.wrong(&try_path, "refused=999"), (422, vec!["refused".into()]));
    assert_eq!(bench.count("inbound_events"), 0);
    assert_eq!(bench.count("inbound_refusals"), 1);
}

#[test]
fn urls_and_secrets_are_replaced_with_an_overlap() {
    let mut bench = Bench::new(cluster(), "replaced");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let (path, first) = create(&mut admin, "name=Curl&event_1=ticket.created");
    let rotate_url = format!("{path}/rotate-url");
    let rotated = admin.post(&rotate_url, "overlap=1+day").json()["data"].take();
    let second = rotated["url"].as_str().unwrap().to_owned();
    assert!(second.contains(rotated["adapter"]["prefix"].as_str().unwrap()), "{rotated}");
    for url in [&first, &second] {
        assert_eq!(send("replaced", url, "{}").status, 200, "{url}");
    }
    assert_eq!(admin.post(&rotate_url, "").status, 200);
    for url in [&first, &second] {
        assert_eq!(send("replaced", url, "{}").status, 404, "{url}");
    }
    for wrong in ["overlap=soon", "overlap=99+days"] {
        assert_eq!(admin.wrong(&rotate_url, wrong), (422, vec!["overlap".into()]), "{wrong}");
    }
    let rotate_secret = format!("{path}/rotate-secret");
    assert_eq!(admin.wrong(&rotate_secret, "overlap=soon"), (422, vec!["secret".into(), "overlap".into()]));
    let replaced = admin.post(&rotate_secret, "secret=geheim-456&overlap=1+h");
    assert_eq!(replaced.header("location"), Some(format!("{path}?done=secret-replaced").as_str()));
    assert!(!admin.get(&path).body.contains("geheim-456"));
    assert_eq!(admin.data(&rotate_secret)["adapter"]["name"], "Curl");
}
