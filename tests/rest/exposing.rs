//! Exposing: what is taken over from the table, what is refused, and what is said.

use testkit::{ask, refusal, refused, run};

use crate::{Desk, TICKETS, notices};

#[test]
fn a_table_is_exposed_with_what_it_says_about_itself() {
    let mut desk = Desk::with("expose_defaults", TICKETS, "");
    let name: String = desk.bench.ask("SELECT hydra.api_expose('app.tickets')");
    assert_eq!(name, "tickets");
    let resource: String = desk.bench.ask(
        "SELECT concat_ws(' | ', relation, id_column, tenant_column, readable, creatable, updatable, filterable, sortable, deletable, problem)
         FROM hydra.api_resources",
    );
    assert_eq!(
        resource,
        "app.tickets | id | tenant_id | {id,tenant_id,subject,status,amount,due,note} | {} | {} | \
         {id,tenant_id,status,amount,due} | {id,tenant_id,status,amount,due} | f"
    );
    // The same name replaces it.
    desk.bench.run(
        "SELECT hydra.api_expose('app.tickets', 'tickets', '{id,subject,status}', '{subject,tenant_id}', '{subject,note}', '{status}', '{}', true)",
    );
    let resource: String = desk.bench.ask(
        "SELECT concat_ws(' | ', readable, creatable, updatable, filterable, sortable, deletable) FROM hydra.api_resources",
    );
    assert_eq!(resource, "{id,subject,status} | {subject,tenant_id} | {subject,note} | {status} | {} | t");
    // One relation can be several resources.
    desk.bench.run("SELECT hydra.api_expose('app.tickets', 'cases')");
    assert_eq!(desk.bench.count("api_resources"), 2);
    assert!(ask::<bool>(&mut desk.bench.client, "SELECT hydra.api_hide('cases')"));
    assert!(!ask::<bool>(&mut desk.bench.client, "SELECT hydra.api_hide('cases')"));
    assert!(ask::<bool>(&mut desk.bench.client, "SELECT hydra.api_hide(NULL) IS FALSE"));
    assert_eq!(desk.bench.count("api_resources"), 1);
    assert_eq!(desk.get("/api/v1/cases").status, 404);
}

#[test]
fn what_a_watch_sends_is_what_is_shown() {
    let mut desk = Desk::with("expose_watched", TICKETS, "");
    desk.bench.run(
        "SELECT hydra.webhook_watch('app.tickets', 'ticket.created', 'insert', \"only\" => '{id,tenant_id,subject}')",
    );
    desk.bench.run("SELECT hydra.api_expose('app.tickets')");
    assert_eq!(desk.bench.ask::<String>("SELECT readable::text FROM hydra.api_resources"), "{id,tenant_id,subject}");
    let said = notices(&desk.bench, "postgres", "SELECT hydra.api_expose('app.tickets', readable => '{id,note}')");
    assert!(
        said.iter().any(|notice| notice.contains("does not show what ticket.created sends")
            && notice.contains("Only the webhook has: tenant_id, subject.")
            && notice.contains("Only the resource has: note.")),
        "{said:#?}"
    );
    desk.bench
        .run("SELECT hydra.webhook_watch('app.tickets', 'ticket.created', 'insert', \"except\" => '{note,amount}')");
    desk.bench.run("SELECT hydra.api_expose('app.tickets')");
    assert_eq!(
        desk.bench.ask::<String>("SELECT readable::text FROM hydra.api_resources"),
        "{id,tenant_id,subject,status,due}"
    );
}

#[test]
fn what_cannot_be_exposed_is_refused_with_what_is_missing() {
    let mut desk = Desk::with("expose_refused", TICKETS, "");
    desk.bench.run(
        "CREATE TABLE keyless (a int, tenant_id text); CREATE TABLE double (a int, b int, PRIMARY KEY (a, b));
         CREATE TABLE \"Odd\" (id int PRIMARY KEY); CREATE TABLE webhooks (id int PRIMARY KEY);
         CREATE VIEW seen AS SELECT s.id, s.note::json AS doc FROM (SELECT DISTINCT id, note FROM app.tickets) AS s; CREATE SEQUENCE numbers;
         CREATE TEMPORARY TABLE passing (id int PRIMARY KEY);
         CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, twice int GENERATED ALWAYS AS (1) STORED);
         CREATE TABLE lowered (id int PRIMARY KEY, org text, tenant_id text GENERATED ALWAYS AS (lower(org)) STORED);
         CREATE VIEW doubled AS SELECT id, tenant_id, amount, amount * 2 AS dbl FROM app.tickets;
         CREATE VIEW brief AS SELECT id, dbl FROM doubled; CREATE VIEW shows_made AS SELECT id, tenant_id, twice FROM made;
         CREATE VIEW scoped AS SELECT id, note, lower(tenant_id) AS tenant_id FROM app.tickets;
         CREATE INDEX partial ON app.tickets (note) WHERE note IS NOT NULL; CREATE INDEX pattern ON app.tickets (subject text_pattern_ops);
         CREATE INDEX late ON app.tickets (status, note)",
    );
    let tickets = |more: &str| format!("'app.tickets', {more}");
    for (arguments, code, part) in [
        ("NULL".to_owned(), "22004", "null"),
        ("4000000000::oid::regclass".to_owned(), "42P01", "does not exist"),
        ("'numbers'".to_owned(), "42809", "neither a table nor a view"),
        ("'passing'".to_owned(), "42809", "temporary"),
        ("'hydra.api_key'".to_owned(), "42809", "hydra"),
        ("'pg_catalog.pg_authid'".to_owned(), "42809", "pg_catalog"),
        ("'keyless'".to_owned(), "42P16", "no primary key"),
        ("'keyless', id_column => 'a'".to_owned(), "42P16", "ADD UNIQUE"),
        ("'double'".to_owned(), "42P16", "several columns: a, b"),
        ("'seen'".to_owned(), "42P16", "Pass id_column"),
        ("'seen', id_column => 'nothing'".to_owned(), "42703", "nothing"),
        ("'seen', id_column => 'id', filterable => '{doc}'".to_owned(), "42P17", "cannot be compared"),
        ("'seen', id_column => 'id', deletable => true".to_owned(), "55000", "DELETE"),
        ("'\"Odd\"'".to_owned(), "22023", "Pass a name"),
        ("'webhooks'".to_owned(), "42939", "webhooks"),
        (tickets("'Tickets'"), "22023", "Pass a name"),
        (tickets("'me'"), "42939", "me"),
        (tickets("'inbound'"), "42939", "inbound"),
        (tickets("''"), "22023", "Pass a name"),
        (tickets("readable => '{id,nothing}'"), "42703", "nothing"),
        (tickets("readable => '{id,xmin}'"), "42703", "xmin"),
        (tickets("readable => '{subject}'"), "22023", "must be readable"),
        (tickets("readable => '{id,id}'"), "22023", "repetitions"),
        (tickets("readable => '{id,NULL}'"), "22023", "nulls"),
        (tickets("tenant_column => 'nothing'"), "42703", "nothing"),
        (tickets("filterable => '{subject}'"), "42P17", "CREATE INDEX ON app.tickets (tenant_id, subject, id);"),
        (tickets("sortable => '{note}'"), "42P17", "CREATE INDEX ON app.tickets (tenant_id, note, id);"),
        (tickets("readable => '{id}', sortable => '{due}'"), "22023", "not readable"),
        (tickets("updatable => '{id}'"), "22023", "keeps its id"),
        (tickets("updatable => '{tenant_id}'"), "22023", "another tenant"),
        (tickets("creatable => '{nothing}'"), "42703", "nothing"),
        (tickets("description => ''"), "22023", "description"),
        ("'made', creatable => '{id}'".to_owned(), "428C9", "always generated"),
        ("'made', creatable => '{twice}'".to_owned(), "428C9", "always generated"),
        ("'shows_made', id_column => 'id', creatable => '{twice}'".to_owned(), "428C9", "column twice"),
        ("'shows_made', id_column => 'id', updatable => '{twice}'".to_owned(), "428C9", "column twice"),
        ("'doubled', id_column => 'id', creatable => '{amount,dbl}'".to_owned(), "428C9", "column dbl"),
        ("'doubled', id_column => 'id', updatable => '{dbl}'".to_owned(), "428C9", "computed by the view"),
        ("'brief', id_column => 'id', updatable => '{dbl}'".to_owned(), "428C9", "column dbl"),
        ("'lowered', creatable => '{org}'".to_owned(), "428C9", "the tenant column tenant_id"),
        ("'scoped', id_column => 'id', creatable => '{note}'".to_owned(), "428C9", "the tenant column tenant_id"),
    ] {
        let refusal = desk.bench.refused(&format!("SELECT hydra.api_expose({arguments})"), code);
        let whole = format!("{} {} {}", refusal.message, refusal.detail, refusal.hint);
        assert!(
            whole.contains(part) && !refusal.detail.is_empty() && !refusal.hint.is_empty(),
            "{arguments}: {refusal:?}"
        );
    }
    assert_eq!(desk.bench.count("api_resources"), 0);
    // Where nobody gives the tenant, it can be computed.
    desk.bench.run(
        "SELECT hydra.api_expose('lowered', updatable => '{org}');
         SELECT hydra.api_expose('scoped', id_column => 'id', updatable => '{note}', deletable => true);
         SELECT hydra.api_expose('lowered', 'all_lowered', tenant_column => 'org', creatable => '{id}')",
    );
    // Whoever writes a trigger for a view decides what becomes of its columns.
    desk.bench.run(
        "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER ignore INSTEAD OF INSERT ON doubled FOR EACH ROW EXECUTE FUNCTION ignore();
         SELECT hydra.api_expose('doubled', id_column => 'id', creatable => '{dbl}')",
    );
    desk.bench.refused("SELECT hydra.api_expose('doubled', id_column => 'id', updatable => '{dbl}')", "428C9");
    assert_eq!(desk.bench.ask::<i64>("SELECT count(*) FROM hydra.api_resources WHERE problem IS NOT NULL"), 0);
}

#[test]
fn what_may_be_wrong_is_said() {
    let mut desk = Desk::with("expose_said", TICKETS, "");
    desk.bench.run(
        "CREATE TABLE secrets (id int PRIMARY KEY, kind text, password_hash text, \"apiKey\" text); CREATE INDEX ON secrets (kind);
         CREATE VIEW seen AS SELECT * FROM app.tickets; GRANT SELECT ON seen TO hydra_api",
    );
    let none = notices(&desk.bench, "postgres", "SELECT hydra.api_expose('app.tickets')");
    assert!(none.is_empty(), "{none:#?}");
    let said = notices(
        &desk.bench,
        "postgres",
        "SELECT hydra.api_expose('secrets', creatable => '{kind}', deletable => true)",
    );
    for part in [
        "has no tenant column",
        "CREATE INDEX ON public.secrets (kind, id);",
        "look secret: password_hash, \"apiKey\"",
        "GRANT SELECT, INSERT (kind), DELETE ON public.secrets TO hydra_api;",
    ] {
        assert!(said.iter().any(|notice| notice.contains(part)), "{part}: {said:#?}");
    }
    let said = notices(&desk.bench, "postgres", "SELECT hydra.api_expose('seen', id_column => 'id')");
    assert!(said.iter().any(|notice| notice.contains("reads its tables as its owner")), "{said:#?}");
    desk.bench.run(
        "CREATE SCHEMA closed; CREATE TABLE closed.t (id int PRIMARY KEY, tenant_id text, UNIQUE (tenant_id, id))",
    );
    let said = notices(&desk.bench, "postgres", "SELECT hydra.api_expose('closed.t', sortable => '{id}')");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].contains("GRANT USAGE ON SCHEMA closed TO hydra_api; GRANT SELECT ON closed.t TO hydra_api;"),
        "{said:#?}"
    );
}

#[test]
fn what_the_answers_to_writes_tell_of_other_tenants_is_said() {
    let mut desk = Desk::with("expose_told", TICKETS, "");
    desk.bench.run(
        "CREATE TABLE app.country (code text PRIMARY KEY); CREATE TABLE app.team (id int PRIMARY KEY, tenant_id text);
         ALTER TABLE app.tickets ADD slug text UNIQUE, ADD number int, ADD country text REFERENCES app.country,
                                 ADD team int REFERENCES app.team, ADD place int4range, ADD UNIQUE (tenant_id, number);
         CREATE UNIQUE INDEX tickets_subject ON app.tickets (lower(subject));
         ALTER TABLE app.tickets ADD CONSTRAINT tickets_place EXCLUDE USING gist (place WITH &&);
         GRANT ALL ON app.tickets TO hydra_api",
    );
    let said = |arguments: &str| -> Vec<String> {
        notices(
            &desk.bench,
            "postgres",
            &format!("SELECT hydra.api_expose('app.tickets', sortable => '{{}}', {arguments})"),
        )
    };
    let unique = said("creatable => '{slug,number}', updatable => '{subject,place}'");
    assert_eq!(unique.len(), 1, "{unique:#?}");
    for name in ["tickets_slug_key", "tickets_subject", "tickets_place"] {
        assert!(unique[0].contains(name), "{name}: {unique:#?}");
    }
    assert!(!unique[0].contains("number") && !unique[0].contains("tickets_pkey"), "{unique:#?}");
    let references = said("creatable => '{country,team}'");
    assert!(references.len() == 1 && references[0].contains("app.country"), "{references:#?}");
    assert!(!references[0].contains("app.team"), "{references:#?}");
    for nothing in ["creatable => '{number,team}'", "updatable => '{status}'", "deletable => true"] {
        assert!(said(nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn only_its_owner_exposes_a_table_and_only_who_administers_may() {
    let mut desk = Desk::with("expose_owner", TICKETS, "");
    desk.bench.run("ALTER TABLE app.tickets OWNER TO app");
    let mut admin = crate::cluster().connect_as("expose_owner", "admin");
    let foreign = refused(&mut admin, "SELECT hydra.api_expose('app.tickets')", "42501");
    assert!(foreign.detail.contains("app"), "{foreign:?}");
    let mut owner = crate::cluster().connect_as("expose_owner", "app");
    run(&mut owner, "SELECT hydra.api_expose('app.tickets')");
    assert_eq!(desk.bench.ask::<String>("SELECT created_by FROM hydra.api_resource"), "app");
    refused(&mut admin, "SELECT hydra.api_hide('tickets')", "42501");
    // Nor is a resource of another owner replaced.
    desk.bench.run("CREATE TABLE tickets (id int PRIMARY KEY); ALTER TABLE tickets OWNER TO admin");
    let taken = refused(&mut admin, "SELECT hydra.api_expose('public.tickets')", "42710");
    assert!(taken.detail.contains("app.tickets"), "{taken:?}");
    let mut stranger = desk.bench.session_of_new_role("expose_stranger", &[]);
    assert_eq!(refusal(&mut stranger, "SELECT hydra.api_expose('app.tickets')").code, "42501");
    let mut member = desk.bench.session_of_new_role("expose_member", &["hydra_member"]);
    assert_eq!(refusal(&mut member, "SELECT hydra.api_expose('app.tickets')").code, "42501");
    assert_eq!(ask::<String>(&mut member, "SELECT name FROM hydra.api_resources"), "tickets");
    run(&mut owner, "SELECT hydra.api_hide('tickets')");
    // What is gone can be hidden by everybody who administers.
    run(&mut owner, "SELECT hydra.api_expose('app.tickets')");
    run(&mut owner, "DROP TABLE app.tickets");
    assert!(ask::<bool>(&mut admin, "SELECT hydra.api_hide('tickets')"));
}

#[test]
fn what_was_dropped_or_renamed_is_said_and_left_out() {
    let mut desk = Desk::new("expose_changed");
    let problem = "SELECT coalesce(problem, 'none') FROM hydra.api_resources";
    assert_eq!(desk.bench.ask::<String>(problem), "none");
    desk.bench.run("ALTER TABLE app.tickets RENAME subject TO title; ALTER TABLE app.tickets DROP amount");
    assert_eq!(desk.bench.ask::<String>(problem), "Column subject was dropped or renamed, and is left out.");
    assert_eq!(
        desk.get("/api/v1/tickets/1").body,
        "{\"id\":1,\"tenant_id\":\"acme\",\"status\":\"open\",\"due\":\"2026-01-01\",\"note\":null}"
    );
    assert_eq!(desk.get("/api/v1/tickets?amount=1").status, 400);
    assert_eq!(desk.get("/api/v1/tickets?sort=amount").status, 400);
    // The table itself may be renamed.
    desk.bench.run("ALTER TABLE app.tickets RENAME TO cases; ALTER TABLE app.cases SET SCHEMA public");
    assert_eq!(desk.get("/api/v1/tickets/1").status, 200);
    // A column that is added is not shown.
    desk.bench.run("ALTER TABLE cases ADD added text DEFAULT 'new'");
    assert!(!desk.get("/api/v1/tickets/1").body.contains("new"));
    desk.bench.run("ALTER TABLE cases RENAME id TO number");
    assert_eq!(desk.bench.ask::<String>(problem), "Column id was dropped or renamed; no request finds the resource.");
    assert_eq!(desk.get("/api/v1/tickets/1").status, 404);
    desk.bench.run("DROP TABLE cases");
    assert_eq!(desk.bench.ask::<String>(problem), "The relation was dropped; no request finds the resource.");
    assert_eq!(desk.get("/api/v1/tickets").status, 404);
}

#[test]
fn views_partitions_and_materialized_views_are_resources_too() {
    let mut desk = Desk::with("expose_kinds", TICKETS, "");
    desk.bench.run(
        "CREATE VIEW open_tickets WITH (security_invoker) AS SELECT id, tenant_id, upper(subject) AS subject FROM app.tickets WHERE status = 'open';
         CREATE MATERIALIZED VIEW totals AS SELECT tenant_id AS id, tenant_id, count(*) AS tickets FROM app.tickets GROUP BY 1;
         CREATE UNIQUE INDEX ON totals (id);
         CREATE TABLE parts (id int, tenant_id text, at date, PRIMARY KEY (id)) PARTITION BY HASH (id);
         CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         ALTER TABLE part_1 ADD CHECK (true); CREATE INDEX ON parts (tenant_id, at, id);
         INSERT INTO parts SELECT n, 'acme', '2026-01-01'::date - n FROM generate_series(1, 9) AS n;
         GRANT SELECT ON open_tickets, totals, parts TO hydra_api;
         SELECT hydra.api_expose('open_tickets', id_column => 'id', sortable => '{subject}');
         SELECT hydra.api_expose('totals', id_column => 'id');
         SELECT hydra.api_expose('parts')",
    );
    let key = desk.key("'{open_tickets:read,totals:read,parts:read}', tenant_id => 'acme'");
    assert_eq!(desk.get_as(&key, "/api/v1/open_tickets?sort=-subject").ids(), [2, 4, 1]);
    assert_eq!(desk.get_as(&key, "/api/v1/totals/acme").body, "{\"id\":\"acme\",\"tenant_id\":\"acme\",\"tickets\":3}");
    assert_eq!(desk.get_as(&key, "/api/v1/totals/globex").status, 404);
    let rows = desk.walk(&key, "/api/v1/parts?sort=at&limit=2");
    assert_eq!(rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
}
