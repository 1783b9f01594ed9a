//! Exactly once, proven by kills: events are sent several times through several gateways, and meanwhile each process that
//! takes part is killed. Each event has one effect, and each effect is sent as a webhook.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use testkit::{
    Bench, Cluster, Gateway, PATIENCE, StopMode, ask, chance, free_port, let_pass, millis, number, run,
    wait_for_empty_queue, wait_until,
};

use crate::outside::{Adapter, Outside, id};
use crate::{create_adapter, deploy, start};

const SECRET: &str = "a secret that both know";
const EFFECTS: &str = "/effects";
const EVENTS: &str = "/events";

/// Longer than the runner needs for all that is left.
const SETTLED: Duration = Duration::from_secs(120);

/// A new event in fifty is too slow for its request, and one in a hundred fails, until it is two seconds old.
const FLOW: &str = "
    IF clock_timestamp() < (event ->> 'received_at')::timestamptz + '2 s' THEN
        IF event #>> '{external,id}' LIKE '%50' THEN PERFORM pg_sleep(0.4);
        ELSIF event #>> '{external,id}' LIKE '%77' THEN RAISE EXCEPTION 'not yet';
        END IF;
    END IF;
    INSERT INTO public.effect VALUES (event #>> '{external,id}');";

#[derive(Clone, Copy, Debug)]
enum Fault {
    Gateway,
    Embedded,
    Backend,
    Runner,
    Server,
    TerminateBackend,
    ImmediateStop,
}

const SHORT: [Fault; 5] = [Fault::Backend, Fault::Gateway, Fault::Runner, Fault::Embedded, Fault::Server];
const ALL: [Fault; 9] = [
    Fault::Gateway,
    Fault::Gateway,
    Fault::Embedded,
    Fault::Embedded,
    Fault::Backend,
    Fault::Runner,
    Fault::Server,
    Fault::TerminateBackend,
    Fault::ImmediateStop,
];

/// A server with a gateway of its own, and two others.
struct Site<'a> {
    bench: Bench<'a>,
    embedded: String,
    gateways: [Gateway; 2],
}

impl Site<'_> {
    fn urls(&self) -> Vec<String> {
        self.gateways.iter().map(|gateway| gateway.url()).chain([self.embedded.clone()]).collect()
    }

    fn strike(&mut self, fault: Fault, place: usize) {
        let cluster = self.bench.cluster;
        match fault {
            // The former one is killed by SIGKILL when it is dropped.
            Fault::Gateway => self.gateways[place % 2] = Gateway::start(&self.bench),
            Fault::Embedded => self.kill("SELECT pid FROM hydra.gateway_status"),
            Fault::Runner => self.kill("SELECT pid FROM hydra.runner_status"),
            Fault::Backend => self.kill(
                "SELECT max(pid) FROM pg_stat_activity WHERE usename IN ('far_gateway', 'hydra_gateway_embedded')",
            ),
            Fault::TerminateBackend => {
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'far_gateway'";
                assert!(ask::<i64>(&mut self.bench.session(), sql) >= 0);
            }
            Fault::ImmediateStop => {
                cluster.stop(StopMode::Immediate);
                cluster.start_again();
            }
            Fault::Server => {
                cluster.kill9_everything();
                cluster.start_again();
            }
        }
        wait_until("the server accepts connections", PATIENCE, || {
            cluster.try_connect_as(&self.bench.database, "postgres").is_ok()
        });
    }

    /// Kills the process that the query finds, when there is one.
    fn kill(&self, query: &str) {
        let mut found = None;
        wait_until(format!("there is a process: {query}"), PATIENCE, || {
            let client = self.bench.cluster.try_connect_as(&self.bench.database, "postgres");
            found = client.ok().and_then(|mut client| client.query_one(query, &[]).ok()?.get::<_, Option<i32>>(0));
            found.is_some()
        });
        self.bench.cluster.kill9(found.expect("it was found"));
    }
}

/// A short run; `HYDRA_INBOUND=20000 HYDRA_KILLS=30` make it a long one, `HYDRA_SEED` repeats its plan.
#[test]
fn whatever_is_killed_each_event_has_one_effect_and_nothing_that_was_answered_is_missing() {
    let events = number("HYDRA_INBOUND").unwrap_or(600) as usize;
    let kills = number("HYDRA_KILLS").unwrap_or(SHORT.len() as u64) as usize;
    let mut chance = chance();
    let listen = format!("127.0.0.1:{}", free_port());
    let cluster = start(&[("hydra_webhooks.listen", &listen), ("hydra_webhooks.gateway_database", "kills")]);
    let mut site = open(&cluster, &listen);
    // On average an event is sent three times.
    let outside = Outside::new(adapters(&mut site.bench), events, 600.0, &mut chance);
    *outside.gateways.lock().unwrap() = site.urls();

    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| outside.work(began));
        }
        for round in 0..kills {
            let fault =
                if kills > SHORT.len() { ALL[chance.random_range(0..ALL.len())] } else { SHORT[round % SHORT.len()] };
            let from = outside.sends() * (round + 1) / (kills + 1);
            wait_until("more is answered", Duration::from_secs(600), || {
                outside.answered.load(Ordering::Relaxed) >= from
            });
            let_pass(millis(chance.random_range(0..100)));
            println!("{:?}: {fault:?}", began.elapsed());
            site.strike(fault, round);
            *outside.gateways.lock().unwrap() = site.urls();
        }
    });
    let took = began.elapsed();
    let again = settle(&site.bench, events);
    let statuses = outside.statuses.lock().unwrap();
    assert!(statuses.keys().all(|status| matches!(status, 0 | 200..300 | 500..600)), "{statuses:?}");
    println!(
        "{events} events, {} sends, {kills} kills in {took:?}; statuses {statuses:?} (0: none); {again} webhooks again",
        outside.sends()
    );
}

fn open<'a>(cluster: &'a Cluster, listen: &str) -> Site<'a> {
    let mut bench = Bench::new(cluster, "kills");
    bench.run(
        "CREATE TABLE public.effect (id text NOT NULL);
         GRANT INSERT ON public.effect TO flow_owner;
         GRANT hydra_emitter TO flow_owner;
         CREATE TRIGGER emit AFTER INSERT ON public.effect
         FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
    );
    deploy(&mut bench, "move", "account.stage_changed", FLOW);
    bench.subscribe(EFFECTS, "ticket.created", &["retry_schedule => '{0.2 s,0.5 s,1 s,2 s,5 s}'"]);
    bench.subscribe(EVENTS, "account.stage_changed", &["retry_schedule => '{0.2 s,0.5 s,1 s,2 s,5 s}'"]);
    let gateways = [Gateway::start(&bench), Gateway::start(&bench)];
    Site { bench, embedded: format!("http://{listen}"), gateways }
}

/// One adapter whose sender tries again by itself, and one for which the runner does.
fn adapters(bench: &mut Bench<'_>) -> Vec<Adapter> {
    let limits = "budget => '0.2 s', requests_per_second => 10000";
    let mapping = r#"'"account.stage_changed"'"#;
    let signed = format!("'signed', {mapping}, 'hydra', '{SECRET}', {limits}");
    let (_, signed) = create_adapter(bench, &signed);
    let (_, plain) = create_adapter(bench, &format!("'plain', {mapping}, {limits}"));
    vec![Adapter::Signed { path: signed, secret: SECRET.into() }, Adapter::Plain { path: plain }]
}

/// When everything has ended: each event has one effect and one event of ours, and each of both was received. Returns how
/// many requests came again.
#[track_caller]
fn settle(bench: &Bench<'_>, events: usize) -> usize {
    const OPEN: &str = "SELECT count(*) FROM hydra.inbound_event WHERE state IN ('received', 'failed')";
    // An attempt that was killed is made again after a minute.
    const HURRY: &str =
        "UPDATE hydra.inbound_event SET due_at = now() WHERE due_at > now() AND received_at < now() - interval '3 s';
                         SELECT hydra._note_for_runner(now())";
    const STATE: &str = "SELECT row_to_json(r)::text || (SELECT jsonb_agg(to_jsonb(e) - 'payload') FROM hydra.inbound_events AS e
                                                         WHERE state IN ('received', 'failed')) FROM hydra.runner_status AS r";
    let mut client = bench.session();
    let began = Instant::now();
    while ask::<i64>(&mut client, OPEN) > 0 {
        let_pass(millis(500));
        run(&mut client, HURRY);
        assert!(began.elapsed() < SETTLED, "the runner has not ended its work: {}", ask::<String>(&mut client, STATE));
    }
    wait_for_empty_queue(&mut client);
    let sent: BTreeSet<String> = (0..events).map(id).collect();

    let effects = client.query("SELECT id FROM public.effect", &[]).expect("the table can be read");
    assert_eq!(effects.len(), events, "effects");
    assert_eq!(effects.iter().map(|row| row.get(0)).collect::<BTreeSet<String>>(), sent);

    let mut again = 0;
    for path in [EFFECTS, EVENTS] {
        let requests = bench.receiver.requests(path);
        let deliveries: BTreeSet<&str> = requests.iter().map(|request| request.delivery_id()).collect();
        let entities: BTreeSet<String> = requests.iter().map(|request| request.entity_id()).collect();
        assert_eq!((deliveries.len(), &entities), (events, &sent), "{path}");
        assert!(requests.iter().all(|request| request.header("X-Hydra-Hops") == Some("1")), "{path}");
        again += requests.len() - events;
    }
    let counted = "SELECT (sum(received), sum(matched))::text FROM hydra.inbound_adapters";
    assert_eq!(ask::<String>(&mut client, counted), format!("({events},{events})"));
    again
}
