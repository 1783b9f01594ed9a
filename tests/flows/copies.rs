//! Dumps and copies of a database with flows.

use std::process::Stdio;

use testkit::{PATIENCE, refused, run, wait_until};

use crate::{Site, TICKET, cluster, issue};

#[test]
fn flows_are_part_of_a_dump_and_their_runs_are_not() {
    let mut site = Site::new(cluster(), "dumped");
    site.deploy("make_ticket", TICKET, ", filter => '$.priority == \"high\"', timeout => '3 s'");
    site.post(issue(1));
    let columns = "SELECT string_agg(concat_ws(' ', id, name, event, function, owner, filter, state, timeout, created_by), ',') FROM hydra.flows";
    let before: String = site.bench.ask(columns);
    let mut admin = cluster().connect("postgres");
    run(&mut admin, "CREATE DATABASE restored");
    let mut dump = cluster().program("pg_dump").arg("dumped").stdout(Stdio::piped()).spawn().expect("pg_dump starts");
    let restore = cluster()
        .program("psql")
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "restored"])
        .stdin(dump.stdout.take().expect("a pipe"))
        .stdout(Stdio::null())
        .status();
    assert!(restore.expect("psql runs").success() && dump.wait().expect("pg_dump ends").success());
    let mut site = Site { bench: testkit::Bench { client: cluster().connect("restored"), ..site.bench }, ..site };
    assert_eq!(site.bench.ask::<String>(columns), before);
    assert_eq!((site.bench.count("flow_runs"), site.bench.count("inbound_events")), (0, 0));
    // A new flow gets a new number.
    site.bench.run("SELECT hydra.flow_create('another', 'ticket.created', 'public.make_ticket')");
}

#[test]
fn a_copy_runs_nothing_before_it_is_adopted() {
    let mut site = Site::new(cluster(), "original");
    site.deploy("make_ticket", "RAISE EXCEPTION 'not yet';", "");
    let (event, _) = site.post(issue(1)).event();
    site.create_function("make_ticket", TICKET);
    site.bench.run("SELECT hydra.webhook_park()");
    let Site { bench, adapter, secret } = site;
    let testkit::Bench { client, cluster, receiver, .. } = bench;
    drop(client);
    let mut admin = cluster.connect("postgres");
    wait_until("the database is copied", PATIENCE, || {
        admin.batch_execute("CREATE DATABASE copy TEMPLATE original").is_ok()
    });
    let client = cluster.connect("copy");
    let bench = testkit::Bench { cluster, database: "copy".into(), client, receiver };
    let mut site = Site { bench, adapter, secret };
    site.hurry(event);
    wait_until("the status says why", PATIENCE, || {
        site.runner("state || ' ' || detail").contains("parked this database is a copy")
    });
    wait_until("no runner is there", PATIENCE, || site.runner("pid").is_empty());
    assert_eq!((site.event(event, "state"), site.event(event, "attempts")), ("failed".into(), "1".into()));
    // The original processes the event as well.
    let refusal = refused(&mut site.bench.client, "SELECT hydra.webhook_adopt()", "55000");
    assert!(refusal.detail.contains("0 events and 0 deliveries and 1 inbound event."), "{refusal:?}");
    site.bench.run("SELECT hydra.webhook_adopt(keep_queue => false)");
    assert_eq!((site.event(event, "state || ' ' || (due_at IS NULL)"), site.tickets()), ("failed true".into(), 0));
    site.bench.run("SELECT hydra.inbound_replay(id) FROM hydra.inbound_adapters");
    site.wait_for_event(event, "state", "done");
    assert_eq!(site.tickets(), 1);
}
