//! What a person sees of that which a tool wants to write, and decides about it, on the settings pages.

use postgres::Client;
use serde_json::{Value, json};
use testkit::Bench;

use crate::visitor::Visitor;
use crate::{Answer, Request, cluster};

const APPLICATION: &str = "
    CREATE TABLE public.tickets (
        id bigint PRIMARY KEY, tenant_id text NOT NULL, subject text NOT NULL,
        status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')));
    INSERT INTO public.tickets VALUES (1, 'acme', 'Charged twice'), (2, 'acme', 'No heating'), (3, 'other', 'Hidden');
    GRANT SELECT, UPDATE ON public.tickets TO hydra_api;
    SELECT hydra.webhook_register_event_type('ticket.updated', 'A ticket was changed');
    SELECT hydra.webhook_watch('public.tickets', 'ticket.updated', 'update');
    SELECT hydra.api_expose('public.tickets', updatable => '{subject,status}')";

/// A database with tickets of two tenants, and an assistant of each.
struct Desk {
    bench: Bench<'static>,
    gateway: Client,
    acme: String,
    other: String,
}

impl Desk {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(APPLICATION);
        bench.subscribe("/acme", "ticket.updated", &["name => 'CRM'", "tenant_id => 'acme'"]);
        bench.subscribe("/all", "ticket.updated", &["name => 'Warehouse'"]);
        let [acme, other] = ["acme", "other"].map(|tenant| key(&mut bench, tenant));
        let gateway = cluster().connect_as(database, "far_gateway");
        Self { bench, gateway, acme, other }
    }

    /// Has the assistant of acme call the tool that changes a ticket, and returns the path of the page where a person decides.
    #[track_caller]
    fn ask(&mut self, arguments: &Value) -> String {
        let key = self.acme.clone();
        self.ask_with(&key, arguments)
    }

    #[track_caller]
    fn ask_with(&mut self, key: &str, arguments: &Value) -> String {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                             "params": {"name": "update_tickets", "arguments": arguments}});
        let headers = r#"[["content-type", "application/json"], ["mcp-protocol-version", "2025-11-25"]]"#;
        let body = message.to_string();
        let request = Request { body: body.as_bytes(), headers, ..Request::new("mcp", Some(key), "POST", "/mcp") };
        let answer = request.make(&mut self.gateway).json();
        let told = &answer["result"]["structuredContent"];
        assert_eq!(told["status"], "waits_for_approval", "{answer}");
        let path = told["url"]
            .as_str()
            .unwrap()
            .find("/settings/")
            .map(|place| told["url"].as_str().unwrap()[place..].to_owned());
        path.unwrap_or_else(|| panic!("{answer}"))
    }

    fn admin(&mut self) -> Visitor {
        Visitor::new(&mut self.bench, "'hydra_admin'")
    }

    fn subject(&mut self, id: i64) -> String {
        self.bench.ask(&format!("SELECT subject || ', ' || status FROM public.tickets WHERE id = {id}"))
    }
}

fn key(bench: &mut Bench<'_>, tenant: &str) -> String {
    bench.ask(&format!(
        "SELECT key FROM hydra.api_key_create('Assistant of {tenant}', '{{mcp,tickets:read,tickets:write}}', tenant_id => '{tenant}')"
    ))
}

/// Presses *Approve* on a page, which shows this preview.
#[track_caller]
fn approve(visitor: &mut Visitor, path: &str, previews: i64) -> Answer {
    visitor.post(&format!("{path}/approve"), &format!("previews={previews}"))
}

/// What a page shows if its button did nothing.
#[track_caller]
fn unchanged(answer: &Answer) -> Value {
    assert_eq!(answer.status, 409, "{answer:?}");
    let page = answer.json();
    assert_eq!(page["page"], "approval", "{answer:?}");
    page["data"].clone()
}

#[test]
fn what_a_tool_wants_to_write_waits_until_a_person_has_seen_and_approved_it() {
    let mut desk = Desk::new("approving");
    let path = desk.ask(&json!({"id": 1, "subject": "Refunded \u{202E}", "status": "closed"}));
    let mut admin = desk.admin();
    let list = admin.get("/settings/approvals").json();
    let listed = &list["data"]["approvals"];
    assert_eq!(
        (&list["waiting"], &listed[0]["state"], &listed[0]["tool"]),
        (&json!(1), &json!("pending"), &json!("update_tickets"))
    );
    assert_eq!((&listed[0]["key_name"], &listed[0]["tenant_id"]), (&json!("Assistant of acme"), &json!("acme")));
    assert!(admin.get("/settings/webhooks").json()["sections"].as_array().unwrap().contains(&json!("approvals")));

    let shown = admin.data(&path)["approval"].take();
    let preview = &shown["preview"];
    assert_eq!(preview["tables"], json!([{"table": "public.tickets", "inserted": 0, "updated": 1, "deleted": 0}]));
    let webhooks: Vec<_> =
        preview["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["name"].as_str()).collect();
    assert_eq!(webhooks, [Some("CRM"), Some("Warehouse")]);
    assert!(preview["webhooks"][0]["body"].as_str().unwrap().contains("Refunded"), "{shown}");
    let arguments: Value = serde_json::from_str(shown["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["subject"], "Refunded \u{202E}");
    assert_eq!(desk.subject(1), "Charged twice, open", "nothing is written");
    assert_eq!(desk.bench.receiver.received("/acme"), 0);

    let approved = approve(&mut admin, &path, 1);
    assert_eq!(
        (approved.status, approved.header("location")),
        (303, Some(format!("{path}?done=approved").as_str())),
        "{approved:?}"
    );
    assert_eq!(desk.subject(1), "Refunded \u{202E}, closed");
    desk.bench.wait_for("/acme", 1);
    let page = admin.get(&format!("{path}?done=approved")).json();
    let done = &page["data"]["approval"];
    assert_eq!(
        (&page["notice"], &done["state"], &done["decided_by"]),
        (&json!("approved"), &json!("done"), &json!("hydra_admin"))
    );
    assert!(done["result"].as_str().unwrap().contains("Refunded") && page["waiting"] == 0, "{page}");

    let again = unchanged(&approve(&mut admin, &path, 1));
    assert!(again["refusal"]["message"].is_string() && again["approval"]["state"] == "done", "{again}");
    unchanged(&admin.post(&format!("{path}/refuse"), ""));
}

#[test]
fn what_a_person_refuses_is_never_written() {
    let mut desk = Desk::new("refusing");
    let path = desk.ask(&json!({"id": 1, "status": "closed"}));
    let mut admin = desk.admin();
    let refused = admin.post(&format!("{path}/refuse"), "");
    assert_eq!(refused.header("location"), Some(format!("{path}?done=refused").as_str()), "{refused:?}");
    let shown = unchanged(&approve(&mut admin, &path, 1));
    assert_eq!(shown["approval"]["state"], "refused");
    assert_eq!((admin.get(&path).json()["waiting"].clone(), desk.subject(1)), (json!(0), "Charged twice, open".into()));
}

#[test]
fn what_would_be_another_thing_by_now_is_shown_anew_and_an_old_page_approves_nothing() {
    let mut desk = Desk::new("changing");
    let path = desk.ask(&json!({"id": 1, "status": "closed"}));
    let (mut admin, mut colleague) = (desk.admin(), desk.admin());
    desk.bench.run("UPDATE public.tickets SET subject = 'Charged three times' WHERE id = 1");
    let changed = unchanged(&approve(&mut admin, &path, 1));
    assert_eq!((&changed["changed"], &changed["approval"]["previews"]), (&json!(true), &json!(2)), "{changed}");
    assert!(changed["approval"]["preview"].to_string().contains("three times"), "{changed}");
    // A colleague who has the first page open has not seen this.
    for seen in ["previews=1", "previews=3", "previews=x", ""] {
        let stale = unchanged(&colleague.post(&format!("{path}/approve"), seen));
        assert_eq!(
            (&stale["changed"], &stale["approval"]["state"]),
            (&json!(true), &json!("pending")),
            "{seen}: {stale}"
        );
    }
    assert_eq!(desk.subject(1), "Charged three times, open");
    assert_eq!(approve(&mut colleague, &path, 2).status, 303);
    assert_eq!(desk.subject(1), "Charged three times, closed");
}

#[test]
fn a_visitor_with_a_tenant_sees_and_decides_what_keys_of_the_tenant_want() {
    let mut desk = Desk::new("approvals_of_tenants");
    let own = desk.ask(&json!({"id": 1, "status": "closed"}));
    let key = desk.other.clone();
    let foreign = desk.ask_with(&key, &json!({"id": 3, "status": "closed"}));
    let mut visitor = Visitor::new(&mut desk.bench, "'hydra_admin', 'acme'");
    let list = visitor.get("/settings/approvals").json();
    assert_eq!((list["data"]["approvals"].as_array().unwrap().len(), &list["waiting"]), (1, &json!(1)));
    let webhooks = visitor.data(&own)["approval"]["preview"]["webhooks"].take();
    assert_eq!(webhooks[1], json!({"event": "ticket.updated"}), "the webhook of all tenants is not theirs");
    assert_eq!(visitor.get(&foreign).status, 404);
    for action in ["approve", "refuse"] {
        assert_eq!(visitor.post(&format!("{foreign}/{action}"), "previews=1").status, 404, "{action}");
    }
    assert_eq!(desk.admin().data(&foreign)["approval"]["state"], "pending");
    assert_eq!(approve(&mut visitor, &own, 1).status, 303);
    assert_eq!((desk.subject(1), desk.subject(3)), ("Charged twice, closed".into(), "Hidden, open".into()));
}

#[test]
fn a_member_neither_sees_nor_decides_anything() {
    let mut desk = Desk::new("approvals_of_members");
    let path = desk.ask(&json!({"id": 1, "status": "closed"}));
    let mut member = Visitor::new(&mut desk.bench, "'hydra_member'");
    assert_eq!((member.get("/settings/approvals").status, member.get(&path).status), (403, 403));
    for action in ["approve", "refuse"] {
        assert_eq!(member.post(&format!("{path}/{action}"), "previews=1").status, 403, "{action}");
    }
    let page = member.get("/settings/webhooks").json();
    assert!(!page["sections"].as_array().unwrap().contains(&json!("approvals")) && page["waiting"] == 0, "{page}");
    assert_eq!(desk.subject(1), "Charged twice, open");
}

#[test]
fn what_cannot_be_done_any_more_says_why() {
    let mut desk = Desk::new("too_late");
    let [failing, ended, revoked] = [1, 2, 2].map(|id| desk.ask(&json!({"id": id, "status": "closed"})));
    let mut admin = desk.admin();
    desk.bench.run("ALTER TABLE public.tickets ADD CONSTRAINT first_stays_open CHECK (id <> 1 OR status = 'open')");
    assert_eq!(approve(&mut admin, &failing, 1).header("location"), Some(failing.as_str()));
    let failed = admin.data(&failing)["approval"].take();
    assert!(failed["state"] == "failed" && failed["error"].is_string(), "{failed}");

    let id = ended.rsplit('/').next().unwrap();
    desk.bench.run(&format!(
        "UPDATE hydra.approval SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' WHERE id = {id}"
    ));
    let late = unchanged(&approve(&mut admin, &ended, 1));
    assert!(late["approval"]["state"] == "expired" && late["refusal"]["message"].is_string(), "{late}");

    desk.bench.run("SELECT hydra.api_key_revoke(id) FROM hydra.api_keys");
    let gone = unchanged(&approve(&mut admin, &revoked, 1));
    assert!(gone["refusal"]["message"].as_str().unwrap().contains("revoked"), "{gone}");
    assert_eq!((desk.subject(1), desk.subject(2)), ("Charged twice, open".into(), "No heating, open".into()));
}

#[test]
fn paths_of_approvals_that_are_none_are_not_found() {
    let mut desk = Desk::new("approval_paths");
    let mut admin = desk.admin();
    for path in ["1", "x", "-1", "1/approve/2", "99999999999999999999"] {
        assert_eq!(admin.get(&format!("/settings/approvals/{path}")).status, 404, "{path}");
    }
    assert_eq!(admin.post("/settings/approvals/1/approve", "previews=1").status, 404);
    assert_eq!(admin.get("/settings/approvals/1/approve").header("allow"), Some("POST"));
    assert_eq!(admin.post("/settings/approvals", "").header("allow"), Some("GET"));
}
