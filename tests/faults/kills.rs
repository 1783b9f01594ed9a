//! Every process of the extension, and the server, is ended under load.

use std::time::{Duration, Instant};

use rand::RngExt;
use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, StopMode, chance, number, wait_until};

use crate::{IN_FLIGHT, PATH, launcher, seconds, settle, tickets, under_load};

/// What is ended, and how.
#[derive(Clone, Copy, Debug)]
enum Fault {
    TerminateDispatcher,
    TerminateLauncher,
    Kill9Dispatcher,
    Kill9Launcher,
    ImmediateStop,
    Kill9Everything,
}

const FAULTS: [Fault; 6] = [
    Fault::TerminateDispatcher,
    Fault::TerminateLauncher,
    Fault::Kill9Dispatcher,
    Fault::Kill9Launcher,
    Fault::ImmediateStop,
    Fault::Kill9Everything,
];

impl Fault {
    fn strike(self, bench: &Bench<'_>) {
        let cluster = bench.cluster;
        let dispatcher = || cluster.dispatcher_pid(&bench.database);
        let the_launcher = || {
            let mut found = None;
            wait_until("there is a launcher", PATIENCE, || {
                found =
                    cluster.try_connect_as("postgres", "postgres").ok().and_then(|mut client| launcher(&mut client));
                found.is_some()
            });
            found.expect("it was found")
        };
        match self {
            Fault::TerminateDispatcher => cluster.signal("TERM", dispatcher()),
            Fault::TerminateLauncher => cluster.signal("TERM", the_launcher()),
            Fault::Kill9Dispatcher => cluster.kill9(dispatcher()),
            Fault::Kill9Launcher => cluster.kill9(the_launcher()),
            Fault::ImmediateStop => {
                cluster.stop(StopMode::Immediate);
                cluster.start_again();
            }
            Fault::Kill9Everything => {
                cluster.kill9_everything();
                cluster.start_again();
            }
        }
    }
}

/// A short run; `HYDRA_KILLS=60` makes it a long one, `HYDRA_SEED` repeats one.
#[test]
fn whatever_is_killed_under_load_nothing_is_lost_or_invented_and_deliveries_continue_at_once() {
    let kills = number("HYDRA_KILLS").unwrap_or(FAULTS.len() as u64) as usize;
    let mut chance = chance();
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "everything", &["retry_schedule => '{0.2 s,0.2 s,0.2 s,0.2 s,0.2 s}'"]);
    let mut slowest = Duration::ZERO;
    // Half of the sessions do not wait for the disk.
    let settings =
        "SELECT set_config('synchronous_commit', CASE pg_backend_pid() % 2 WHEN 0 THEN 'off' ELSE 'on' END, false)";
    under_load(&bench, settings, || {
        for round in 0..kills {
            bench.receiver.answer_first(PATH, 20, Answer::status(500));
            bench.wait_for(PATH, bench.receiver.received(PATH) + chance.random_range(100..500));
            let fault = FAULTS[round % FAULTS.len()];
            fault.strike(&bench);
            wait_until("the server accepts connections", PATIENCE, || {
                cluster.try_connect_as(&bench.database, "postgres").is_ok()
            });
            let (accepting, before) = (Instant::now(), bench.receiver.received(PATH));
            wait_until("a request arrives", seconds(30), || bench.receiver.received(PATH) > before);
            slowest = slowest.max(accepting.elapsed());
        }
    });
    // Twenty failures in each round. The others were under way, or finished and not written yet.
    let again = settle(&bench);
    let most = kills * (20 + IN_FLIGHT + 1000);
    assert!(again <= most, "{again} requests were repeated");
    println!("{kills} kills, {} requests, {again} of them again, slowest {slowest:?}", bench.receiver.received(PATH));
}
