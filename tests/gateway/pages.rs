//! The settings pages through a gateway, and who may not use them.

use testkit::Bench;
use testkit::gateway::{Answer, Connection, Gateway};

use crate::cluster;

/// A browser on this machine, as far as the gateway sees one.
pub struct Browser {
    address: String,
    pub cookie: Option<String>,
    /// The cookie with the page that was wanted.
    wanted: Option<String>,
}

impl Browser {
    pub fn new(gateway: &Gateway) -> Self {
        Self::at(&gateway.address)
    }

    pub fn at(address: &str) -> Self {
        Self { address: address.to_owned(), cookie: None, wanted: None }
    }

    /// Opens a link and presses its button.
    #[track_caller]
    pub fn log_in(gateway: &Gateway, link: &str) -> Self {
        let mut browser = Self::new(gateway);
        assert_eq!(browser.get(link).status, 200, "the page with the button");
        let answer = browser.post(link, "");
        assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/webhooks")), "{answer:?}");
        browser
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.make("GET", path, &[], "")
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, form: &str) -> Answer {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.make("POST", path, &[kind, ("sec-fetch-site", "same-origin")], form)
    }

    #[track_caller]
    fn make(&mut self, method: &str, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let cookies: Vec<String> = self.cookie.iter().chain(&self.wanted).cloned().collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = Connection::open(&self.address).request(method, path, &headers, form.as_bytes());
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, rest) = cookie.split_once(';').expect("attributes");
            let kept = if pair.starts_with("hydra-page=") { &mut self.wanted } else { &mut self.cookie };
            *kept = (!rest.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        answer
    }
}

/// The value of a hidden field of a form.
#[track_caller]
pub fn hidden(page: &Answer, name: &str) -> String {
    let input = page.body.split('<').find(|tag| tag.starts_with("input") && tag.contains(&format!("name=\"{name}\"")));
    let input = input.unwrap_or_else(|| panic!("no field {name} in {page:?}"));
    input.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value").to_owned()
}

pub fn encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

#[test]
fn an_admin_logs_in_by_a_link_creates_tests_rotates_and_deletes_a_webhook() {
    let mut bench = Bench::new(cluster(), "pages_flow");
    let mut gateway = Gateway::start(&bench);
    whole_visit(&mut bench, &gateway);
    gateway.wait_for("the log is written", |gateway| gateway.lines().join("").contains("/logout"));
    let log = gateway.lines().join("\n");
    assert!(
        log.contains("/login/…") && !log.contains("hyl_") && !log.contains("hys_") && !log.contains("whsec_"),
        "{log}"
    );
}

/// Uses most of what an admin can do with a webhook.
pub fn whole_visit(bench: &mut Bench<'_>, gateway: &Gateway) {
    let url = bench.receiver.url("/crm");
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::log_in(gateway, &link);
    for root in ["/settings", "/settings/"] {
        assert_eq!(admin.get(root).header("location"), Some("/settings/webhooks"), "{root}");
    }
    let form = admin.get("/settings/webhooks/new");
    let fields =
        format!("name=CRM&url={}&event_types=ticket.*&max_in_flight=3&once={}", encoded(&url), hidden(&form, "once"));
    let created = admin.post("/settings/webhooks", &fields);
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.body.contains("whsec_"));
    let id: i64 = bench.ask("SELECT id FROM hydra.webhook_subscriptions");
    let path = format!("/settings/webhooks/{id}");

    let tested = admin.post(&format!("{path}/test"), "");
    assert_eq!((tested.status, bench.receiver.requests("/crm").len()), (200, 1), "{tested:?}");
    assert_eq!(admin.post("/settings/webhooks", &fields).status, 409, "a form that is sent twice");
    let rotated = admin.post(&format!("{path}/rotate"), "overlap=1+h");
    assert!(rotated.status == 200 && rotated.body.contains("whsec_"), "{rotated:?}");
    assert_eq!(admin.post(&format!("{path}/pause"), "").status, 303);
    let wrong = admin.post("/settings/webhooks", "url=ftp%3A%2F%2Fx&event_types=ticket.*&once=x");
    assert_eq!((wrong.status, wrong.header("content-type")), (422, Some("text/html; charset=utf-8")), "{wrong:?}");
    assert_eq!(
        admin.post(&format!("{path}/delete"), "").header("location").map(|at| at.split('?').next()),
        Some(Some("/settings/webhooks"))
    );
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.webhook_subscriptions"), 0);
    let session = admin.cookie.clone().unwrap();
    assert_eq!(admin.post("/logout", "").status, 303);
    assert_eq!(admin.cookie, None);
    admin.cookie = Some(session);
    assert_eq!(admin.get("/settings/webhooks").status, 401, "the session is over, not just the cookie");
}

#[test]
fn who_follows_a_link_to_a_page_without_a_session_comes_to_that_page_after_signing_in() {
    let mut bench = Bench::new(cluster(), "pages_wanted");
    let gateway = Gateway::start(&bench);
    let link = |bench: &mut Bench| -> String { bench.ask("SELECT hydra.console_link('hydra_admin')") };
    let mut admin = Browser::new(&gateway);
    // The address that a client of MCP shows for an approval. The query is not kept.
    let page = admin.get("/settings/approvals/7?done=approved");
    assert_eq!(page.status, 401);
    let cookie = page.header("set-cookie").expect("a cookie");
    assert_eq!(cookie, "hydra-page=/settings/approvals/7; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
    let login = admin.post(&link(&mut bench), "");
    assert_eq!((login.status, login.header("location")), (303, Some("/settings/approvals/7")), "{login:?}");
    assert_eq!(admin.get("/settings/approvals/7").status, 404, "signed in; there is no such approval");
    assert_eq!((admin.cookie.is_some(), &admin.wanted), (true, &None), "it is used once");

    // A session that has ended, which only the database knows.
    bench.run("DELETE FROM hydra.console_session");
    assert_eq!(admin.get("/settings/flows").status, 401);
    let login = admin.post(&link(&mut bench), "");
    assert_eq!(login.header("location"), Some("/settings/flows"));

    // What is no page of ours is not followed, and what is not read is not kept.
    for elsewhere in ["//evil.example/", "https://evil.example/settings/", "/settings/../login", "/login/x"] {
        let mut other = Browser::new(&gateway);
        other.wanted = Some(format!("hydra-page={elsewhere}"));
        let login = other.post(&link(&mut bench), "");
        assert_eq!(login.header("location"), Some("/settings/webhooks"), "{elsewhere}");
    }
    let mut stranger = Browser::new(&gateway);
    assert_eq!(stranger.post("/settings/approvals/7/approve", "").status, 401);
    assert_eq!(stranger.wanted, None);
}

#[test]
fn a_page_has_the_headers_that_keep_other_sites_and_scripts_out() {
    let mut bench = Bench::new(cluster(), "pages_headers");
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::new(&gateway);
    let login = admin.post(&link, "");
    let cookie = login.header("set-cookie").unwrap();
    // Loopback without TLS: a browser would drop a cookie that is Secure.
    assert!(
        cookie.starts_with("hydra=hys_") && cookie.contains("; Path=/; HttpOnly; SameSite=Strict; Max-Age="),
        "{cookie}"
    );
    let seconds: u64 = cookie.rsplit('=').next().unwrap().parse().unwrap();
    assert!(seconds > 600, "it lasts as long as the session: {cookie}");
    for page in
        [admin.get("/settings/webhooks"), admin.get("/settings/nothing"), Browser::new(&gateway).get("/settings")]
    {
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.headers.iter().all(|(name, _)| !name.starts_with("hydra-")), "{page:?}");
        assert!(!page.body.contains("<script") && !page.body.contains("style="), "{page:?}");
    }
    let page = admin.get("/settings/webhooks").body;
    let sheet = page.split('"').find(|part| part.starts_with("/settings/style-")).expect("a stylesheet").to_owned();
    let sheet = gateway.get(&sheet, &[]);
    assert_eq!((sheet.status, sheet.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(sheet.header("cache-control").unwrap().contains("immutable"));
}

#[test]
fn the_root_says_to_people_and_programs_what_this_is_without_the_database() {
    let gateway = Gateway::start_for("host=/nonexistent dbname=x user=x", &[]);
    let page = gateway.get("/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("href=\"/settings\"") && page.body.contains("href=\"/api/v1/\""), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{page:?}");
    for accept in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
        let data = gateway.get("/", accept);
        assert_eq!(data.header("content-type"), Some("application/json"));
        assert_eq!(data.json(), serde_json::json!({"settings": "/settings", "api": "/api/v1/", "mcp": "/mcp"}));
    }
    let sent = Connection::open(&gateway.address).request("POST", "/", &[], b"");
    assert_eq!((sent.status, sent.header("allow")), (405, Some("GET")));
}

/// What no error beside a field may have: words of SQL, and names that only SQL has.
const OF_SQL: &[&str] = &[
    "null",
    "array",
    "mit it",
    "SELECT",
    "hydra.",
    "hydra_",
    "syntax",
    "type interval",
    "integer",
    "jsonpath",
    "::",
    "_id",
    "_types",
    "argument",
    "parameter",
    "subscription",
];

#[test]
fn errors_beside_fields_are_in_plain_words() {
    let mut bench = Bench::new(cluster(), "pages_words");
    bench.subscribe("/crm", "ticket.created", &["headers => '{\"X-Key\": \"abc\"}'", "signatures => '{github}'"]);
    bench.run("SELECT hydra.inbound_create('Curl', '{\"ticket\": \"ticket.created\"}', provider => 'standard', secret => 'whsec_' || encode(decode(repeat('ab', 24), 'hex'), 'base64'));
               SELECT hydra.api_key_create('CI', '{mcp}')");
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut browser = Browser::log_in(&gateway, &link);
    let webhook = format!("url={}&event_types=ticket.*", encoded(&bench.receiver.url("/")));
    let adapter = "name=Curl&provider=none&external_1=a&event_1=ticket.created";
    let key = "name=CI&scopes=mcp";
    let long = "x".repeat(1100);
    let mut misworded = Vec::new();
    for (path, wrong, says) in [
        ("webhooks", "event_types=ticket.*".to_owned(), "URL must not be empty."),
        ("webhooks", "url=ftp%3A%2F%2Fx&event_types=ticket.*".into(), "Webhook URL must use https."),
        ("webhooks", "url=http%3A%2F%2F010.1.1.1%2F&event_types=ticket.*".into(), "Its host is an IP address"),
        (
            "webhooks",
            "url=http%3A%2F%2F169.254.169.254%2F&event_types=ticket.*".into(),
            "Who runs the database can change that.",
        ),
        ("webhooks", webhook.replace("ticket.*", ""), "Choose at least one event type."),
        ("webhooks", webhook.replace("ticket.*", "a.b"), "is not registered."),
        ("webhooks", webhook.replace("ticket.*", "a.*"), "No event type matches"),
        (
            "webhooks",
            format!("{webhook}&name={long}"),
            "A name has 1 to 200 characters; this one has 1100. Leave it empty, or",
        ),
        ("webhooks", format!("{webhook}&tenant_id={long}"), "Tenant is too long."),
        ("webhooks", format!("{webhook}&signatures=other"), "Choose one or more of these signatures."),
        ("webhooks", format!("{webhook}&timeout=soon"), "This is no time that can be read: write it like 8 s"),
        ("webhooks", format!("{webhook}&timeout=99999999999+years"), "This is no time that can be read"),
        ("webhooks", format!("{webhook}&timeout=2+min"), "The timeout of a whole request is between"),
        ("webhooks", format!("{webhook}&retry_schedule=1+s%0Asoon"), "This is no time that can be read"),
        ("webhooks", format!("{webhook}&retry_schedule=30+days"), "Enter at most 50 delays"),
        ("webhooks", format!("{webhook}&filter=%24.("), "This is no filter that can be read: write it like $.priority"),
        ("webhooks", format!("{webhook}&filter=%24x"), "has no variables"),
        ("webhooks", format!("{webhook}&max_in_flight=many"), "This is not a whole number"),
        ("webhooks", format!("{webhook}&max_in_flight=99999999999"), "or it is too large."),
        ("webhooks", format!("{webhook}&max_in_flight=0"), "is between 1 and 10000."),
        ("webhooks", format!("{webhook}&rate_limit=0"), "Leave it empty for no limit."),
        ("webhooks", format!("{webhook}&disable_after=0"), "must be at least 1."),
        ("webhooks", format!("{webhook}&headers=nothing"), "Each line needs a name, a colon and a value."),
        ("webhooks", format!("{webhook}&headers=X-A%3A+%C3%A4"), "A value has 1 to"),
        ("webhooks/1", "url=http%3A%2F%2F127.0.0.1%3A1%2F".into(), "enter its own, or - for none."),
        ("webhooks/1/rotate", "overlap=1+day".into(), "This webhook cannot sign with two secrets"),
        ("webhooks/1/rotate", "overlap=soon".into(), "This is no time that can be read"),
        ("webhooks/1/rotate", "overlap=99+days".into(), "is between 0 and 30 days."),
        ("webhooks/1/preview", "event=a.b&entity={}".into(), "Event type &quot;a.b&quot; is not registered."),
        ("inbound-adapters", adapter.replace("Curl", ""), "Name must not be empty."),
        ("inbound-adapters", adapter.replace("Curl", &long), "A name has 1 to 200 characters"),
        ("inbound-adapters", adapter.replace("event_1=ticket.created", ""), "Row 1 has no event."),
        ("inbound-adapters", adapter.replace("ticket.created", "a.b"), "is not registered."),
        ("inbound-adapters", adapter.replace("none", "github"), "enter the secret that it shows."),
        ("inbound-adapters", format!("{adapter}&entity_1=%24.("), "This is no path that can be read"),
        ("inbound-adapters", format!("{adapter}&each=%24.("), "This is no path that can be read"),
        ("inbound-adapters", format!("{adapter}&id_path=x"), "This is no path that can be read"),
        ("inbound-adapters", format!("{adapter}&budget=soon"), "This is no time that can be read"),
        ("inbound-adapters", format!("{adapter}&budget=1+h"), "is between 100 ms and 9 s."),
        ("inbound-adapters", format!("{adapter}&requests_per_second=many"), "This is not a whole number"),
        ("inbound-adapters", format!("{adapter}&requests_per_second=99999"), "is between 1 and 10000."),
        ("inbound-adapters", format!("{adapter}&scheme=nothing"), "This is not valid JSON."),
        ("inbound-adapters", format!("{adapter}&scheme=[]"), "The scheme is not valid."),
        ("inbound-adapters", format!("{adapter}&tenant_id={long}"), "A tenant has 1 to 1024 bytes"),
        ("inbound-adapters/1/rotate-url", "overlap=soon".into(), "This is no time that can be read"),
        ("inbound-adapters/1/rotate-secret", "".into(), "must not be empty."),
        ("inbound-adapters/1/rotate-secret", "secret=x".into(), "The secret cannot be used with this scheme."),
        ("event-types", "name=Wrong".into(), "A name has two or more parts"),
        ("event-types", format!("name=a.b&description={long}"), "Description is too long."),
        ("event-types", format!("name=a.b&entity_type={long}"), "Entity type is too long."),
        ("api-keys", key.replace("CI", ""), "A name has 1 to 200 characters"),
        ("api-keys", key.replace("mcp", ""), "Choose at least one scope"),
        ("api-keys", key.replace("mcp", "all"), "Use a scope such as tickets:read."),
        ("api-keys", format!("{key}&expires_at=soon"), "This is no date that can be read"),
        ("api-keys", format!("{key}&expires_at=2030-13-45"), "This is no date that can be read"),
        ("api-keys", format!("{key}&expires_at=2001-01-01"), "This day has passed"),
        ("api-keys", format!("{key}&requests_per_minute=many"), "This is not a whole number"),
        ("api-keys", format!("{key}&requests_per_minute=0"), "is between 1 and 1000000."),
        ("api-keys", format!("{key}&tenant_id={long}"), "A tenant has 1 to 1024 bytes"),
        ("api-keys/1/rotate", "overlap=99+days".into(), "is between 0 and 30 days."),
    ] {
        let answer = browser.post(&format!("/settings/{path}"), &wrong);
        let parts = answer.body.split("class=\"error\"").skip(1);
        let errors: Vec<_> = parts.map(|rest| rest.split("</div>").next().unwrap_or_default()).collect();
        let texts = errors.iter().filter_map(|error| error.split_once('>')).map(|(_, text)| text);
        let speaks_sql = texts.clone().any(|text| OF_SQL.iter().any(|word| text.contains(word)));
        if answer.status != 422 || speaks_sql || !texts.clone().any(|text| text.contains(says)) {
            misworded.push(format!("{path} {wrong}: {} {errors:?}, expected: {says}", answer.status));
        }
    }
    assert!(misworded.is_empty(), "{misworded:#?}");
}

#[test]
fn a_link_lets_one_visitor_in_once() {
    let mut bench = Bench::new(cluster(), "pages_links");
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_member')");
    let mut first = Browser::log_in(&gateway, &link);
    let second = Browser::new(&gateway).post(&link, "");
    assert_eq!((second.status, second.header("set-cookie")), (401, None), "{second:?}");
    assert_eq!(first.get("/settings/webhooks").status, 200);
    assert_eq!(first.post("/settings/webhooks", "url=x").status, 403, "a member presses an admin's button");
    let none = Browser::new(&gateway).get("/settings/webhooks");
    assert!(none.status == 401 && none.body.contains("console_link"), "a page that says how to get in: {none:?}");
}

#[test]
fn a_form_that_another_site_sends_is_refused_and_does_nothing() {
    let mut bench = Bench::new(cluster(), "pages_forgery");
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::log_in(&gateway, &link);
    let form = format!(
        "url={}&event_types=ticket.*&once={}",
        encoded(&bench.receiver.url("/")),
        hidden(&admin.get("/settings/webhooks/new"), "once")
    );
    let cookie = admin.cookie.clone().unwrap();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
    ] {
        let headers = [kind, ("cookie", &cookie), foreign];
        let answer = gateway.connect().request("POST", "/settings/webhooks", &headers, form.as_bytes());
        assert_eq!(answer.status, 403, "{foreign:?}: {answer:?}");
    }
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.webhook_subscriptions"), 0);
    assert_eq!(admin.post("/settings/webhooks", &form).status, 201);
}

#[test]
fn the_pages_refuse_a_visitor_without_tls_who_is_elsewhere() {
    let mut bench = Bench::new(cluster(), "pages_plain");
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut gateway =
        Gateway::start_with(&bench, &["--trusted-proxies", "127.0.0.1", "--public-url", "https://hooks.example.com"]);
    let host = ("host", "hooks.example.com");
    let visitor = ("x-forwarded-for", "203.0.113.9");
    let plain = gateway.get(&link, &[host, visitor, ("x-forwarded-proto", "http")]);
    assert!(plain.status == 403 && plain.body.contains("https://hooks.example.com/settings"), "{plain:?}");
    let other = gateway.get(&link, &[("host", "evil.example"), visitor, ("x-forwarded-proto", "https")]);
    assert_eq!(other.status, 421, "{other:?}");
    assert_eq!(gateway.get("/healthz", &[("host", "10.0.0.1")]).status, 200, "health checks go by address");
    let headers = [host, visitor, ("x-forwarded-proto", "https"), ("sec-fetch-site", "same-origin")];
    assert_eq!(gateway.get(&link, &headers).status, 200);
    let login = gateway.connect().request("POST", &link, &headers, b"");
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-hydra=hys_"), "{cookie}");
    assert!(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="), "{cookie}");
    gateway.wait_for("the client is logged, and not the proxy", |gateway| {
        gateway.events("request").iter().any(|request| request["client"] == "203.0.113.9")
    });
}
