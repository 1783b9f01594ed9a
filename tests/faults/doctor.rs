//! What an administrator is told: by the doctor, by the view of all databases, and by `ps`.

use std::fs;

use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, free_port, run, wait_until};

/// The subjects that are not as they should be, each with what is to be done.
fn wrong(bench: &mut Bench) -> Vec<(String, String)> {
    let rows = bench.client.query("SELECT subject, remedy FROM hydra.webhook_doctor() WHERE NOT ok", &[]);
    rows.expect("it answers").iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn remedy(bench: &mut Bench, subject: &str) -> String {
    let found = wrong(bench).into_iter().find(|(wrong, _)| wrong == subject);
    found.unwrap_or_else(|| panic!("nothing is wrong with {subject}")).1
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let cluster = Cluster::start(&[("max_worker_processes", "16")]);
    let mut bench = Bench::new(&cluster, "patient");
    testkit::wait_for_state(&mut bench.client, "running");

    // Clients can log in as the worker, because all methods are trust. The remedies help.
    let lines = remedy(&mut bench, "role hydra_worker");
    assert!(lines.contains("hydra_worker") && lines.contains("reject"), "{lines}");
    let hba = cluster.data().join("pg_hba.conf");
    let rules = fs::read_to_string(&hba).expect("the rules can be read");
    let refused = "local all hydra_worker reject\nhost all hydra_worker all reject\n";
    fs::write(&hba, format!("{refused}{rules}")).expect("the rules can be written");
    cluster.set(&[]);
    wait_until("nothing is wrong", PATIENCE, || wrong(&mut bench).is_empty());
    assert!(bench.ask::<bool>("SELECT count(*) >= 4 AND bool_and(ok AND remedy IS NULL) FROM hydra.webhook_doctor()"));
    wait_until("no client can log in as the worker", PATIENCE, || {
        cluster.try_connect_as("patient", "hydra_worker").is_err()
    });
    run(&mut bench.client, "SELECT pg_terminate_backend(pid) FROM hydra.webhook_worker_status");
    testkit::wait_for_state(&mut bench.client, "running");

    bench.run("ALTER ROLE hydra_worker PASSWORD 'known'");
    let command = remedy(&mut bench, "role hydra_worker");
    bench.run(&command);

    // Subscriptions, deliveries and watches.
    let port = free_port();
    let down: i64 = bench.ask(&format!(
        "SELECT id FROM hydra.webhook_create('http://127.0.0.1:{port}/', '{{ticket.created}}', retry_schedule => '{{}}')"
    ));
    bench.receiver.answer("/gone", Answer::gone());
    let (gone, _) = bench.subscribe("/gone", "ticket.created", &["retry_schedule => '{1 h}'"]);
    bench.run("CREATE TABLE public.part (id int); SELECT hydra.webhook_watch('public.part', 'part.created', 'insert', condition => 'new.id > 0');
               ALTER TABLE public.part RENAME TO part_of; ALTER TABLE public.part_of DROP COLUMN id");
    bench.emit_ticket(1);
    bench.wait_for_column(gone, "status", "disabled");
    bench.wait_for_count("webhook_failed", 1);
    bench.wait_for_column(down, "consecutive_failures", "1");
    let subjects: Vec<String> = wrong(&mut bench).into_iter().map(|(subject, _)| subject).collect();
    for subject in [
        "dispatcher",
        &format!("subscription {down}"),
        &format!("subscription {gone}"),
        "watch of public.part_of for part.created",
        "failed deliveries",
    ] {
        assert!(subjects.iter().any(|wrong| wrong == subject), "{subject} is not in {subjects:?}");
    }
    assert!(remedy(&mut bench, &format!("subscription {gone}")).contains(&format!("webhook_resume({gone}")));
}

#[test]
fn the_doctor_finds_the_line_by_which_clients_can_log_in_as_the_worker() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "logins");
    bench.run("CREATE ROLE apps; CREATE ROLE workers; GRANT workers TO hydra_worker");
    let hba = cluster.data().join("pg_hba.conf");
    // For each file, the number of the first line that permits it.
    for (lines, found) in [
        ("local all all reject\nhost all all 10.0.0.0/8 reject\nhost all all 127.0.0.1/32 trust", Some(4)),
        ("host all all 127.0.0.1/32 scram-sha-256\nhost all all 0.0.0.0/0 trust", Some(3)),
        ("local all +workers trust\nlocal all all reject", Some(2)),
        ("local all +apps trust\nlocal all all reject", None),
        ("local all hydra_worker reject\nlocal all all trust", None),
        ("host all hydra_worker 10.0.0.0/8 reject\nhost all all 10.1.0.0/16 trust", None),
        ("host all hydra_worker 10.1.0.0/16 reject\nhost all all 10.0.0.0/8 trust", Some(3)),
        ("host all hydra_worker 0.0.0.0/0 reject\nhost all hydra_worker ::/0 reject\nhost all all all trust", None),
        ("host all hydra_worker 0.0.0.0/0 reject\nhost all all all trust", Some(3)),
        ("hostssl all hydra_worker all reject\nhost all all all trust", Some(3)),
        ("host all hydra_worker all reject\nhostssl all all all cert", None),
        ("host other,postgres all all trust", None),
        ("host logins all samehost trust", Some(2)),
    ] {
        fs::write(&hba, format!("local all postgres trust\n{lines}\n")).expect("the rules can be written");
        cluster.set(&[]);
        let mut line = || -> Option<String> {
            bench.ask(
                "SELECT max(substring(finding from 'by line (\\d+) of pg_hba.conf')) FROM hydra.webhook_doctor()
                 WHERE subject = 'role hydra_worker' AND NOT ok",
            )
        };
        assert_eq!(line(), found.map(|line| line.to_string()), "{lines}");
    }
}

/// As after a restore of the schema alone.
#[test]
fn the_doctor_says_how_to_register_the_event_type_of_a_watch() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "schema_only");
    bench.run(
        "CREATE TABLE public.machine (id int);
         SELECT hydra.webhook_register_event_type('machine.moved');
         SELECT hydra.webhook_watch('public.machine', 'machine.moved', 'insert');
         DELETE FROM hydra.event_type WHERE name = 'machine.moved'",
    );
    let subject = "watch of public.machine for machine.moved";
    let remedy = remedy(&mut bench, subject);
    bench.run(remedy.split(", or ").next().expect("a command"));
    assert!(wrong(&mut bench).iter().all(|(wrong, _)| wrong != subject));
}

#[test]
fn analysts_and_monitors_ask_the_doctor_and_see_no_address_and_no_line_of_pg_hba() {
    let cluster = Cluster::start(&[("hydra_webhooks.allow_networks", "")]);
    let mut bench = Bench::new(&cluster, "watched");
    let id: i64 = bench.ask(
        "SELECT id FROM hydra.webhook_create('http://localhost:9/s3cret?key=s3cret', '{ticket.created}', headers => '{\"X-Key\": \"s3cret\"}')",
    );
    bench.emit_ticket(1);
    wait_until("it is known why nothing is sent", PATIENCE, || {
        bench.ask("SELECT coalesce(waiting_for ~ '127.0.0.1|::1', false) FROM hydra.webhook_subscriptions")
    });
    let found = |role: &str, groups: &[&str]| -> Vec<String> {
        let mut client = cluster.connect_as_new_role("watched", role, groups);
        let rows =
            client.query("SELECT concat_ws(' | ', subject, ok, finding, remedy) FROM hydra.webhook_doctor()", &[]);
        rows.expect("it answers").iter().map(|row| row.get(0)).collect()
    };
    let admin = found("on_call", &["hydra_admin"]).join("\n");
    assert!(admin.contains("of pg_hba.conf (") && (admin.contains("127.0.0.1") || admin.contains("::1")), "{admin}");
    for (role, group) in [("dashboard", "hydra_analyst"), ("monitor", "pg_monitor")] {
        let rows = found(role, &[group]);
        let all = rows.join("\n");
        for subject in
            ["dispatcher", "extension", "worker processes", "role hydra_worker", &format!("subscription {id}")]
        {
            assert!(rows.iter().any(|row| row.starts_with(subject)), "{group}: {subject} is not in {all}");
        }
        for hidden in ["s3cret", "127.0.0.1", "::1", "pg_hba.conf ("] {
            assert!(!all.contains(hidden), "{group}: {hidden} is in {all}");
        }
    }
    assert!(
        cluster
            .connect_as_new_role("watched", "member", &["hydra_member"])
            .query("SELECT hydra.webhook_doctor()", &[])
            .is_err()
    );
}

#[test]
fn the_doctor_counts_worker_processes_and_one_view_shows_all_databases() {
    // Enough for the launcher and one database, beside the launcher of logical replication.
    let cluster = Cluster::start(&[("max_worker_processes", "3")]);
    let mut bench = Bench::new(&cluster, "first");
    testkit::wait_for_state(&mut bench.client, "running");
    let mut second = cluster.create_database("second");
    wait_until("there is no worker for it", PATIENCE, || {
        testkit::worker_status(&mut second, "detail").contains("webhook_doctor")
    });
    let remedy = remedy(&mut bench, "worker processes");
    assert!(remedy.contains("max_worker_processes to 7"), "{remedy}");

    let states: Vec<String> = bench.ask("SELECT array_agg(database || ' ' || state) FROM hydra.webhook_databases");
    assert_eq!(states, ["first running", "second stopped"]);
    let pid: i32 = bench.ask("SELECT pid FROM hydra.webhook_databases WHERE database = 'first'");
    assert_eq!(pid, cluster.dispatcher_pid("first"));

    // What ps shows.
    wait_until("ps names the database and what the dispatcher does", PATIENCE, || {
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&title).contains("hydra_webhooks dispatcher first idle")
    });
}

#[test]
fn the_documented_commands_remove_the_extension_and_all_that_it_made() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "done");
    bench.run("CREATE TABLE public.part (id int); SELECT hydra.webhook_watch('public.part', 'part.created', 'insert')");
    let page = include_str!("../../docs/operating.md");
    let uninstall = page.split("## Uninstall").nth(1).expect("the section exists");
    let blocks: Vec<&str> = uninstall.split("```sql").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        bench.run(block);
    }
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM pg_roles WHERE rolname ^@ 'hydra_'"), 0);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.part'::regclass"), 0);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname = 'hydra'"), 0);
}
