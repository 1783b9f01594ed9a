//! The settings pages in a browser, at a gateway: every page and button, as admin and as member, with scripts off and on.
//!
//! The browser is driven by `browser/*.js`. It also looks on each page for faults that axe finds, for what does not fit
//! on a small screen, for what the policy of the pages refuses, and for scripts that run.

use std::sync::OnceLock;

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Bench, Cluster, Gateway, PATIENCE, run, wait_until};

mod browser;

use browser::Visit;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        run(&mut cluster.connect("postgres"), "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app");
        cluster
    })
}

/// A flow in testing.
const FLOW: &str = "
    CREATE TABLE public.opened (id text);
    ALTER TABLE public.opened OWNER TO app;
    CREATE FUNCTION public.open_ticket(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.opened VALUES (event ->> 'entity_id');
        RETURN event -> 'entity';
    END $$;
    ALTER FUNCTION public.open_ticket(jsonb) OWNER TO app;
    SELECT hydra.flow_create('Open a ticket', 'ticket.created', 'public.open_ticket(jsonb)')";

/// A database with three webhooks: one that works, one that fails, and one that was disabled and has missed events; with an
/// adapter, and a flow in testing.
struct Helpdesk {
    bench: Bench<'static>,
    gateway: Gateway,
    failing: i64,
    disabled: i64,
    /// The URL of the adapter.
    adapter: String,
}

impl Helpdesk {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.receiver.answer("/down", Answer::status(503).with_body("<b>out of order</b>"));
        bench.receiver.answer("/gone", Answer::status(410));
        bench.subscribe("/works", "ticket.created", &["name => 'Data warehouse'"]);
        let (failing, _) = bench.subscribe("/down", "ticket.created", &["name => 'CRM'", "retry_schedule => '{}'"]);
        let (disabled, _) = bench.subscribe("/gone", "ticket.created", &["name => 'Slack bridge'"]);
        bench.emit_ticket(1);
        bench.wait_for_column(disabled, "status", "disabled");
        bench.emit_tickets(2..=4);
        bench.wait_for_count("webhook_failed", 4);
        bench.wait_for_column(disabled, "missed", "3");
        // It was mended, and would work if it were resumed.
        bench.receiver.answer("/gone", Answer::ok());
        // Two more, of which a retry waits.
        bench.run(&format!("SELECT hydra.webhook_update({failing}, retry_schedule => '{{1 h}}')"));
        bench.emit_tickets(5..=6);
        bench.wait_for_count(&format!("webhook_history WHERE subscription_id = {failing}"), 6);
        bench.wait_for_column(failing, "pending", "2");
        bench.wait_for_column(disabled, "missed", "5");
        // As the dispatcher counts, two hours ago. If an hour ends just now, it has counted in the last one itself.
        bench.run(
            "INSERT INTO hydra.delivery_count (subscription_id, hour, delivered, failed_attempts, failed, response_times)
             SELECT s.id, date_trunc('hour', now(), 'UTC') - interval '2 h', 40, 3, 1, array_fill(1::bigint, '{73}')
             FROM hydra.subscription AS s",
        );
        bench.run(FLOW);
        let adapter = bench.ask("SELECT url FROM hydra.inbound_create('Curl', '{\"ticket\": \"ticket.created\"}')");
        let gateway = Gateway::start(&bench);
        Self { bench, gateway, failing, disabled, adapter }
    }

    /// A visit that begins with a link, whose arguments are `link`.
    fn visit(&mut self, scenario: &'static str, link: &str) -> Visit {
        let link: String = self.bench.ask(&format!("SELECT hydra.console_link({link})"));
        Visit::new(scenario, &self.gateway.url())
            .with("link", link)
            .with("failing", self.failing)
            .with("disabled", self.disabled)
            .with("adapter", self.adapter.as_str())
            .with("endpoint", self.bench.receiver.url("/new"))
    }

    fn settings(&mut self) -> Vec<(String, String)> {
        settings(&mut self.bench.client)
    }
}

/// Names and states of all webhooks.
fn settings(client: &mut Client) -> Vec<(String, String)> {
    let rows = client.query("SELECT coalesce(name, ''), status FROM hydra.webhook_subscriptions ORDER BY id", &[]);
    rows.expect("the webhooks").iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Does everything that an admin can do, and looks at what came of it in the database.
fn admin(database: &str, scripts: bool) {
    let mut helpdesk = Helpdesk::new(database);
    helpdesk.visit("admin", "'hydra_admin'").with("scripts", scripts).with("axe", scripts).run();
    let expected = [("Data warehouse", "active"), ("CRM", "active"), ("Slack bridge", "active")];
    let expected = expected.map(|(name, status)| (name.to_owned(), status.to_owned()));
    assert_eq!(helpdesk.settings(), expected, "the new webhook was deleted in the end");
    let bench = &mut helpdesk.bench;
    assert_eq!(bench.column(helpdesk.disabled, "missed"), "0", "they were dropped");
    assert_eq!(bench.receiver.received("/new"), 2, "two tests");
    assert_eq!(bench.ask::<String>("SELECT string_agg(state, ' ' ORDER BY id) FROM hydra.api_keys"), "revoked");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.event_type WHERE name = 'invoice.paid'"), 1);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.console_session"), 0, "signed out");
    // Of the six that failed, one was cancelled. The others were sent again or wait for their retry.
    bench.wait_for_column(helpdesk.failing, "pending", "5");
}

#[test]
fn an_admin_does_everything_without_scripts() {
    admin("without_scripts", false);
}

#[test]
fn an_admin_does_everything_with_scripts_on_and_axe_finds_nothing() {
    admin("with_scripts", true);
}

/// Makes an adapter and does everything with it and a flow.
fn adapters(database: &str, scripts: bool) {
    let mut bench = Bench::new(cluster(), database);
    bench.run(FLOW);
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let visit = Visit::new("adapters", &gateway.url()).with("link", link);
    visit.with("scripts", scripts).with("axe", scripts).run();
    assert_eq!(
        bench.ask::<String>("SELECT string_agg(id, ' ' ORDER BY id) FROM public.opened"),
        "7",
        "8 was rehearsed"
    );
    assert_eq!(bench.count("inbound_adapters") + bench.count("flows"), 0, "deleted in the end");
    assert_eq!(bench.count("inbound_events"), 2);
}

#[test]
fn an_admin_uses_adapters_and_flows_without_scripts() {
    adapters("adapters_without_scripts", false);
}

#[test]
fn an_admin_uses_adapters_and_flows_with_scripts_on_and_axe_finds_nothing() {
    adapters("adapters_with_scripts", true);
}

/// Has an assistant want to write, and decides about it.
fn approvals(database: &str, scripts: bool) {
    let mut bench = Bench::new(cluster(), database);
    bench.run(
        "CREATE TABLE public.tickets (id bigint PRIMARY KEY, subject text NOT NULL, status text NOT NULL DEFAULT 'open');
         INSERT INTO public.tickets SELECT n, 'Ticket ' || n FROM generate_series(1, 4) AS n;
         GRANT SELECT, UPDATE ON public.tickets TO hydra_api;
         SELECT hydra.webhook_register_event_type('ticket.updated', 'A ticket was changed');
         SELECT hydra.webhook_watch('public.tickets', 'ticket.updated', 'update');
         SELECT hydra.api_expose('public.tickets', updatable => '{subject,status}')",
    );
    bench.subscribe("/crm", "ticket.updated", &["name => 'CRM'"]);
    let key: String =
        bench.ask("SELECT key FROM hydra.api_key_create('Assistant', '{mcp,tickets:read,tickets:write}')");
    let gateway = Gateway::start(&bench);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let text = "<img src=x onerror=alert(1)>\u{202E}\u{E0041}\u{200B}";
    let visit = Visit::new("approvals", &gateway.url()).with("link", link).with("key", key).with("text", text);
    visit.with("scripts", scripts).with("axe", scripts).run();
    assert_eq!(
        bench.ask::<String>(
            "SELECT string_agg(id || ' ' || status || ' ' || left(subject, 8), ', ' ORDER BY id) FROM public.tickets"
        ),
        "1 open <img src, 2 open Ticket 2, 3 closed Third, 4 open Ticket 4"
    );
}

#[test]
fn an_admin_approves_and_refuses_without_scripts() {
    approvals("approvals_without_scripts", false);
}

#[test]
fn an_admin_approves_and_refuses_with_scripts_on_and_axe_finds_nothing() {
    approvals("approvals_with_scripts", true);
}

#[test]
fn a_member_sees_the_pages_and_has_no_button() {
    let mut helpdesk = Helpdesk::new("member");
    let before = helpdesk.settings();
    helpdesk.visit("member", "'hydra_member'").with("axe", true).run();
    assert_eq!(helpdesk.settings(), before);
}

#[test]
fn what_strangers_write_is_shown_and_never_run() {
    let mut helpdesk = Helpdesk::new("strangers");
    let text = r#""'><img src=x onerror=alert(1)><script>alert(2)</script>"#;
    let bench = &mut helpdesk.bench;
    bench.receiver.answer("/down", Answer::status(500).with_body(text));
    let sql = format!(
        "SELECT hydra.webhook_update({0}, name => $t${text}$t$, filter => $t$$ ? (@.id != \"<img src=x onerror=alert(3)>\")$t$,
                                     retry_schedule => '{{}}');
         SELECT hydra.webhook_register_event_type('evil.done', $t${text}$t$, $t${text}$t$, $t${text}$t$);
         SELECT hydra.api_key_create($t${text}$t$, '{{mcp}}', tenant_id => $t${text}$t$);
         SELECT hydra.inbound_update(1, name => $t${text}$t$, tenant_id => $t${text}$t$,
                                     mapping => jsonb_build_object($t${text}$t$, 'ticket.created'));
         UPDATE hydra.flow SET name = $t${text}$t$, tenant_id = $t${text}$t$",
        helpdesk.failing
    );
    bench.run(&sql);
    bench.emit("ticket.created", r#"{"id": "<img src=x onerror=alert(4)>"}"#);
    // The shorter schedule ends two others as well, sooner or later.
    let given_up = "SELECT EXISTS (SELECT FROM hydra.webhook_failed WHERE entity_id LIKE '%alert(4)%')";
    wait_until("its delivery is given up", PATIENCE, || bench.ask(given_up));
    helpdesk.visit("strangers", "'hydra_admin'").with("text", text).run();
}

#[test]
fn forms_that_are_sent_twice_or_late_say_so_and_change_nothing() {
    let mut helpdesk = Helpdesk::new("late_forms");
    helpdesk.visit("late", "'hydra_admin'").run();
    assert_eq!(helpdesk.settings().len(), 4, "the form that was sent twice has made one webhook");
    assert_eq!(helpdesk.bench.column(helpdesk.failing, "name"), "First");
}

#[test]
fn a_person_enters_a_key_and_sees_what_it_can_do() {
    let mut bench = Bench::new(cluster(), "api_page");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/helpdesk.sql");
    bench.run(&std::fs::read_to_string(example).expect("the example"));
    let mut key = |scopes: &str| -> String {
        bench.ask(&format!("SELECT key FROM hydra.api_key_create('page', '{{{scopes}}}', tenant_id => 'lumen')"))
    };
    let all = key("tickets:read,tickets:write,customers:read,webhooks:read,webhooks:manage,inbound:read,flows:read");
    let one = key("replies:read");
    let gateway = Gateway::start(&bench);
    Visit::new("api", &gateway.url()).with("all", all).with("one", one).with("axe", true).run();
}
