//! The helpdesk in `examples/` has the 57 tools that it promises, and each answers what it is for.

use serde_json::{Value, json};
use testkit::Bench;
use testkit::gateway::Gateway;
use testkit::receiver::Answer;

use crate::{Office, cluster};

const SCOPES: &str = "mcp,support:read,support:write,crm:read,crm:write,analytics:read,automation:read,
    agents:read,accounts:read,accounts:write,customers:read,customers:write,conversations:read,conversations:write,
    tickets:read,tickets:write,replies:read,replies:write,webhooks:read,webhooks:manage,inbound:read,flows:read";

/// What happened before: two workspaces with the same names of things, and only one of them is that of the key.
const PAST: &str = "
    INSERT INTO helpdesk.tenants (tenant_id, name) VALUES ('lumen', 'Lumen Bikes'), ('other', 'Other Bikes');
    INSERT INTO helpdesk.agents (tenant_id, name, email) VALUES
        ('lumen', 'Priya', 'priya@lumen.example'), ('lumen', 'Tomas', 'tomas@lumen.example'), ('other', 'Eve', 'eve@other.example');
    INSERT INTO helpdesk.accounts (tenant_id, name, lifecycle_stage, health_score) VALUES
        ('lumen', 'Birch Logistics', 'at_risk', 35), ('lumen', 'Alder Couriers', 'active', 80), ('other', 'Foreign AG', 'at_risk', 1);
    INSERT INTO helpdesk.customers (tenant_id, account_id, kind, name, email, source)
    SELECT a.tenant_id, CASE WHEN c.kind = 'contact' THEN a.id END, c.kind, c.name, c.email, 'csv_import'
    FROM helpdesk.accounts AS a
    JOIN (VALUES ('Birch Logistics', 'contact', 'Nils', 'nils@birch.example'), ('Birch Logistics', 'contact', ' nils', NULL),
                 ('Alder Couriers', 'lead', 'Mara', 'mara@alder.example'), ('Foreign AG', 'contact', 'Nils', 'nils@foreign.example'))
         AS c (account, kind, name, email) ON c.account = a.name
    ORDER BY a.id, c.email;
    INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel, subject)
    SELECT c.tenant_id, c.id, 'email', 'Chargers of ' || c.name FROM helpdesk.customers AS c WHERE c.email ~ '^nils' ORDER BY c.id;
    INSERT INTO helpdesk.tickets (tenant_id, customer_id, conversation_id, subject, priority, status, resolved_at, created_at, assignee_id)
    SELECT c.tenant_id, c.id, (SELECT v.id FROM helpdesk.conversations AS v WHERE v.customer_id = c.id), t.subject, t.priority, t.status,
           CASE WHEN t.status = 'resolved' THEN now() - interval '2 days' END, now() - t.age,
           (SELECT a.id FROM helpdesk.agents AS a WHERE a.name = t.agent AND a.tenant_id = c.tenant_id)
    FROM helpdesk.customers AS c
    JOIN (VALUES (1, 'nils@birch.example', 'Chargers missing in order 2207', 'high', 'resolved', interval '5 days', 'Priya'),
                 (2, 'nils@birch.example', 'Chargers missing again', 'urgent', 'open', '3 days', 'Priya'),
                 (3, 'mara@alder.example', 'Do you ship to Malta?', 'low', 'waiting', '2 hours', 'Tomas'),
                 (4, 'nils@foreign.example', 'Chargers of a stranger', 'urgent', 'open', '3 days', 'Eve'))
         AS t (place, email, subject, priority, status, age, agent) ON t.email = c.email
    ORDER BY t.place;
    INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body, created_at)
    SELECT t.tenant_id, t.id, r.author, r.body, t.created_at + r.later
    FROM helpdesk.tickets AS t
    JOIN (VALUES (1, 'customer', 'All forty boxes were empty.', interval '1 minute'), (1, 'agent', 'They are on their way.', '2 hours'),
                 (2, 'customer', 'Nobody answers!', '1 hour'), (3, 'agent', 'We do.', '1 hour'))
         AS r (number, author, body, later) ON r.number = t.number
    WHERE t.tenant_id = 'lumen'
    ORDER BY t.id, r.later";

/// A tool, its arguments, and a text of its result.
type Tried = (&'static str, Value, &'static str);

/// The tools of each toolset, what they are called with, and a part of what they return. Of what writes, that is a preview.
fn calls(webhook: i64, failed: &str) -> [(&'static str, Vec<Tried>); 4] {
    let support = vec![
        ("list_agents", json!({}), "priya@lumen.example"),
        ("get_agents", json!({"id": 2}), "Tomas"),
        ("list_conversations", json!({"status": "open"}), "Chargers of Nils"),
        ("get_conversations", json!({"id": 1}), "Chargers of Nils"),
        ("list_replies", json!({"ticket_id": 2}), "Nobody answers!"),
        ("get_replies", json!({"id": 1}), "All forty boxes"),
        ("list_tickets", json!({"status.in": ["open", "waiting"], "sort": "-created_at"}), "Do you ship to Malta?"),
        ("get_tickets", json!({"id": 1}), "Chargers missing in order 2207"),
        ("create_conversations", json!({"customer_id": 1, "channel": "phone", "subject": "A call"}), "A call"),
        ("update_conversations", json!({"id": 1, "assignee_id": 2}), "assignee_id"),
        ("create_tickets", json!({"customer_id": 1, "subject": "Brakes squeak"}), "Brakes squeak"),
        ("update_tickets", json!({"id": 2, "priority": "low"}), "low"),
        ("delete_tickets", json!({"id": 3}), "Do you ship to Malta?"),
        ("create_replies", json!({"ticket_id": 2, "author": "agent", "body": "A note"}), "A note"),
        ("ticket_story", json!({"number": 1}), "They are on their way."),
        ("unanswered_tickets", json!({"older_than": "1 day"}), "Chargers missing again"),
        ("search_tickets", json!({"words": "empty boxes"}), "Chargers missing in order 2207"),
        ("similar_tickets", json!({"number": 2}), "They are on their way."),
        ("reply_to_ticket", json!({"number": 2, "body": "They come today."}), "\"status\": \"waiting\""),
        ("assign_ticket", json!({"number": 2, "agent_email": "tomas@lumen.example"}), "Tomas"),
        ("resolve_ticket", json!({"number": 2, "answer": "They have arrived."}), "\"status\": \"resolved\""),
        ("reopen_ticket", json!({"number": 1}), "\"status\": \"open\""),
        ("set_ticket_priority", json!({"number": 2, "priority": "low"}), "\"was\": \"urgent\""),
        (
            "hand_over_tickets",
            json!({"from_email": "priya@lumen.example", "to_email": "tomas@lumen.example"}),
            "Chargers missing again",
        ),
    ];
    let crm = vec![
        ("list_accounts", json!({"lifecycle_stage": "at_risk"}), "Birch Logistics"),
        ("get_accounts", json!({"id": 2}), "Alder Couriers"),
        ("list_customers", json!({"email": "mara@alder.example"}), "Mara"),
        ("get_customers", json!({"id": 1}), "nils"),
        ("create_accounts", json!({"name": "Cedar Cafe"}), "Cedar Cafe"),
        ("update_accounts", json!({"id": 1, "health_score": 20}), "20"),
        (
            "create_customers",
            json!({"name": "Olga", "source": "mcp", "email": "olga@birch.example"}),
            "olga@birch.example",
        ),
        ("update_customers", json!({"id": 3, "name": "Mara M."}), "Mara M."),
        ("accounts_at_risk", json!({}), "\"waiting_for_us\":1"),
        ("customer_history", json!({"email": "Nils@birch.example"}), "Chargers missing again"),
        ("duplicate_customers", json!({}), "\"customer_ids\":[1,2]"),
        ("merge_customers", json!({"keep_id": 1, "remove_id": 2}), "moved_tickets"),
        ("convert_lead", json!({"email": "mara@alder.example", "account_name": "Alder Couriers"}), "contact"),
        ("move_account_stage", json!({"account_name": "Alder Couriers", "stage": "at_risk"}), "\"was\": \"active\""),
    ];
    let analytics = vec![
        ("first_response_by_week", json!({}), "\"median_hours\":"),
        ("resolution_time", json!({"weeks": 2}), "\"priority\":\"high\",\"resolved\":1,\"median_hours\":72.00"),
        ("backlog_by_age", json!({}), "\"age\":\"a day to a week\",\"tickets\":1,\"unassigned\":0,\"urgent\":1"),
        ("busiest_hours", json!({"time_zone": "Europe/Vienna"}), "\"weekday\":"),
        (
            "workload_by_agent",
            json!({}),
            "\"agent\":\"Priya\",\"email\":\"priya@lumen.example\",\"unresolved\":1,\"urgent\":1",
        ),
        ("sla_breaches", json!({}), "\"number\":2,\"subject\":\"Chargers missing again\""),
    ];
    let automation = vec![
        ("endpoint_success", json!({}), "\"name\":"),
        ("event_types", json!({}), "account.created"),
        ("webhook_subscriptions", json!({}), "active"),
        ("webhook_failures", json!({}), "500"),
        ("inbound_events", json!({}), "\"data\":[]"),
        ("flow_runs", json!({}), "\"data\":[]"),
        ("webhook_pause", json!({"id": webhook}), "paused"),
        ("webhook_resume", json!({"id": webhook}), "active"),
        (
            "webhook_replay",
            json!({"id": webhook, "since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}),
            "deliveries",
        ),
        ("webhook_retry", json!({"delivery_id": failed}), "ticket.created"),
        ("webhook_cancel", json!({"delivery_id": failed}), "cancelled"),
        ("what_would_happen", json!({"tool": "reopen_ticket", "arguments": {"number": 1}}), "\"status\": \"open\""),
        ("approval_status", json!({"approval_id": 1}), "pending"),
    ];
    [("support", support), ("crm", crm), ("analytics", analytics), ("automation", automation)]
}

struct Desk {
    office: Office,
    webhook: i64,
    failed: String,
}

fn open(database: &str) -> Desk {
    let mut bench = Bench::new(cluster(), database);
    bench.run(include_str!("../../examples/helpdesk.sql"));
    bench.run(include_str!("../../examples/helpdesk_tools.sql"));
    // Its deliveries fail for good.
    bench.receiver.answer("/desk", Answer::status(500));
    let (webhook, _) = bench.subscribe("/desk", "ticket.created", &["tenant_id => 'lumen'", "retry_schedule => '{}'"]);
    bench.run(PAST);
    bench.wait_for_count("webhook_failed", 3);
    let failed = bench.ask("SELECT min(delivery_id::text) FROM hydra.webhook_failed");
    let scopes = SCOPES.split_whitespace().collect::<String>();
    let key = bench.ask(&format!("SELECT key FROM hydra.api_key_create('all', '{{{scopes}}}', tenant_id => 'lumen')"));
    let gateway = Gateway::start(&bench);
    Desk { office: Office { bench, gateway, key }, webhook, failed }
}

fn said(result: &Value) -> String {
    let texts = result["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// Without spaces that differ between json and jsonb, and as it was before it was quoted.
fn squeezed(text: &str) -> String {
    text.replace("\\\"", "\"").replace(": ", ":").replace(", ", ",")
}

#[test]
fn a_key_of_a_workspace_finds_57_tools_in_four_toolsets_and_each_does_what_it_is_for() {
    let mut desk = open("helpdesk_tools");
    let key = desk.office.key.clone();
    let count = "SELECT count(*) FROM (SELECT 1 FROM helpdesk.tickets UNION ALL SELECT 1 FROM helpdesk.replies
                 UNION ALL SELECT 1 FROM helpdesk.customers UNION ALL SELECT 1 FROM helpdesk.accounts) AS r";
    let before: i64 = desk.office.bench.ask(count);
    let calls = calls(desk.webhook, &desk.failed);
    let (mut all, mut written) = (Vec::new(), 0);
    for (toolset, calls) in &calls {
        let mut expected: Vec<&str> = calls.iter().map(|(name, ..)| *name).collect();
        expected.sort_unstable();
        assert_eq!(desk.office.names_at(&key, &format!("/mcp?toolsets={toolset}")), expected, "{toolset}");
        all.extend(expected);
    }
    all.sort_unstable();
    assert_eq!(all.len(), 57);
    assert_eq!(desk.office.names(&key), all);
    for (name, arguments, part) in calls.iter().flat_map(|(_, calls)| calls) {
        let result = desk.office.call(&key, name, arguments.clone());
        let said = said(&result);
        assert_eq!(result["isError"], false, "{name}: {said}");
        assert!(squeezed(&said).contains(&squeezed(part)), "{name}: {part}: {said}");
        assert!(!said.contains("stranger") && !said.contains("Foreign") && !said.contains("eve@"), "{name}: {said}");
        written += usize::from(result["structuredContent"]["status"] == "waits_for_approval");
    }
    assert_eq!(written, 24, "tools that write");
    assert_eq!(desk.office.bench.ask::<i64>(count), before, "nothing was written");
}

#[test]
fn a_question_about_what_is_not_there_is_answered_with_what_to_do() {
    let desk = open("helpdesk_questions");
    for (name, arguments, told) in [
        ("ticket_story", json!({"number": 99}), "There is no ticket 99."),
        ("assign_ticket", json!({"number": 2, "agent_email": "eve@other.example"}), "list_agents returns all."),
        ("reopen_ticket", json!({"number": 2}), "Ticket 2 is open, and not resolved."),
        ("customer_history", json!({"email": "nils@foreign.example"}), "No customer has the address"),
        ("merge_customers", json!({"keep_id": 1, "remove_id": 4}), "Two customers are needed."),
        ("set_ticket_priority", json!({"number": 2, "priority": "mild"}), "The argument priority is not accepted"),
    ] {
        let explanation = desk.office.explanation(&desk.office.key, name, arguments);
        assert!(explanation.contains(told), "{name}: {explanation}");
    }
}
