//! The life of the runner.

use postgres::Client;
use postgres::error::SqlState;
use testkit::{Cluster, PATIENCE, StopMode, ask, let_pass, millis, number, run, wait_for_state, wait_until};

use crate::{Site, TICKET, cluster, create_roles, issue};

/// A function body that waits for a row of public.gate.
const WAITS: &str = "WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.1); END LOOP;";

impl Site<'_> {
    /// Makes a flow that takes longer than a request may take.
    fn deploy_slow_flow(&mut self) {
        self.bench.run("CREATE TABLE public.gate (open bool); GRANT SELECT ON public.gate TO app");
        (self.adapter, self.secret) = self.create_adapter("hasty", "'\"ticket.created\"', budget => '0.1 s'");
        self.deploy("waits", &format!("{WAITS} {TICKET}"), ", timeout => '60 s'");
    }

    /// Leaves an event to the runner, and returns its number.
    fn leave(&mut self, id: i64) -> i64 {
        let answer = self.post(issue(id));
        let (event, state) = answer.event();
        assert_eq!((answer.status, state), (202, "received"));
        event
    }

    pub fn wait_for_runner(&mut self) -> i32 {
        wait_until("there is a runner", PATIENCE, || !self.runner("pid").is_empty());
        self.runner("pid").parse().expect("a process id")
    }

    /// Leaves an event that has failed, came before the time for which events are kept, and is tried again in an hour.
    fn leave_old_failure(&mut self) -> i64 {
        self.deploy("make_ticket", "RAISE EXCEPTION 'not yet';", "");
        let (event, _) = self.post(issue(1)).event();
        self.bench.run(&format!(
            "UPDATE hydra.inbound_event SET received_at = received_at - interval '31 days', due_at = now() + interval '1 h'
             WHERE id = {event};
             SELECT hydra._note_for_runner(now())"
        ));
        self.wait_for_runner();
        event
    }

    fn wait_for_no_runner(&mut self) {
        wait_until("there is no runner", PATIENCE, || self.runner("pid").is_empty());
    }
}

#[test]
fn the_runner_comes_when_something_is_due_and_says_so() {
    let mut site = Site::new(cluster(), "comes");
    site.deploy("make_ticket", TICKET, "");
    site.post(issue(1));
    // Before that the launcher may not have reached the database yet.
    wait_for_state(&mut site.bench.client, "running");
    assert_eq!(site.runner("state || ' ' || due || ' ' || rehearsals"), "idle 0 0");
    site.create_flow("tested", "RETURN NULL;", "");
    site.post(issue(2));
    let pid = site.wait_for_runner();
    assert_eq!(site.runner("state"), "running");
    site.wait_for_runs(3);
    // It stays for a while, and does what comes.
    site.post(issue(3));
    site.wait_for_runs(5);
    assert_eq!(site.wait_for_runner(), pid);
    let shown = format!("SELECT backend_type || ' ' || usename FROM pg_stat_activity WHERE pid = {pid}");
    assert_eq!(site.bench.ask::<String>(&shown), "hydra_webhooks runner hydra_worker");
}

/// Takes more than a minute: `scripts/torture` runs it.
#[test]
fn the_runner_is_gone_after_a_minute_of_nothing() {
    if number("HYDRA_ROUNDS").is_none() {
        return;
    }
    let mut site = Site::new(cluster(), "goes");
    site.create_flow("tested", "RETURN NULL;", "");
    site.post(issue(1));
    site.wait_for_runner();
    let_pass(millis(50_000));
    site.wait_for_runner();
    site.wait_for_no_runner();
    assert_eq!(site.runner("state"), "idle");
    site.post(issue(2));
    site.wait_for_runs(2);
}

#[test]
fn park_ends_a_flow_that_the_runner_runs_and_the_event_is_not_lost() {
    let mut site = Site::new(cluster(), "parked");
    site.deploy_slow_flow();
    let event = site.leave(1);
    // The attempt of the request was the first.
    site.wait_for_event(event, "attempts", "2");
    site.bench.run("SELECT hydra.webhook_park()");
    assert_eq!(site.runner("coalesce(pid, 0) || ' ' || state"), "0 parked");
    assert_eq!(site.event(event, "state"), "received");
    site.bench.run("INSERT INTO public.gate VALUES (true); SELECT hydra.webhook_unpark()");
    site.wait_for_event(event, "state", "done");
    assert_eq!((site.tickets(), site.event(event, "attempts")), (1, "2".into()));
}

/// Runs a statement that needs a database without sessions. It fails if they have not ended within five seconds, which
/// can be too short on a busy machine, so it is tried three times. The flow would run for longer than that.
#[track_caller]
fn run_in_time(admin: &mut Client, sql: &str) {
    let is_in_use = |error: &postgres::Error| error.code() == Some(&SqlState::OBJECT_IN_USE);
    for _ in 1..3 {
        match admin.batch_execute(sql) {
            Err(error) if is_in_use(&error) => println!("{sql}: {error}"),
            result => return result.unwrap_or_else(|error| panic!("{sql}: {error:?}")),
        }
    }
    run(admin, sql);
}

#[test]
fn a_database_with_a_runner_can_be_renamed_and_dropped_while_a_flow_runs() {
    let mut site = Site::new(cluster(), "dropped");
    site.deploy_slow_flow();
    let event = site.leave(1);
    site.wait_for_event(event, "attempts", "2");
    drop(site);
    let mut admin = cluster().connect("postgres");
    run_in_time(&mut admin, "ALTER DATABASE dropped RENAME TO renamed");
    let mut client = cluster().connect("renamed");
    wait_until("the flow runs again", PATIENCE, || {
        ask(&mut client, "SELECT attempts = 2 AND due_at > now() FROM hydra.inbound_event")
    });
    drop(client);
    run_in_time(&mut admin, "DROP DATABASE renamed");
}

#[test]
fn the_extension_can_be_dropped_and_created_while_there_is_a_runner() {
    let mut site = Site::new(cluster(), "recreated");
    site.create_flow("tested", "RETURN NULL;", "");
    site.post(issue(1));
    site.wait_for_runs(1);
    site.bench.run("DROP EXTENSION hydra_webhooks; CREATE EXTENSION hydra_webhooks");
    (site.adapter, site.secret) = site.create_adapter("issues", "'\"ticket.created\"'");
    site.bench.run("SELECT hydra.flow_create('tested', 'ticket.created', 'public.tested')");
    site.post(issue(2));
    site.wait_for_runs(1);
}

#[test]
fn a_runner_that_is_killed_loses_nothing() {
    let cluster = Cluster::start(&[("max_worker_processes", "16")]);
    cluster.create_database("first");
    create_roles(&cluster);
    let mut site = Site::new(&cluster, "killed");
    site.deploy_slow_flow();
    let events: Vec<i64> = (1..=3).map(|id| site.leave(id)).collect();
    site.wait_for_event(events[0], "attempts", "2");
    let runner = site.wait_for_runner();
    cluster.kill9(runner);
    // The server may accept a session before it notices.
    wait_until("the sessions have ended", PATIENCE, || site.bench.client.batch_execute("SELECT 1").is_err());
    wait_until("the server has recovered", PATIENCE, || cluster.try_connect_as("killed", "postgres").is_ok());
    site.bench.client = site.bench.session();
    // It was counted before it began.
    assert_eq!(site.event(events[0], "state || ' ' || attempts"), "received 2");
    site.bench.run("INSERT INTO public.gate VALUES (true)");
    site.hurry(events[0]);
    for &event in &events {
        site.wait_for_event(event, "state", "done");
    }
    assert_eq!(site.tickets(), 3);

    // Nobody tells a server that was restarted that something is due.
    site.bench.run("TRUNCATE public.gate");
    let event = site.leave(4);
    site.wait_for_event(event, "attempts", "2");
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    site.bench.client = site.bench.session();
    site.bench.run("INSERT INTO public.gate VALUES (true)");
    // If the runner had no time to take its attempt back, the event is due after a minute.
    wait_until("it is done", 2 * PATIENCE, || site.event(event, "state") == "done");
}

#[test]
fn old_events_and_runs_are_removed() {
    let mut site = Site::new(cluster(), "old");
    site.deploy("make_ticket", TICKET, "");
    for id in 1..=3 {
        site.post(issue(id));
    }
    site.deploy("broken", "RAISE EXCEPTION 'again';", "");
    let (failed, _) = site.post(issue(4)).event();
    site.bench.run(
        "UPDATE hydra.inbound_event SET received_at = received_at - interval '31 days' WHERE id <> 2;
         -- Not while the rows are counted.
         UPDATE hydra.inbound_event SET due_at = due_at + interval '1 h';
         UPDATE hydra.flow_run SET started_at = started_at - interval '31 days' WHERE id <> 2;
         SELECT hydra._note_for_runner(now())",
    );
    site.bench.wait_for_count("flow_run", 1);
    let left = "SELECT string_agg(id::text, ',' ORDER BY id) FROM hydra.inbound_event";
    wait_until("old events are gone", PATIENCE, || {
        // One that is tried again stays.
        site.bench.ask::<String>(left) == format!("2,{failed}")
    });
}

#[test]
fn an_old_event_that_cannot_be_removed_keeps_nothing_else_and_lets_the_runner_rest() {
    let mut site = Site::new(cluster(), "unremovable");
    site.deploy("make_ticket", TICKET, "");
    site.post(issue(1));
    site.bench.run(
        "CREATE TABLE public.seen (event bigint REFERENCES hydra.inbound_event); INSERT INTO public.seen SELECT id FROM hydra.inbound_event;
         UPDATE hydra.inbound_event SET received_at = received_at - interval '31 days';
         UPDATE hydra.flow_run SET started_at = started_at - interval '31 days';
         SELECT hydra._note_for_runner(now())",
    );
    site.bench.wait_for_count("flow_run", 0);
    wait_until("it waits before it tries again", PATIENCE, || {
        site.runner("(next_at > now() + interval '5 min')") == "true"
    });
    assert_eq!(site.bench.count("inbound_event"), 1);
}

#[test]
fn an_old_event_that_is_tried_again_does_not_keep_the_runner_awake() {
    let mut site = Site::new(cluster(), "asleep");
    site.leave_old_failure();
    wait_until("the runner waits for the next attempt", PATIENCE, || {
        site.runner("(next_at > now() + interval '30 min')") == "true"
    });
}

#[test]
fn an_old_event_is_removed_when_it_is_tried_no_more() {
    let mut site = Site::new(cluster(), "removed");
    let event = site.leave_old_failure();
    wait_until("the runner has looked for old events", PATIENCE, || !site.runner("next_at").is_empty());
    site.create_function("make_ticket", TICKET);
    site.hurry(event);
    site.bench.wait_for_count("inbound_events", 0);
    assert_eq!(site.tickets(), 1);
}

#[test]
fn an_error_of_the_runner_that_lasts_is_logged_ever_more_rarely() {
    let cluster = Cluster::start(&[("max_worker_processes", "16")]);
    cluster.create_database("first");
    create_roles(&cluster);
    let mut site = Site::new(&cluster, "complains");
    site.leave_old_failure();
    site.bench.run(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no attempts today'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE OF attempts ON hydra.inbound_event EXECUTE FUNCTION public.refuse();
         UPDATE hydra.inbound_event SET due_at = now();
         SELECT hydra._note_for_runner(now())",
    );
    let count = |part: &str| cluster.log().lines().filter(|line| line.contains(part)).count();
    let complaint = "hydra_webhooks runner: could not claim an inbound event: no attempts today";
    wait_until("the repetitions are counted", PATIENCE, || count("times since it was last logged.") >= 2);
    // It occurs each second, and was logged after 0, 2 and 6 seconds.
    assert_eq!(count(complaint), 3);
}

#[test]
fn the_launcher_starts_a_runner_when_a_retry_is_due() {
    let mut site = Site::new(cluster(), "retried");
    site.deploy("make_ticket", "RAISE EXCEPTION 'not yet';", "");
    let (event, _) = site.post(issue(1)).event();
    site.create_function("make_ticket", TICKET);
    // Due after ten seconds, without anybody's doing.
    site.wait_for_event(event, "state", "done");
    assert_eq!(ask::<i64>(&mut site.bench.client, "SELECT count(*) FROM public.ticket"), 1);
}
