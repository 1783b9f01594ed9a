//! Webhooks are created, changed and removed by programs.

use serde_json::{Value, json};
use testkit::receiver::Signature;

use crate::{Answer, Call, Shop, create_key_for};

mod actions;
mod conditions;
mod deliveries;
mod refused;
mod repeating;

/// The shop, and keys that may manage webhooks.
pub struct Desk {
    shop: Shop,
    /// Of the tenant `acme`.
    manager: String,
    /// Of no tenant.
    operator: String,
}

impl Desk {
    pub fn new(database: &str) -> Self {
        let mut shop = Shop::new(database);
        let mut key = |tenant| create_key_for(&mut shop.bench.client, "webhooks:manage", tenant);
        let [manager, operator] = ["tenant_id => 'acme'", "tenant_id => NULL"].map(&mut key);
        Self { shop, manager, operator }
    }

    /// A request of the manager; `path` follows that of all webhooks.
    fn call(&self, method: &'static str, path: &str) -> Call {
        self.shop.call(method, &format!("/api/v1/webhooks{path}")).key(&self.manager)
    }

    #[track_caller]
    fn make(&mut self, call: &Call) -> Answer {
        call.make(&mut self.shop.gateway)
    }

    #[track_caller]
    fn ask(&mut self, method: &'static str, path: &str, body: &str) -> Answer {
        let call = self.call(method, path).body(body);
        self.make(&call)
    }

    fn url(&self, path: &str) -> String {
        self.shop.bench.receiver.url(path)
    }

    /// A body for a webhook at this path of the receiver, with more members.
    fn body(&self, path: &str, more: Value) -> String {
        let mut body = json!({"url": self.url(path), "event_types": ["ticket.created"]});
        body.as_object_mut().unwrap().extend(more.as_object().expect("an object").clone());
        body.to_string()
    }

    /// Creates a webhook, and returns its path and the answer.
    #[track_caller]
    fn create(&mut self, path: &str, more: Value) -> (String, Answer) {
        let body = self.body(path, more);
        let created = self.ask("POST", "", &body);
        assert_eq!(created.status, 201, "{created:?}");
        let secret = created.json()["secret"].as_str().expect("a secret").to_owned();
        self.shop.bench.receiver.secret(path, &secret);
        (format!("/{}", created.json()["id"]), created)
    }

    #[track_caller]
    fn webhooks(&mut self) -> i64 {
        self.shop.bench.count("subscription")
    }

    /// Emits an event of the tenant `acme`.
    #[track_caller]
    fn emit(&mut self, id: u32) {
        self.shop.bench.emit("ticket.created", &format!(r#"{{"id": "{id}", "tenant_id": "acme"}}"#));
    }
}

#[test]
fn a_webhook_that_is_created_gets_events_and_its_secret_is_in_one_answer_only() {
    let mut desk = Desk::new("hooks_created");
    let settings = json!({
        "name": "CRM", "preset": "hydra", "signatures": ["hydra", "standard"], "headers": {"X-Team": "blue"}, "timeout": 2.5,
        "retry_schedule": [1, 0.5], "filter": "$.id != \"7\"", "max_in_flight": 3, "rate_limit": 100, "disable_after": 9,
        "disable_after_time": 60, "log_successes": true, "keep_bodies": 86400,
    });
    let (path, created) = desk.create("/crm", settings.clone());
    assert_eq!(created.header("location"), Some(format!("/api/v1/webhooks{path}").as_str()));
    let shown = desk.ask("GET", &path, "");
    let secret = created.json()["secret"].as_str().unwrap().to_owned();
    let shown_by_get = shown.body.strip_suffix('}').expect("an object");
    assert_eq!(created.body, format!("{shown_by_get},\"secret\":\"{secret}\"}}"));
    assert_eq!(created.header("etag"), shown.header("etag"));
    let webhook = shown.json();
    for (name, value) in settings.as_object().unwrap().iter().filter(|(name, _)| *name != "headers") {
        let same =
            webhook[name] == *value || webhook[name].as_f64().is_some() && webhook[name].as_f64() == value.as_f64();
        assert!(same || name == "filter" || name == "retry_schedule", "{name}: {webhook}");
    }
    assert_eq!(webhook["retry_schedule"].to_string(), "[1,0.5]");
    assert_eq!((&webhook["tenant_id"], &webhook["header_names"]), (&json!("acme"), &json!(["X-Team"])));
    assert!(!created.body.contains("blue") && !shown.body.contains(&secret), "{created:?}");

    desk.emit(7);
    desk.emit(1);
    let sent = desk.shop.bench.wait_for("/crm", 1);
    assert_eq!((sent[0].signature, sent[0].entity_id()), (Signature::Verified, "1".into()));
    assert_eq!(sent[0].header("X-Team"), Some("blue"));
}

#[test]
fn only_settings_that_are_given_change_and_null_takes_one_back() {
    let mut desk = Desk::new("hooks_changed");
    let given = json!({"name": "CRM", "timeout": 2.5, "rate_limit": 5, "filter": "$.id == 1", "headers": {"A": "b"}});
    let (path, _) = desk.create("/", given);
    let before = desk.ask("GET", &path, "").json();
    let merge = desk.call("PATCH", &path).header("Content-Type", "application/merge-patch+json");
    let changed = desk.make(&merge.body(r#"{"timeout": 20, "log_successes": true}"#));
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut expected = before.clone();
    expected["timeout"] = json!(20);
    expected["log_successes"] = json!(true);
    assert_eq!(changed.json(), expected);
    assert_eq!(desk.ask("GET", &path, "").body, changed.body);

    let reset =
        desk.ask("PATCH", &path, r#"{"timeout": null, "name": null, "rate_limit": null, "filter": null}"#).json();
    assert_eq!((&reset["timeout"], &reset["name"]), (&json!(8), &json!(null)), "that of the preset, and none");
    assert_eq!((&reset["rate_limit"], &reset["filter"]), (&json!(null), &json!(null)));
    assert_eq!(reset["header_names"], json!(["A"]));
    assert_eq!(desk.ask("PATCH", &path, "{}").json(), reset);

    // The values of headers are for one endpoint.
    let elsewhere = r#"{"url": "http://127.0.0.1:9/"}"#;
    let refused = desk.ask("PATCH", &path, elsewhere);
    assert_eq!((refused.status, refused.errors()), (422, vec![("headers".into(), "check".into())]), "{refused:?}");
    let moved = desk.ask("PATCH", &path, r#"{"url": "http://127.0.0.1:9/", "headers": {}}"#).json();
    assert_eq!((&moved["url"], &moved["header_names"]), (&json!("http://127.0.0.1:9/"), &json!([])));
}

#[test]
fn a_webhook_that_is_deleted_is_gone() {
    let mut desk = Desk::new("hooks_deleted");
    let (path, _) = desk.create("/", json!({}));
    assert_eq!(desk.ask("DELETE", &path, "").status, 204);
    assert_eq!(desk.webhooks(), 0);
    for (method, path) in
        [("DELETE", path.clone()), ("GET", path.clone()), ("PATCH", path.clone()), ("POST", path + "/pause")]
    {
        assert_eq!(desk.ask(method, &path, "{}").status, 404, "{method} {path}");
    }
}

#[test]
fn a_key_without_a_tenant_chooses_the_tenant_and_a_name_is_taken_only_in_its_own() {
    let mut desk = Desk::new("hooks_tenants");
    let operator = desk.operator.clone();
    let mut by_operator = |more: Value| {
        let body = desk.body("/", more);
        let call = desk.call("POST", "").key(&operator).body(&body);
        desk.make(&call)
    };
    let of_all = by_operator(json!({"name": "CRM"}));
    assert_eq!((of_all.status, &of_all.json()["tenant_id"]), (201, &json!(null)), "{of_all:?}");
    let globex = by_operator(json!({"name": "CRM", "tenant_id": "globex"}));
    assert_eq!((globex.status, &globex.json()["tenant_id"]), (201, &json!("globex")), "{globex:?}");
    let taken = by_operator(json!({"name": "CRM", "tenant_id": "globex"}));
    assert_eq!((taken.status, taken.errors()), (409, vec![("name".into(), "taken".into())]), "{taken:?}");

    let theirs = format!("/{}", globex.json()["id"]);
    assert_eq!(desk.ask("PATCH", &theirs, r#"{"name": "mine"}"#).status, 404);
    let (own, _) = desk.create("/", json!({"name": "CRM"}));
    let body = desk.body("/", json!({"name": "CRM"}));
    assert_eq!(desk.ask("POST", "", &body).status, 409);
    let call = desk.call("PATCH", &own).key(&operator).body(r#"{"tenant_id": null, "name": "Hooks"}"#);
    assert_eq!(desk.make(&call).json()["tenant_id"], json!(null));
    assert_eq!(desk.ask("GET", &own, "").status, 404, "it is not a webhook of the tenant any more");
}

#[test]
fn a_key_without_the_scope_is_refused_before_anything_is_read() {
    let mut desk = Desk::new("hooks_scopes");
    let (path, _) = desk.create("/", json!({}));
    let reads = create_key_for(&mut desk.shop.bench.client, "webhooks:read", "tenant_id => 'acme'");
    for there in [path.as_str(), "/99"] {
        for (method, path) in [
            ("POST", String::new()),
            ("PATCH", there.into()),
            ("DELETE", there.into()),
            ("POST", format!("{there}/pause")),
            ("POST", format!("{there}/resume")),
            ("POST", format!("{there}/rotate")),
            ("POST", format!("{there}/test")),
        ] {
            let call = desk.call(method, &format!("{path}?x=1")).key(&reads).body("{");
            let refused = desk.make(&call);
            assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
            assert!(refused.json()["detail"].as_str().unwrap().contains("webhooks:manage"), "{refused:?}");
        }
    }
}

#[test]
fn each_path_names_its_methods_and_has_no_parameters() {
    let mut desk = Desk::new("hooks_methods");
    let (path, _) = desk.create("/", json!({}));
    for (method, path, allow) in [
        ("PUT", String::new(), "GET, HEAD, POST"),
        ("DELETE", String::new(), "GET, HEAD, POST"),
        ("POST", path.clone(), "GET, HEAD, PATCH, DELETE"),
        ("GET", format!("{path}/pause"), "POST"),
        ("DELETE", format!("{path}/rotate"), "POST"),
        ("GET", format!("{path}/test"), "POST"),
    ] {
        let refused = desk.ask(method, &path, "{}");
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    assert_eq!(desk.ask("POST", &format!("{path}/other"), "").status, 404);
    for (method, path) in
        [("POST", "?a=1".to_owned()), ("PATCH", format!("{path}?a=1")), ("POST", format!("{path}/pause?a=1"))]
    {
        assert_eq!(desk.ask(method, &path, "{}").status, 400, "{method} {path}");
    }
    let form = desk.call("POST", "").header("Content-Type", "application/x-www-form-urlencoded").body("url=x");
    assert_eq!(desk.make(&form).status, 415);
    assert_eq!(desk.webhooks(), 1);
}
